"""The exceptions of requests to an authorization server; their texts hold no secret."""

from __future__ import annotations

from ..errors import Sentence, SmtpwebError
from ..mailcheck.diagnosis.token import TokenFailure


class TokenNotObtained(Exception):
    """No access token was obtained; ``failure`` says why, for the diagnosis."""

    def __init__(self, failure: TokenFailure) -> None:
        super().__init__(f"{failure.network or failure.error or failure.status} at {failure.host}")
        self.failure = failure


class NoGrant(SmtpwebError):
    """The SMTP server does not sign in with OAuth."""

    code = "OAUTH_NOT_SET"
    title = Sentence("This SMTP server does not use OAuth")
