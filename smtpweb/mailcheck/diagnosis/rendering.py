"""Render a cause: fill the facts of the check into its texts."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..core.redaction import cut
from .catalogue import Cause

MAX_TEXT = 1000

# The facts that an entry may name in braces, with the default text if a fact is unknown.
FACTS = {
    "host": "the host",
    "port": "the port",
    "stage": "this stage",
    "mail_from": "the From address",
    "rcpt_to": "the test address",
    "username": "the user name",
    "address": "the address",
    "range": "a denied range",
    "range_name": "a denied range",
    "setting": "",
    "words": "not said",
    "outcomes": "no answer",
    "protocol": "another protocol",
    "offered": "none",
    "banner": "another server",
    "ehlo": "our name",
    "own_name": "this machine",
    "local": "this machine's address",
    "timeout": "some",
    "field": "user name or password",
    "position": "some position",
    "names": "other names",
    "subject": "another name",
    "issuer": "an issuer that is not known here",
    "expires": "a day that has passed",
    "provider": "the provider",
    "mechanism": "the mechanism",
    "code": "none",
    "pointer": "",
    "list": "",
    "submission_host": "",
    "app_password_page": "",
    "settings_page": "",
    "sender_page": "",
    "status_page": "",
    "unblock_page": "",
    "quota_page": "",
    "notice": "",
    "notice_2": "",
    "other_port": "another port",
    "other_encryption": "another encryption",
    "fault_subject": "a certificate of the chain",
    "fault_expires": "a day that has passed",
    "interceptor": "a program or proxy",
    "breach": "the line is no SMTP reply",
    "line": "(not shown)",
    "token_host": "the token endpoint",
    "token_error": "an error without a name",
    "token_words": "",
    "client_id": "with this ID",
    "tenant": "with this name",
    "scope": "(none)",
    "grant": "unknown",
    "status": "unknown",
    "clock_minutes": "",
    "clock_direction": "",
    "aadsts": "",
    "token_status": "",
    "token_reason": "without a further reason",
    "token_scope": "",
    "token_audience": "",
    "token_permissions": "",
    "token_tenant": "",
    "token_user": "",
    "token_expires": "a moment that has passed",
    "pinned": "another key",
    "presented": "an unknown key",
    "source": "the chosen address",
}

# Added after the other steps if the check waited in vain until its deadline
DEADLINE_STEP = (
    "The check ended at its time limit of {timeout} s. If the server is only slow, the"
    " administrator of this installation can raise it: SMTPWEB_CHECK_TIMEOUT."
)

# Added if an authorization server said in its own words why it issued no access token
TOKEN_STEP = "The authorization server's own words: {token_words}"  # noqa: S105 - not a secret
AADSTS_STEP = (
    "Microsoft explains this error here: https://login.microsoftonline.com/error?code={aadsts}"
)

ADDED_STEPS = (TOKEN_STEP, AADSTS_STEP, DEADLINE_STEP)

# A step that names one of these is omitted if the reply does not contain it.
OPTIONAL = frozenset(name for name, stand_in in FACTS.items() if not stand_in) - {"setting"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A cause in the reader's language."""

    title: str
    meaning: str
    steps: tuple[str, ...]


def render(
    cause: Cause, facts: Mapping[str, str], translate: Callable[[str], str] = str
) -> Rendered:
    """Render ``cause``. ``translate`` gets a template or a default text of :data:`FACTS`."""

    def text(template: str) -> str:
        filled = {
            name: str(facts[name]) if facts.get(name) else translate(FACTS[name])
            for name in names_in(template)
        }
        return cut(string.Formatter().vformat(translate(template), (), filled), MAX_TEXT)

    steps = tuple(
        text(step)
        for step in (
            *cause.steps,
            TOKEN_STEP,
            AADSTS_STEP,
            DEADLINE_STEP if facts.get("deadline") else "",
        )
        if step and not any(not facts.get(name) for name in names_in(step) & OPTIONAL)
    )
    return Rendered(cut(text(cause.title)), text(cause.meaning), steps)


def names_in(template: str) -> set[str]:
    """Return the facts that a text names."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
