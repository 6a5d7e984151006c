"""Who may get a single test email: only addresses that are the user's own, as far as we know.

A server sends to whatever address it is told, so without a rule this would be a way to send email
to strangers. The addresses of the account and of its apps are taken as the user's own; and all of
their domains, unless a provider gives addresses of that domain to anybody.
"""

from __future__ import annotations

from ..accounts.ownership import visible_apps
from ..database.models import App, User
from ..database.session import db
from ..errors import BadInput, Sentence
from ..providers import presets
from .limits import ELSEWHERE_AT_MOST as MOST

__all__ = ["MOST", "accept"]

# Of providers that are not in our list of SMTP servers
_FOR_ANYBODY = frozenset({
    "163.com", "126.com", "aol.com", "duck.com", "fastmail.com", "free.fr", "freenet.de", "gmx.at",
    "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hey.com", "hotmail.com",
    "icloud.com", "laposte.net", "libero.it", "live.com", "mac.com", "mail.com", "mail.ru",
    "me.com", "msn.com", "orange.fr", "outlook.com", "pm.me", "proton.me", "protonmail.com",
    "qq.com",
    "t-online.de", "tuta.com", "tutanota.com", "virgilio.it", "web.de", "yahoo.com", "yandex.com",
    "yandex.ru", "ymail.com", "zoho.com",
})  # fmt: skip


def accept(user_id: str, address: str) -> str:
    """Return an address that the user may send one test email to; else raise :class:`BadInput`."""
    owner = db.session.get_one(User, user_id)
    tested = visible_apps(user_id).with_only_columns(App.testemail).distinct()
    known = {_mailbox(one) for one in (owner.email, *db.session.scalars(tested))}
    mailbox, domain = _mailbox(address)
    if (mailbox, domain) in known:
        return address
    if domain in {one for _, one in known} and not _is_for_anybody(domain):
        return address
    raise BadInput(
        {
            "email": [
                Sentence(
                    "Only to an address in the domain of your account or of an app's test address,"
                    " and at a public provider only to that address itself. To use another one,"
                    " make it the test address of the app."
                )
            ]
        }
    )


def _mailbox(address: str) -> tuple[str, str]:
    """Return the mailbox and the domain in comparable form; "ana+tag" is the mailbox of "ana"."""
    local, _, domain = address.rpartition("@")
    return local.partition("+")[0].casefold() or local.casefold(), domain.casefold()


def _is_for_anybody(domain: str) -> bool:
    return domain in _FOR_ANYBODY or presets.of_domain(domain) is not None
