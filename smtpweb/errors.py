"""What can go wrong in a way that the user should read; the doors turn each into one reply."""

from __future__ import annotations


class Sentence(str):
    """A text in English that a page may say in another language: it knows what it is made of.

    ``template`` is what translators see, with ``%(name)s`` for each of ``values``. It is a plain
    ``str`` to everybody else, so that the API and the command line say it as it is.
    """

    __slots__ = ("template", "values")
    template: str
    values: dict[str, object]

    def __new__(cls, template: str, /, **values: object) -> Sentence:
        """The template with its values filled in."""
        sentence = super().__new__(cls, template % values if values else template)
        sentence.template = template
        sentence.values = values
        return sentence


class SmtpwebError(Exception):
    """``code`` is stable, ``title`` the documented text, ``detail`` what happened this time."""

    code = "ERROR"
    title: str = Sentence("Error")

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title


class ConfigError(SmtpwebError):
    """A setting that cannot be used, or an installation that is not ready; stops the start."""

    code = "CONFIG"
    title = Sentence("Wrong setting")


class BadInput(SmtpwebError):
    """Values that cannot be accepted. ``errors`` maps our name of each value to its messages."""

    code = "BAD_PARAMETER"
    title = Sentence("Missing required parameter or wrong parameter type")

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(told)}" for name, told in errors.items()))
        self.errors = errors


class NotAuthorized(SmtpwebError):
    """No usable credentials were shown, or they do not reach as far as this call."""

    code = "NOT_AUTHORIZED"
    title = Sentence("User not authorized")


class CredentialsNotValid(SmtpwebError):
    """A wrong login, or a token that is unknown, expired or revoked."""

    code = "CREDENTIALS_NOT_VALID"
    title = Sentence("Credentials not valid")


_NOT_FOUND = {
    "App": (
        Sentence("App not found"),
        Sentence("There is no App with this id in your account."),
    ),
    "SMTP": (
        Sentence("SMTP not found"),
        Sentence("There is no SMTP with this id in your account."),
    ),
    "Check": (
        Sentence("Check not found"),
        Sentence("There is no Check with this id in your account."),
    ),
    "Token": (
        Sentence("Token not found"),
        Sentence("There is no Token with this id in your account."),
    ),
    "Link": (
        Sentence("Link not found"),
        Sentence("This link is not complete, or the check that it belongs to was removed."),
    ),
    "Window": (
        Sentence("Window not found"),
        Sentence("There is no maintenance window with this id in your account."),
    ),
    "User": (Sentence("User not found"), Sentence("There is no User of this name.")),
}


class NotFound(SmtpwebError):
    """There is no such thing, or it belongs to somebody else: the two are never told apart."""

    def __init__(self, what: str) -> None:
        self.code = f"{what.upper()}_NOT_FOUND"
        self.title, detail = _NOT_FOUND[what]
        super().__init__(detail)


class NameTaken(SmtpwebError):
    """Another app of the same user has this name already."""

    code = "APP_NAME_TAKEN"
    title = Sentence("App name already in use")


class QuotaReached(SmtpwebError):
    """As many apps or SMTP servers as a setting allows."""

    code = "QUOTA_REACHED"
    title = Sentence("No more of them are allowed")


class KeyReused(SmtpwebError):
    """The key of a request that creates a thing once was used for another request before."""

    code = "IDEMPOTENCY_KEY_REUSED"
    title = Sentence("Idempotency-Key already used")


class SecretUnreadable(SmtpwebError):
    """A sealed SMTP password that no key opens."""

    code = "SMTP_PASSWORD_UNREADABLE"
    title = Sentence("The stored SMTP password cannot be read: enter it again")


class EditConflict(SmtpwebError):
    """The thing was changed by somebody else after this form was opened."""

    code = "EDIT_CONFLICT"
    title = Sentence("Changed by somebody else meanwhile")


class TooMany(SmtpwebError):
    """This client asked too often; ``retry_after`` is in seconds."""

    code = "TOO_MANY_REQUESTS"
    title = Sentence("Too many requests")

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Busy(SmtpwebError):
    """We have no place for this now; nothing was changed. ``retry_after`` is in seconds."""

    code = "BUSY"
    title = Sentence("Service busy")

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
