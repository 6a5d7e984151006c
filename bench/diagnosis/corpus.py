"""The labelled replies, and which causes are right for a label."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.diagnosis.catalogue import causes_by_id

DATA = Path(__file__).parent / "data"

# The causes that are right for a label, and the stage at which such replies come if the source
# does not say. A cause of a provider (SMTP_QUOTA for any SMTP_..._QUOTA) stands beside its kin.
_UNKNOWN = {"SMTP_RCPT_UNKNOWN", "SMTP_RCPT_UNKNOWN_BY_WORDS"}
_CLIENT = {"SMTP_CLIENT_BLOCKLISTED", "SMTP_CLIENT_REPUTATION", "SMTP_CLIENT_MUST_RELAY"}
_LIMIT = {"SMTP_QUOTA", "SMTP_GMAIL_DAILY_QUOTA", "SMTP_SES_THROTTLED", "SMTP_PLAN_USED_UP"}
_LABELS: dict[str, tuple[Stage, set[str]]] = {
    "recipient: no such address": (Stage.RCPT, _UNKNOWN | {"SMTP_RCPT_DOMAIN_UNKNOWN"}),
    "recipient: its domain does not exist or takes no mail":
        (Stage.RCPT, {"SMTP_RCPT_DOMAIN_UNKNOWN"} | _UNKNOWN),
    "recipient: mailbox full": (Stage.RCPT, {"SMTP_RCPT_MAILBOX_FULL"}),
    "recipient: mailbox switched off, suspended or inactive":
        (Stage.RCPT, {"SMTP_RCPT_MAILBOX_DISABLED"}),
    "recipient: it, or its organisation, wants no mail from this sender":
        (Stage.RCPT, {"SMTP_RCPT_REFUSES_SENDER"}),
    "recipient: gets too much mail just now": (Stage.RCPT, {"SMTP_RCPT_RATE"}),
    "recipient: cannot be verified or served just now": (Stage.RCPT, {"SMTP_RCPT_UNAVAILABLE"}),
    "relaying: the server does not pass on mail for us":
        (Stage.RCPT, {"SMTP_RCPT_RELAY_DENIED", "SMTP_RCPT_RELAY_DENIED_LOGGED_IN"}),
    "login: none was made and one is needed":
        (Stage.MAIL, {"SMTP_LOGIN_REQUIRED", "SMTP_MICROSOFT_LOGIN_REQUIRED",
                      "SMTP_SENDGRID_LOGIN_REQUIRED"}),
    "login: name or password refused":
        (Stage.AUTH, {"SMTP_AUTH_WRONG_CREDENTIALS", "SMTP_AUTH_GMAIL_BAD_CREDENTIALS"}),
    "login: an app password or a sign-in by browser is needed":
        (Stage.AUTH, {"SMTP_AUTH_APP_PASSWORD", "SMTP_AUTH_GMAIL_BROWSER", "SMTP_AUTH_BROWSER"}),
    "login: switched off, or the account is locked":
        (Stage.AUTH, {"SMTP_AUTH_NOT_ENABLED", "SMTP_AUTH_ACCOUNT_LOCKED",
                      "SMTP_AUTH_MICROSOFT_SMTP_AUTH_OFF", "SMTP_AUTH_MICROSOFT_BASIC_OFF",
                      "SMTP_ACCOUNT_SUSPENDED", "SMTP_MICROSOFT_BLOCKED_SENDER",
                      "SMTP_AUTH_PASSWORDS_OFF", "SMTP_AUTH_MICROSOFT_SECURITY_DEFAULTS"}),
    "encryption needed":
        (Stage.MAIL, {"SMTP_STARTTLS_REQUIRED", "SMTP_ENCRYPTION_INSUFFICIENT",
                      "SMTP_AUTH_BEFORE_TLS"}),
    "sender: the From address is refused": (Stage.MAIL, {"SMTP_FROM_BARRED"}),
    "sender: the From address or its domain does not exist":
        (Stage.MAIL, {"SMTP_FROM_VERIFY_FAILED", "SMTP_FROM_DOMAIN_UNKNOWN"}),
    "sender: the From address is malformed": (Stage.MAIL, {"SMTP_MAIL_FROM_SYNTAX"}),
    "sender: this login may not use this From address":
        (Stage.MAIL, {"SMTP_FROM_NOT_OWNED", "SMTP_FROM_MICROSOFT_SEND_AS",
                      "SMTP_FROM_EXCHANGE_SEND_AS", "SMTP_ZOHO_FROM", "SMTP_YAHOO_FROM"}),
    "sender: the From address is not verified at the provider":
        (Stage.DATA, {"SMTP_FROM_NOT_VERIFIED", "SMTP_SES_NOT_VERIFIED", "SMTP_SENDGRID_SENDER",
                      "SMTP_ZEPTOMAIL_SENDER", "SMTP_POSTMARK_SENDER", "SMTP_MAILGUN_SANDBOX"}),
    "sender: SPF, DKIM or DMARC fail":
        (Stage.DATA, {"SMTP_FROM_SPF", "SMTP_FROM_DMARC", "SMTP_FROM_UNAUTHENTICATED"}),
    "sender: its domain is on a block list or has a bad name":
        (Stage.MAIL, {"SMTP_FROM_DOMAIN_LISTED", "SMTP_FROM_BARRED"}),
    "our address: on a block list, of bad name, or held off for it": (Stage.RCPT, _CLIENT),
    "our address: no name in DNS (PTR)": (Stage.RCPT, {"SMTP_CLIENT_NO_REVERSE_DNS"}),
    "our address: not let in here":
        (Stage.GREETING, {"SMTP_CLIENT_REFUSED", "SMTP_CLIENT_REJECTED", "SMTP_BREVO_IP",
                          "SMTP_CLIENT_NETWORK_BARRED", "SMTP_CLIENT_MUST_RELAY"}),
    "our EHLO name":
        (Stage.EHLO, {"SMTP_EHLO_NAME_NOT_FULL", "SMTP_EHLO_NAME_UNKNOWN", "SMTP_EHLO_GMAIL_NAME",
                      "SMTP_EHLO_REFUSED"}),
    "limit: too many connections":
        (Stage.GREETING, {"SMTP_TOO_MANY_CONNECTIONS", "SMTP_MICROSOFT_CONCURRENT"}),
    "limit: too many recipients": (Stage.RCPT, {"SMTP_RCPT_TOO_MANY"}),
    "limit: too much mail from us": (Stage.DATA, _LIMIT),
    "greylisting: come again later": (Stage.RCPT, {"SMTP_RCPT_GREYLISTED", "SMTP_TRY_LATER"}),
    "server: in trouble or too busy just now":
        (Stage.MAIL, {"SMTP_SERVER_BUSY", "SMTP_SERVER_PROBLEM", "SMTP_SERVER_FAULT"}),
    "server: a fault of its own that waiting may not mend":
        (Stage.DATA, {"SMTP_SERVER_FAULT", "SMTP_SERVER_PROBLEM"}),
    "server: no room for mail": (Stage.MAIL, {"SMTP_SERVER_STORAGE"}),
    "mail: too big": (Stage.DATA, {"SMTP_MAIL_TOO_BIG", "SMTP_MAIL_TOO_BIG_BY_WORDS"}),
    "mail: taken for spam": (Stage.DATA, {"SMTP_DATA_SPAM"}),
    "mail: taken for a virus": (Stage.DATA, {"SMTP_DATA_VIRUS"}),
    "mail: headers or MIME break the rules": (Stage.DATA, {"SMTP_DATA_FORMAT"}),
    "mail: against a policy of the receiver":
        (Stage.DATA, {"SMTP_REFUSED_BY_POLICY", "SMTP_DATA_ATTACHMENT"}),
    "mail: goes round in a loop": (Stage.DATA, {"SMTP_LOOP"}),
}  # fmt: skip

# They accuse nobody and name no cause
GENERIC = frozenset({
    "SMTP_GREETING_REFUSED", "SMTP_EHLO_REFUSED", "SMTP_AUTH_REFUSED", "SMTP_MAIL_REFUSED",
    "SMTP_RCPT_REFUSED", "SMTP_DATA_REFUSED", "SMTP_STARTTLS_REFUSED", "SMTP_FAILED",
    "SMTP_TRY_LATER", "SMTP_REFUSED_BY_POLICY", "SMTP_AUTH_REFUSED_FOR_NOW",
})  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """One reply with its label; ``held_back`` ones are only measured."""

    label: str
    provider: str
    stage: Stage
    lines: tuple[str, ...]
    held_back: bool

    def verdict(self, code: str) -> str:
        """Whether the cause ``code`` is "right", "generic" or "misleading" for it."""
        if code in _LABELS[self.label][1]:
            return "right"
        return "generic" if code in GENERIC else "misleading"

    def meanings(self) -> frozenset[str]:
        """The meanings that are right for it; none if it says no cause."""
        return _meanings_of(_LABELS[self.label][1])


def replies() -> Iterator[Labelled]:
    """All labelled replies."""
    for line in (DATA / "replies.tsv").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith(("#", "label\t")):
            continue
        label, provider, stage, reply = line.split("\t")
        held_back = int(hashlib.sha256(reply.encode()).hexdigest(), 16) % 5 == 0
        yield Labelled(
            label, provider, Stage(stage) if stage else _LABELS[label][0],
            tuple(reply.split("|")), held_back,
        )  # fmt: skip


def _meanings_of(codes: Iterable[str]) -> frozenset[str]:
    causes = (causes_by_id().get(code) for code in codes)
    return frozenset().union(*(cause.means for cause in causes if cause is not None)) - {"", "*"}


def cases() -> dict[str, dict[str, Any]]:
    """The real failures of submission, by name."""
    return tomllib.loads((DATA / "cases.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Wording:
    """What a submission server says; the code of its cause must hold one of ``causes``."""

    stage: Stage
    host: str
    lines: tuple[str, ...]
    causes: tuple[str, ...]

    def verdict(self, code: str) -> str:
        """Whether the cause ``code`` is "right", "generic" or "misleading" for it."""
        if any(part in code for part in self.causes):
            return "right"
        return "generic" if code in GENERIC else "misleading"

    def meanings(self) -> frozenset[str]:
        """The meanings that are right for it; none if it says no cause."""
        return _meanings_of(code for code in causes_by_id() if self.verdict(code) == "right")


def wordings() -> Iterator[Wording]:
    """All wordings of submission servers."""
    for stage, host, reply, causes in _rows("wordings.tsv"):
        yield Wording(Stage(stage), host, tuple(reply.split("|")), tuple(causes.split("|")))


# The meanings that are right for a label of unseen.tsv
_MEANINGS = {
    "rcpt-unknown": {"recipient-unknown"},
    "rcpt-domain": {"recipient-domain-unknown"},
    "full": {"mailbox-full"},
    "disabled": {"mailbox-disabled"},
    "rcpt-refuses": {"recipient-refuses-sender"},
    "rcpt-rate": {"recipient-rate"},
    "rcpt-unavail": {"recipient-unavailable"},
    "relay": {"relay-denied", "authentication-required"},
    "spf": {"sender-authentication"},
    "from-listed": {"sender-domain-listed"},
    "from-refused": {"sender-refused"},
    "from-unknown": {"sender-unknown", "sender-domain-unknown"},
    "from-syntax": {"sender-malformed"},
    "from-owned": {"sender-not-owned"},
    "from-verify": {"sender-not-verified"},
    "ip-listed": {"ip-listed", "ip-reputation", "ip-must-use-relay"},
    "must-relay": {"ip-must-use-relay", "ip-listed"},
    "rdns": {"no-reverse-dns"},
    "ehlo": {"ehlo-name-not-full", "ehlo-name-unknown"},
    "client-refused": {"client-refused", "geo-or-network-policy", "ip-not-on-allow-list"},
    "allowlist": {"ip-not-on-allow-list"},
    "connections": {"too-many-connections"},
    "recipients": {"too-many-recipients"},
    "rate": {"message-rate"},
    "grey": {"greylisted", "try-later"},
    "trouble": {"server-trouble", "server-fault"},
    "fault": {"server-fault", "server-trouble"},
    "storage": {"storage-full"},
    "big": {"too-big"},
    "spam": {"spam"},
    "virus": {"virus"},
    "attachment": {"attachment-policy"},
    "format": {"message-format", "protocol-fault"},
    "loop": {"loop"},
    "policy": {"policy"},
    "tls": {"tls-required"},
    "creds": {"credentials-wrong"},
    "app-password": {"app-password-required"},
    "auth-off": {"authentication-disabled", "sign-in-policy"},
    "oauth": {"oauth-required"},
    "browser": {"browser-sign-in-required"},
    "attempts": {"too-many-attempts"},
    "suspended": {"account-suspended"},
    "unconfirmed": {"account-unconfirmed"},
    "plan": {"plan-used-up"},
    "permission": {"permission-missing"},
    "login": {"authentication-required"},
    "mechanism": {"mechanism-unavailable"},
    "authdown": {"authentication-service-down"},
    "sandbox": {"recipient-not-authorised"},
    "password": {"password-unfit"},
    "resolver": {"resolver-refused"},
    "protocol": {"protocol-fault"},
    "duplicate": {"duplicate-message"},
    "moved": {"recipient-moved"},
    "nested": {"nested-mail"},
    "same": {"sender-is-recipient"},
    "unclear": set(),
}  # fmt: skip


@dataclass(frozen=True)
class Unseen:
    """A reply that the phrases were not written for; ``counted``: never shown, only counted."""

    label: str
    host: str
    stage: Stage
    lines: tuple[str, ...]
    counted: bool

    def verdict(self, code: str) -> str:
        """Whether the cause ``code`` is "right", "generic" or "misleading" for it."""
        cause = causes_by_id().get(code)
        if cause is not None and cause.means & self.meanings():
            return "right"
        if code in GENERIC:
            return "right" if "unclear" in self.label.split("|") else "generic"
        return "misleading"

    def meanings(self) -> frozenset[str]:
        """The meanings that are right for it; none if it says no cause."""
        return frozenset().union(*(_MEANINGS[label] for label in self.label.split("|")))


def unseen() -> Iterator[Unseen]:
    """All replies of unseen.tsv."""
    for label, host, stage, reply in _rows("unseen.tsv"):
        counted = int(hashlib.sha256(reply.encode()).hexdigest(), 16) % 2 == 0
        yield Unseen(label, host, Stage(stage), tuple(reply.split("|")), counted)


def found() -> Iterator[Unseen]:
    """All replies of found.tsv."""
    yield from _with_sources("found.tsv")


def fresh() -> Iterator[Unseen]:
    """All replies of fresh.tsv."""
    yield from _with_sources("fresh.tsv")


def collected() -> Iterator[Unseen]:
    """All replies of collected.tsv."""
    yield from _with_sources("collected.tsv", parts=2)


def _with_sources(name: str, parts: int = 3) -> Iterator[Unseen]:
    for label, host, stage, _, reply in _rows(name):
        counted = int(hashlib.sha256(reply.encode()).hexdigest(), 16) % parts == 0
        yield Unseen(label, host, Stage(stage), tuple(reply.split("|")), counted)


def written() -> Iterator[tuple[str, str, Stage, tuple[str, ...]]]:
    """Meaning, host, stage and lines of the replies that only teach the classifier."""
    for meaning, host, stage, reply in _rows("written.tsv"):
        yield meaning, host, Stage(stage), tuple(reply.split("|"))


def meanings() -> Iterator[tuple[Stage, str, str]]:
    """Stage, meaning and reply; the lines of a reply are joined by "|"."""
    for stage, meaning, reply in _rows("meanings.tsv"):
        yield Stage(stage), meaning, reply


def _rows(name: str) -> Iterator[list[str]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line and not line.startswith(("#", "stage\t", "label\t", "meaning\t")):
            yield line.split("\t")
