"""Turn a pasted text into the incident that it tells of."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ..core.failure import Symptom
from ..core.raw_reply import RawReply
from ..core.types import Encryption, Stage
from . import dialogue, replies, wordings
from .dialogue import Dialogue
from .endpoint import endpoint_in
from .incident import Endpoint, Incident

# Symptoms of the connection: with a session before them, they belong to its last command
_OF_THE_CONNECTION = frozenset({Symptom.CLOSED, Symptom.SILENT, Symptom.CONNECT_TIMEOUT})
_BANNER = re.compile(r"\b220[ -]([^\n]{3,200})")
_ACCEPTED = re.compile(r"(?<![0-9.])250 (?:2\.[0-9]\.[0-9] )?[^\n]{0,200}", re.ASCII)
_MAIL_FROM = re.compile(r"(?:\bfrom=|MAIL FROM: ?)<([^<>\s]{1,254})>", re.IGNORECASE)
_RCPT_TO = re.compile(
    r"(?:\bto=<|RCPT TO: ?<|Final-Recipient: ?rfc822; ?)([^<>\s,;]{1,254})", re.IGNORECASE
)
_USERNAME = re.compile(
    r"\b(?:username|user name|user|login)\b[\"']?[ \t]{0,4}[:=]{0,2}>?[ \t]{0,4}[\"']"
    r"([^\"'\s()]{1,254})[\"']",
    re.IGNORECASE,
)
_SENT = re.compile(r"stat(?:us)?=sent\b", re.IGNORECASE)
_WINDOW = 600  # characters round a reply that may tell its stage


def incident_in(text: str) -> Incident | None:
    """What happened; None where the text holds no sign of an SMTP failure or success.

    ``text`` is unwrapped and masked already.
    """
    session = dialogue.read(text)
    endpoint = endpoint_in(text, guess=session is None)
    if session is not None:
        endpoint = _with_session(endpoint, session)
        if found := _of_session(session, text, endpoint):
            return found
    folded = wordings.folded(text)
    quoted = replies.reply_in(text)
    wording = wordings.symptom_in(folded)
    if quoted is None and wording is None:
        quoted = replies.enhanced_alone_in(text)
    facts = _facts(endpoint, session, text)
    if quoted is not None:
        start = max(0, quoted.start - _WINDOW)
        near = wordings.folded(text[start : quoted.start + _WINDOW])
        stage = wordings.stage_of(near, quoted.reply)
        return Incident(stage, Symptom.REFUSED, quoted.reply, facts | _by_stage(stage, facts))
    if wording is not None:
        stage, symptom = wording.stage, wording.symptom or Symptom.REFUSED
        if session is not None and symptom in _OF_THE_CONNECTION and session.banner:
            stage = session.at if session.awaited else dialogue.stage_after(session.at)
            symptom = Symptom.SILENT if symptom is Symptom.CONNECT_TIMEOUT else symptom
        return Incident(stage, symptom, None, facts)
    if _SENT.search(text):
        if accepted := _ACCEPTED.search(text):
            said = accepted[0][4:].encode()
            return Incident(Stage.ACCEPTED, Symptom.NONE, RawReply(250, (said,)), facts)
        return Incident(Stage.ACCEPTED, Symptom.NONE, None, facts)
    if session is not None and (session.closed or session.awaited) and session.banner:
        return Incident(session.at, Symptom.CLOSED, None, facts)
    return None


def _of_session(session: Dialogue, text: str, endpoint: Endpoint) -> Incident | None:
    facts = _facts(endpoint, session, text)
    if session.failures:
        stage, reply = session.failures[0]
        return Incident(stage, Symptom.REFUSED, reply, facts)
    if session.accepted is not None:
        return Incident(Stage.ACCEPTED, Symptom.NONE, session.accepted, facts)
    return None


def _with_session(endpoint: Endpoint, session: Dialogue) -> Endpoint:
    if endpoint.encryption:
        return endpoint
    if session.starttls:
        return replace(endpoint, encryption=str(Encryption.STARTTLS))
    if session.encrypted:
        return replace(endpoint, encryption=str(Encryption.IMPLICIT))
    if session.ehlo:
        return replace(endpoint, encryption=str(Encryption.NONE))
    return endpoint


def _facts(endpoint: Endpoint, session: Dialogue | None, text: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"host": endpoint.host, "encryption": endpoint.encryption}
    facts |= _addresses(text)
    if endpoint.port is not None:
        facts["port"] = endpoint.port
    if session is not None:
        facts |= {"banner": session.banner, "ehlo": session.ehlo}
        facts["mail_from"] = session.mail_from or facts.get("mail_from", "")
        facts["rcpt_to"] = session.rcpt_to or facts.get("rcpt_to", "")
        if session.auth_tried or session.at in (Stage.MAIL, Stage.RCPT, Stage.DATA):
            facts["authenticated"] = session.authenticated
    elif found := _BANNER.search(text):
        facts["banner"] = found[1]
    return {name: value for name, value in facts.items() if value != ""}


def _addresses(text: str) -> dict[str, str]:
    """Sender, recipient and user name, where a log line or an exception names them."""
    found = {
        "mail_from": _MAIL_FROM.search(text),
        "rcpt_to": _RCPT_TO.search(text),
        "username": _USERNAME.search(text),
    }
    return {name: match[1] for name, match in found.items() if match}


def _by_stage(stage: Stage, facts: dict[str, Any]) -> dict[str, Any]:
    return {"authenticated": False} if stage is Stage.AUTH and "authenticated" not in facts else {}
