"""How a check connects to an SMTP server: what must fit together, and the key of our certificate.

The key is bound like a password: if the server or the way to it changes, it is not used there, and
has to be entered again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from .. import installation
from ..database.models import Smtp
from ..errors import BadInput, Sentence
from ..mailcheck.core import trust
from ..mailcheck.core.options import PASSWORD_MECHANISMS, TOKEN_MECHANISMS, OptionError
from ..mailcheck.core.trust import ClientIdentity
from . import fields

T = TypeVar("T", bound=Mapping[str, Any])


def without_automatic(changes: T) -> T:
    """Return the changes with null for what is to be automatic again."""
    return cast(
        T,
        {
            name: None if value == "" and name in fields.CONNECTION else value
            for name, value in changes.items()
        },
    )


def settle(smtp: Smtp, changes: Mapping[str, Any], *, moved: bool) -> None:
    """Check the settings of the connection against each other; seal, keep or forget the key.

    ``moved``: the server has changed in a way that a secret must not follow. Raises
    :class:`BadInput`.
    """
    faults: dict[str, list[str]] = {}
    usable = TOKEN_MECHANISMS if smtp.uses_oauth else PASSWORD_MECHANISMS
    if smtp.mechanism and smtp.auth and smtp.mechanism not in usable:
        faults["mechanism"] = [
            Sentence("Must be one of %(list)s, as the server signs in.", list=", ".join(usable))
        ]
    if smtp.cacertificates and smtp.certificatepin:
        faults["certificatepin"] = [Sentence("Trust either a CA or one key, not both.")]
    faults |= _settle_key(smtp, changes, moved=moved)
    if faults:
        raise BadInput(faults)


def _settle_key(smtp: Smtp, changes: Mapping[str, Any], *, moved: bool) -> dict[str, list[str]]:
    given = changes.get("clientkey") or None
    if smtp.clientcertificate is None:
        smtp.clientkey_sealed = None
        if given:
            return {"clientcertificate": [Sentence("Enter the certificate of this key, too.")]}
        return {}
    if given is None and smtp.clientkey_sealed is None:
        return {"clientkey": [Sentence("Enter the private key of the client certificate.")]}
    if given is None and moved:
        text = Sentence("For safety, enter it again: the server or the way to it changed.")
        return {"clientkey": [text]}
    if given is None and "clientcertificate" not in changes:
        return {}
    key = given or open_key(smtp) or ""
    try:
        trust.require_fit(smtp.clientcertificate, key)
    except OptionError as error:
        return {"clientkey": [Sentence(error.template, **error.values)]}
    if given:
        _seal_key(smtp, key)
    return {}


def _seal_key(smtp: Smtp, key: str) -> None:
    smtp.clientkey_sealed = installation.secret_box().seal(smtp.id, key)


def open_key(smtp: Smtp) -> str | None:
    """Return the key of the client certificate; raise :class:`SecretUnreadable`."""
    if smtp.clientkey_sealed is None:
        return None
    return installation.secret_box().open(smtp.id, smtp.clientkey_sealed)


def identity_of(smtp: Smtp) -> ClientIdentity | None:
    """Return our certificate for an SMTP server; raise :class:`SecretUnreadable`."""
    key = open_key(smtp)
    if smtp.clientcertificate is None or key is None:
        return None
    return ClientIdentity(smtp.clientcertificate, key)


def copy_key(original: Smtp, made: Smtp) -> None:
    """Seal the key of an SMTP server again for its copy, as it opens in its own row only."""
    key = open_key(original)
    if key is not None:
        _seal_key(made, key)
