"""Evaluate the DNS records of a sender domain: MX, SPF, DKIM and DMARC, for one SMTP server."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from ...errors import Sentence
from ...mailcheck.core.redaction import cut
from .. import presets
from ..presets import Preset
from . import spf
from .lookup import NO_ANSWER, Finding, Lookup, State, Unknown

if TYPE_CHECKING:
    from dns.resolver import Resolver

SECONDS = 4.0  # for the card, all queries together
_LABELS = 8  # of a domain whose parents are asked for DMARC (RFC 9989 4.10)

_DMARC = re.compile(r"v=DMARC1\s*(?:;|$)", re.IGNORECASE)
_KEY = re.compile(r"(?:^|;)\s*p=\s*[A-Za-z0-9+/]")
_POLICIES = {
    "none": Sentence("none: nothing happens to it"),
    "quarantine": Sentence("quarantine: it goes to the spam folder"),
    "reject": Sentence("reject: it is refused"),
}


def examine(
    domain: str, host: str, resolver: Resolver, seconds: float = SECONDS
) -> tuple[Finding, ...]:
    """Return what DNS says about email from ``domain`` through the SMTP server ``host``.

    Asks for all records at the same time, for at most ``seconds``.
    """
    lookup, preset = Lookup(resolver, seconds), presets.of_host(host)
    rules: tuple[tuple[str, Callable[[], Finding]], ...] = (
        ("mx", partial(_mx, domain, lookup)),
        ("spf", partial(_spf, domain, preset, lookup)),
        ("dkim", partial(_dkim, domain, preset, lookup)),
        ("dmarc", partial(_dmarc, domain, lookup)),
    )
    with ThreadPoolExecutor(len(rules), "dns") as threads:
        found = list(threads.map(lambda rule: _found(*rule), rules))
    return (*found[:3], _with_alignment(*found[1:]))


def _found(subject: str, rule: Callable[[], Finding]) -> Finding:
    try:
        return rule()
    except Unknown:
        return Finding(subject, State.UNKNOWN, NO_ANSWER)


def _mx(domain: str, lookup: Lookup) -> Finding:
    hosts = lookup.exchanges(domain)
    if hosts == [""]:
        text = Sentence(
            "The domain says that it receives no email (null MX, RFC 7505), so many servers refuse"
            " email from it. Use another From address, or publish an MX record."
        )
        return Finding("mx", State.BAD, text)
    if hosts:
        return Finding("mx", State.GOOD, Sentence("It receives email."), ", ".join(hosts[:5]))
    if lookup.addresses(domain):
        text = Sentence("It has no MX record, only an address: some servers doubt such senders.")
        return Finding("mx", State.NOTE, text)
    text = Sentence(
        "It cannot receive email: bounces are lost, and many servers refuse email from it. Publish"
        " an MX record, or use another From address."
    )
    return Finding("mx", State.BAD, text)


def _spf(domain: str, preset: Preset | None, lookup: Lookup) -> Finding:
    records = spf.records(lookup.texts(domain))
    if not records:
        text = Sentence("There is no SPF record. Publish one that names the servers that may send.")
        return Finding("spf", State.BAD, text)
    if len(records) > 1:
        text = Sentence("There are several SPF records, so none of them counts. Merge them.")
        return Finding("spf", State.BAD, text, " | ".join(records[:3]))
    (record,) = records
    read = spf.read(domain, record, lookup)
    if read.lookups > spf.MAX_LOOKUPS:
        text = Sentence(
            "It takes %(number)s DNS look-ups, and more than %(most)s are an error: the record does"
            " not count. Remove what is no longer used.",
            number=read.lookups,
            most=spf.MAX_LOOKUPS,
        )
        return Finding("spf", State.BAD, text, record)
    if read.broken:
        text = Sentence(
            "It includes %(domains)s, which has no SPF record: that is an error.",
            domains=", ".join(sorted(read.broken)[:3]),
        )
        return Finding("spf", State.BAD, text, record)
    wanted = preset.spf if preset else ()
    if wanted and not read.includes & set(wanted):
        text = Sentence(
            "It does not name %(provider)s. Add %(term)s to it.",
            provider=preset.name if preset else "",
            term=f"include:{wanted[0]}",
        )
        return Finding("spf", State.BAD, text, record)
    if read.all in ("", "+"):
        text = Sentence("It lets every server send. End it with ~all or -all.")
        return Finding("spf", State.NOTE, text, record)
    text = Sentence(
        "It is in order, with %(number)s of at most %(most)s look-ups.",
        number=read.lookups,
        most=spf.MAX_LOOKUPS,
    )
    if not wanted:
        text = Sentence(
            "It is in order, with %(number)s of at most %(most)s look-ups. Whether it names this"
            " server is not known here.",
            number=read.lookups,
            most=spf.MAX_LOOKUPS,
        )
        return Finding("spf", State.NOTE, text, record)
    return Finding("spf", State.GOOD, text, record)


def _dkim(domain: str, preset: Preset | None, lookup: Lookup) -> Finding:
    owner = presets.of_domain(domain)
    if preset and owner and owner.preset.id == preset.id:
        text = Sentence(
            "%(provider)s signs email from its own domains itself.", provider=preset.name
        )
        return Finding("dkim", State.GOOD, text)
    if not preset or not preset.dkim:
        text = Sentence("Under which selectors this provider publishes keys is not known here.")
        return Finding("dkim", State.UNKNOWN, text)
    unknown = False
    for selector in preset.dkim:
        name = f"{selector}._domainkey.{domain}"
        try:
            texts = lookup.texts(name)
        except Unknown:
            unknown = True
            continue
        for record in texts:
            if _KEY.search(record):
                found = Sentence("There is a key under the selector %(name)s.", name=selector)
                return Finding("dkim", State.GOOD, found, cut(record, 80))
    if unknown:
        raise Unknown
    text = Sentence(
        "There is no key under the selectors of %(provider)s (%(list)s). Turn on DKIM there for"
        " this domain, and publish the records that it shows.",
        provider=preset.name,
        list=", ".join(preset.dkim),
    )
    return Finding("dkim", State.BAD, text)


def _dmarc(domain: str, lookup: Lookup) -> Finding:
    """Find the record by walking up the tree, which needs no list of public suffixes."""
    labels = domain.split(".")
    for start in range(max(0, len(labels) - _LABELS), len(labels) - 1):
        place = ".".join(labels[start:])
        records = [text for text in lookup.texts(f"_dmarc.{place}") if _DMARC.match(text)]
        if len(records) > 1:
            text = Sentence("There are several DMARC records, so none of them counts.")
            return Finding("dmarc", State.BAD, text, " | ".join(records[:3]))
        if records:
            return _policy(records[0], is_own=start == 0)
    text = Sentence(
        "There is no DMARC record. Gmail, Yahoo and Outlook.com want one of everybody who sends"
        " much email."
    )
    return Finding("dmarc", State.NOTE, text)


def _policy(record: str, *, is_own: bool) -> Finding:
    tags = {
        name.strip().lower(): value.strip().lower()
        for name, found, value in (tag.partition("=") for tag in record.split(";"))
        if found
    }
    policy = tags.get("p", "none")
    if not is_own:
        policy = tags.get("sp", policy)
    if policy not in _POLICIES:
        text = Sentence("Its policy is not one of none, quarantine and reject.")
        return Finding("dmarc", State.BAD, text, record)
    text = Sentence("The policy for email that fails is %(policy)s.", policy=_POLICIES[policy])
    return Finding("dmarc", State.NOTE if policy == "none" else State.GOOD, text, record)


def _with_alignment(spf_found: Finding, dkim_found: Finding, dmarc_found: Finding) -> Finding:
    """Say what follows for email through this server: SPF or DKIM has to pass for this domain."""
    known = dmarc_found.record and dmarc_found.state is State.GOOD
    if known and {spf_found.state, dkim_found.state} == {State.BAD}:
        text = Sentence(
            "Neither SPF nor DKIM passes for this domain through this server, so DMARC fails."
            " %(policy)s",
            policy=dmarc_found.text,
        )
        return Finding("dmarc", State.BAD, text, dmarc_found.record)
    return dmarc_found
