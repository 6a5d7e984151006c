"""What a label fixes besides the cause: whose move it is, and whether waiting helps."""

from __future__ import annotations

from typing import Any

from smtpweb.mailcheck import Encryption, Report, Stage

from .scripted import Script

# The first that a label begins with decides; a label that fixes neither is not listed. From is set
# in the app or at the provider, so a refused one may be either's.
_SIDES: tuple[tuple[str, frozenset[str]], ...] = (
    ("recipient", frozenset({"app"})),
    ("relaying", frozenset({"settings", "smtp"})),
    ("login: switched off", frozenset({"smtp"})),
    ("login", frozenset({"settings", "smtp"})),
    ("encryption needed", frozenset({"settings"})),
    ("sender: the From address is not verified", frozenset({"smtp", "app"})),
    ("sender", frozenset({"app"})),
    ("our address: not let in here", frozenset({"machine", "smtp"})),
    ("our", frozenset({"machine"})),
    ("limit", frozenset({"smtp"})),
    ("server", frozenset({"smtp"})),
)
_TEMPORARY: tuple[tuple[str, bool], ...] = (
    ("recipient: cannot be verified", True),
    ("recipient: gets too much", True),
    ("recipient: mailbox full", True),
    ("recipient", False),
    ("relaying", False),
    ("login", False),
    ("encryption", False),
    ("sender", False),
    ("our address: no name", False),
    ("our address: not let in", False),
    ("our EHLO", False),
    ("limit", True),
    ("greylisting", True),
    ("server: in trouble", True),
    ("server: no room", True),
    ("mail: against", False),
    ("mail", False),
)
# The product's field for the side that a case names
CASE_SIDES = {
    "provider account": {"smtp", "app", "settings"}, "settings": {"settings", "app"},
    "network": {"machine"}, "policy": {"smtp"}, "server": {"smtp"},
}  # fmt: skip


def of_label(label: str, report: Report) -> dict[str, bool]:
    """Return whether side and temporary are right, where ``label`` fixes them."""
    right: dict[str, bool] = {}
    sides = next((sides for begin, sides in _SIDES if label.startswith(begin)), None)
    if sides is not None:
        right["side"] = str(report.side) in sides
    temporary = next((value for begin, value in _TEMPORARY if label.startswith(begin)), None)
    if temporary is not None:
        right["temporary"] = report.temporary is temporary
    return right


def of_case(case: dict[str, Any], report: Report) -> dict[str, bool]:
    """Return whether side and temporary are right, where the case fixes them."""
    right: dict[str, bool] = {}
    if "side" in case:
        right["side"] = report.side in CASE_SIDES[case["side"]]
    if "side_field" in case:
        right["side"] = report.side in case["side_field"]
    if "temporary" in case:
        right["temporary"] = report.temporary is case["temporary"]
    return right


def script_of_case(name: str, case: dict[str, Any]) -> Script:
    """Build a server that does to a check what the case describes."""
    plain = name == "report-tls-wanted-at-auth"
    default = "none" if plain else "starttls"
    return Script(
        Stage(case["stage"]),
        case.get("reply"),
        host=case.get("host", "mail.example.com"),
        port=case.get("port", 587),
        encryption=Encryption(case.get("encryption", default)),
        auth=case.get("auth", case.get("authenticated", True)),
        greeting=case.get("banner", ""),
        ehlo=case.get("ehlo"),
        username=case.get("username", "app@example.com"),
        mail_from=case.get("mail_from", "app@example.com"),
        certificate_by=case.get("stranger", ""),
        connects=case.get("event") != "connect-timeout",
        open_modes=tuple(
            (int(port), Encryption(mode))
            for port, mode in (one.split("/") for one in case.get("open", ()))
        ),
    )
