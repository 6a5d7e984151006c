"""Explain a pasted text: mask it, read it, name the cause, and say what else would help."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..core.raw_reply import RawReply
from ..core.recorder import Recorder
from ..core.redaction import Secrets, cleaned, cut
from ..core.types import Reply, Stage
from ..diagnosis.matcher import Diagnosis, Seen, diagnose
from ..diagnosis.providers import Provider, named, provider_of, providers, role_of
from .incident import Incident
from .masking import masked
from .reading import incident_in
from .unwrapping import MAX_TEXT, TooLong, unwrapped

_PORTS = (25, 465, 587)
_MAX_FACT = 254  # characters


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a pasted text says. ``text`` is what may be shown of it: credentials are masked.

    ``diagnosis`` is None where the text tells of nothing that we know. ``asks``: "host" and
    "provider", where knowing them would change the diagnosis.
    """

    text: str
    stage: Stage | None = None
    diagnosis: Diagnosis | None = None
    reply: Reply | None = None
    provider: Provider | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    asks: tuple[str, ...] = ()


def readable(text: str) -> str:
    """``text`` without credentials and escapes; raises :class:`TooLong`."""
    if len(text) > MAX_TEXT or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise TooLong(text[:0])
    # Twice: an escape may hide a credential, and may be part of one
    return masked(unwrapped(masked(text)))


def explain(
    text: str, *, host: str = "", port: int | None = None, provider: str = ""
) -> Explanation:
    """What happened according to ``text``; what is given besides outranks what it says."""
    shown = readable(text)
    incident = incident_in(shown)
    if incident is None:
        return Explanation(shown, provider=named(provider) or provider_of(host))
    facts = incident.facts | ({"host": host} if host else {}) | ({"port": port} if port else {})
    facts = {name: _fit(value) for name, value in facts.items()}
    known = named(provider) or _provider_in(facts, incident.reply)
    if known is not None:
        facts["provider"] = known.id
    facts["symptom"] = str(incident.symptom)
    if role := role_of(str(facts.get("host", ""))):
        facts["role"] = str(role)
    return Explanation(
        text=shown,
        stage=incident.stage,
        diagnosis=_diagnosis(incident, facts),
        reply=_shown(incident.reply),
        provider=known,
        facts=facts,
        asks=tuple(_asks(incident, facts, known)),
    )


def _provider_in(facts: dict[str, Any], reply: RawReply | None) -> Provider | None:
    host, banner = str(facts.get("host", "")), str(facts.get("banner", ""))
    if found := provider_of(host, banner):
        return found
    # Google signs its replies as it signs its greeting, Microsoft names the server in brackets
    text = "" if reply is None else reply.text
    if text.rstrip().endswith("gsmtp"):
        return named("gmail")
    if ".outlook.com" in text.lower() and "[" in text:
        return named("microsoft")
    return None


def _asks(incident: Incident, facts: dict[str, Any], known: Provider | None) -> Iterator[str]:
    """Compute by trying: what is not known is asked for only if it would change the answer."""
    host = str(facts.get("host", ""))
    usual = _gist(_diagnosis(incident, facts))
    of_provider = False
    if known is None and (not host or _is_address(host)):
        groups = {one.group for one in providers()}
        of_provider = any(
            _gist(_diagnosis(incident, facts | {"provider": group})) != usual for group in groups
        )
    of_port = "port" not in facts and any(
        _gist(_diagnosis(incident, facts | {"port": port})) != usual for port in _PORTS
    )
    if of_provider or of_port:
        yield "host"
    if of_provider:
        yield "provider"


def _gist(diagnosis: Diagnosis) -> tuple[str, bool, str, str]:
    """What of a diagnosis counts: its wording differs with every host that it names."""
    return diagnosis.id, diagnosis.temporary, diagnosis.side, diagnosis.link


def _diagnosis(incident: Incident, facts: dict[str, Any]) -> Diagnosis:
    return diagnose(Seen(incident.stage, incident.symptom, incident.reply, facts))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _shown(reply: RawReply | None) -> Reply | None:
    if reply is None:
        return None
    # No credentials are known here: what looks like one was masked before the text was read
    return Recorder(time.monotonic, Secrets("", "")).reply(reply)


def _fit(value: Any) -> Any:
    return cut(cleaned(value), _MAX_FACT) if isinstance(value, str) else value


__all__ = ["MAX_TEXT", "Explanation", "TooLong", "explain", "readable"]
