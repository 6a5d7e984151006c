"""Errors shown to users. API, pages and commands each convert them into a response."""

from __future__ import annotations


class Sentence(str):
    """An English text that pages can translate, because it keeps its template and values.

    ``template`` is the msgid, with ``%(name)s`` for each of ``values``. The API and the command
    line use the text as a plain ``str``.
    """

    __slots__ = ("template", "values")
    template: str
    values: dict[str, object]

    def __new__(cls, template: str, /, **values: object) -> Sentence:
        """Create the text by filling the values into the template."""
        sentence = super().__new__(cls, template % values if values else template)
        sentence.template = template
        sentence.values = values
        return sentence


class SmtpwebError(Exception):
    """``code`` is stable, ``title`` the documented text, ``detail`` specific to this occurrence."""

    code = "ERROR"
    title: str = Sentence("Error")

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title


class ConfigError(SmtpwebError):
    """An unusable setting, or an installation that is not ready; smtpweb exits."""

    code = "CONFIG"
    title = Sentence("Wrong setting")


class BadInput(SmtpwebError):
    """Invalid values. ``errors`` maps the name of each parameter to its messages."""

    code = "BAD_PARAMETER"
    title = Sentence("Missing required parameter or wrong parameter type")

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(
            "; ".join(f"{name}: {' '.join(messages)}" for name, messages in errors.items())
        )
        self.errors = errors


class NotAuthorized(SmtpwebError):
    """The request has no usable credentials, or they lack the scope that the call requires."""

    code = "NOT_AUTHORIZED"
    title = Sentence("User not authorized")


class CredentialsNotValid(SmtpwebError):
    """A wrong user name or password, or an unknown, expired or revoked token."""

    code = "CREDENTIALS_NOT_VALID"
    title = Sentence("Credentials not valid")


_NOT_FOUND = {
    "App": (
        Sentence("App not found"),
        Sentence("There is no app with this id in your account."),
    ),
    "SMTP": (
        Sentence("SMTP not found"),
        Sentence("There is no SMTP server with this id in your account."),
    ),
    "Check": (
        Sentence("Check not found"),
        Sentence("There is no check with this id in your account."),
    ),
    "Token": (
        Sentence("Token not found"),
        Sentence("There is no token with this id in your account."),
    ),
    "Alarm": (
        Sentence("Alarm not found"),
        Sentence("There is no Alarm with this id in your account."),
    ),
    "Link": (
        Sentence("Link not found"),
        Sentence("This link is incomplete, or its check was deleted."),
    ),
    "Window": (
        Sentence("Window not found"),
        Sentence("There is no maintenance window with this id in your account."),
    ),
    "User": (Sentence("User not found"), Sentence("There is no user with this name.")),
}


class NotFound(SmtpwebError):
    """The object does not exist or belongs to another user; the caller cannot tell which."""

    def __init__(self, what: str) -> None:
        self.code = f"{what.upper()}_NOT_FOUND"
        self.title, detail = _NOT_FOUND[what]
        super().__init__(detail)


class NameTaken(SmtpwebError):
    """Another app of the same user already has this name."""

    code = "APP_NAME_TAKEN"
    title = Sentence("App name already in use")


class QuotaReached(SmtpwebError):
    """A setting allows no more apps or SMTP servers."""

    code = "QUOTA_REACHED"
    title = Sentence("Limit reached")


class KeyReused(SmtpwebError):
    """The idempotency key has already been used for another request."""

    code = "IDEMPOTENCY_KEY_REUSED"
    title = Sentence("Idempotency-Key already used")


class SecretUnreadable(SmtpwebError):
    """A sealed SMTP password that cannot be opened with any of the keys."""

    code = "SMTP_PASSWORD_UNREADABLE"
    title = Sentence("The stored SMTP password cannot be read: enter it again")


class EditConflict(SmtpwebError):
    """The object was changed after this form was opened."""

    code = "EDIT_CONFLICT"
    title = Sentence("This was changed while you were editing")


class TooMany(SmtpwebError):
    """A rate limit was exceeded; ``retry_after`` is in seconds."""

    code = "TOO_MANY_REQUESTS"
    title = Sentence("Too many requests")

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Busy(SmtpwebError):
    """There is no capacity at present; nothing was changed. ``retry_after`` is in seconds."""

    code = "BUSY"
    title = Sentence("Service busy")

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
