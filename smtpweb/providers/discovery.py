"""Find the outgoing server for an address: known providers, SRV records, MX records."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.resolver
import idna
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.SRV import SRV

from .. import mailcheck, validators
from ..errors import BadInput, Sentence
from ..mailcheck import Answer, EgressPolicy, Encryption, Target
from ..mailcheck.core.addresses import parse_mailbox
from . import presets
from .presets import Choice

MOST_PROPOSALS = 4
DNS_LIFETIME = 4.5  # seconds per query; all are sent concurrently
PROBE_LIMIT = 8.0  # seconds, likewise
_MODES_OF_A_PROVIDER = 2

# RFC 8314 3.3 and RFC 6186 3.1
_SERVICES = {"_submissions": Encryption.IMPLICIT, "_submission": Encryption.STARTTLS}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A server to send through. ``source`` says where the proposal comes from.

    ``strange``: outside the domain, and known from DNS only (RFC 6186 6 requires confirmation).
    """

    host: str
    port: int
    encryption: Encryption
    source: Sentence
    strange: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """A proposal, and the response of its server."""

    proposal: Proposal
    answer: Answer


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search, responding servers first. ``notes`` are about the search itself."""

    domain: str
    tried: tuple[Tried, ...]
    notes: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """The connection settings for probing the servers: the same as for checks."""

    policy: EgressPolicy
    ehlo_name: str | None = None
    ca_file: Path | None = None


def find(address: str, resolver: dns.resolver.Resolver, reach: Reach) -> Found:
    """Search, and probe each server that is found; takes at most 13 seconds.

    Raises :class:`BadInput`.
    """
    domain = _domain(address)
    known = presets.of_domain(domain)
    notes: list[Sentence] = []
    if known is not None:
        wanted = _of_choice(known, Sentence("Known provider: %(name)s", name=known.preset.name))
    else:
        wanted, notes = _ask_dns(domain, resolver)
    proposals = _without_repeats(wanted)[:MOST_PROPOSALS]
    answers = mailcheck.probe([_target(proposal, reach) for proposal in proposals])
    tried = [Tried(*both) for both in zip(proposals, answers, strict=True)]
    # In Unicode, as typed: people do not recognise their own domain by its spelling in DNS
    return Found(
        idna.decode(domain),
        tuple(sorted(tried, key=lambda one: not one.answer.works)),
        tuple(notes),
    )


def _target(proposal: Proposal, reach: Reach) -> Target:
    return Target(
        host=proposal.host,
        port=proposal.port,
        encryption=proposal.encryption,
        mail_from="",
        rcpt_to="",
        ehlo_name=reach.ehlo_name,
        timeout=PROBE_LIMIT,
        policy=reach.policy,
        ca_file=reach.ca_file,
    )


def _without_repeats(proposals: Iterable[Proposal]) -> list[Proposal]:
    first: dict[tuple[str, int], Proposal] = {}
    for proposal in proposals:
        first.setdefault((proposal.host.lower(), proposal.port), proposal)
    return list(first.values())


def _domain(address: str) -> str:
    try:
        domain = parse_mailbox(validators.email(address)).domain
    except ValueError as error:
        raise BadInput({"email": [error.args[0]]}) from None
    if domain.startswith("["):
        raise BadInput({"email": [Sentence("An IP address has no domain to look up in DNS.")]})
    return domain


def _of_choice(choice: Choice, source: Sentence) -> list[Proposal]:
    return [
        Proposal(choice.host, mode.port, mode.encryption, source)
        for mode in choice.preset.modes[:_MODES_OF_A_PROVIDER]
    ]


# --- DNS -----------------------------------------------------------------------------------


def _ask_dns(domain: str, resolver: dns.resolver.Resolver) -> tuple[list[Proposal], list[Sentence]]:
    """Return the proposals from SRV, then MX records, and notes about the queries."""
    questions = [*((f"{service}._tcp.{domain}", "SRV") for service in _SERVICES), (domain, "MX")]
    with ThreadPoolExecutor(len(questions)) as threads:
        answers = list(threads.map(lambda one: _ask(resolver, *one), questions))
    proposals: list[Proposal] = []
    notes: list[Sentence] = []
    for service, (records, _) in zip(_SERVICES, answers, strict=False):
        found = _of_srv(domain, _SERVICES[service], records)
        if records and not found:
            notes.append(
                Sentence(
                    "The SRV record of %(domain)s says that there is no %(service)s.",
                    domain=domain,
                    service=service.removeprefix("_"),
                )
            )
        proposals += found
    exchangers, _ = answers[-1]
    proposals += _of_mx(domain, exchangers)
    notes += [note for _, note in answers if note is not None]
    return proposals, notes


def _ask(
    resolver: dns.resolver.Resolver, name: str, kind: str
) -> tuple[list[Any], Sentence | None]:
    """Return the records, empty if there are none; and a sentence on any error."""
    try:
        # Without search domains: the name is fully qualified
        answer = resolver.resolve(f"{name}.", kind, lifetime=DNS_LIFETIME, search=False)
    except dns.resolver.NoAnswer:
        return [], None
    except dns.resolver.NXDOMAIN:
        if kind == "SRV":
            return [], None
        return [], Sentence(
            "The domain %(domain)s does not exist in DNS. Check its spelling.", domain=name
        )
    except dns.exception.Timeout:
        return [], Sentence(
            "DNS did not answer in time for the %(kind)s records of %(name)s. Try again.",
            kind=kind,
            name=name,
        )
    except dns.exception.DNSException:
        return [], Sentence(
            "The %(kind)s records of %(name)s could not be looked up: its DNS servers fail"
            " or refuse to answer.",
            kind=kind,
            name=name,
        )
    return list(answer), None


def _of_srv(domain: str, encryption: Encryption, records: list[SRV]) -> list[Proposal]:
    """Apply RFC 2782: lowest priority first, then greatest weight; "." means not offered."""
    found = []
    for record in sorted(records, key=lambda one: (one.priority, -one.weight)):
        try:
            host = validators.host(record.target.to_text(omit_final_dot=True).lower())
            port = validators.port(str(record.port))
        except ValueError:
            continue
        found.append(
            Proposal(
                host,
                port,
                encryption,
                Sentence("SRV record of %(domain)s", domain=domain),
                strange=host != domain and not host.endswith(f".{domain}"),
            )
        )
    return found


def _of_mx(domain: str, records: list[MX]) -> list[Proposal]:
    """Return the servers for sending of the provider, if known, that receives a domain's email."""
    for record in sorted(records, key=lambda one: one.preference):
        choice = presets.of_mx(record.exchange.to_text(omit_final_dot=True))
        if choice is not None:
            source = Sentence(
                "Email for %(domain)s is handled by %(name)s",
                domain=domain,
                name=choice.preset.name,
            )
            return _of_choice(choice, source)
    return []
