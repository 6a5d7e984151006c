"""Read a server's reply: words to match phrases on, and what is set apart from them.

URLs, contact addresses, host trailers, ids and support codes say nothing about the cause by the
words that happen to be in them. They are taken out of the words and kept apart.

In ``words`` an address is ``@`` (ours: ``@from``, ``@rcpt``, ``@user``), an IP address ``#ip``
(ours: ``#us``), a host name ``#host`` (ours: ``#ehlo``, and ``#ours`` for the From's domain).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

from ..core.raw_reply import RawReply

# A hostile server could choose words that keep us busy; the cause is named early
READ_CHARACTERS = 1000

_URL = re.compile(
    r"\b(?:https?|ftp):/{1,2}[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+"
    r"|\b(?:[a-z0-9-]+\.)+[a-z]{2,}/[^\s<>\"')\]]*",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:\[[^\]\s]+\]|[\w-]+(?:\.[\w-]+)*)")
_ENHANCED = re.compile(r"(?<![\w.])#?([245])\.(\d{1,3})\.(\d{1,3})(?![\w.]*\d\.)(?![.]?\w)")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_HOST = re.compile(
    r"(?<![\w.@-])(?:[a-z0-9_](?:[\w-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,18}(?![\w@-])",
    re.IGNORECASE,
)
# "[AM0PR02CA0107.eurprd02.prod.outlook.com 2026-…Z 08DC…]", "[Hostname=…]"
_TRAILER = re.compile(
    r"\[(?:hostname=)?[a-z0-9*.-]+\.(?:outlook|office365|exchangelabs|microsoft)\.com[^\]]*\]"
    r"|\S+(?: - | )gsmtp\b|- gsmtp\b|\s- on \S+ \d{4}.*$",
    re.IGNORECASE,
)
_SUPPORT = re.compile(
    r"\bAS\(\d+\)|\(AS\d+\)|\bIB\d{3}[a-z]?\b|\b(?:OFR|LPN|OU)\w{0,4}_\d+(?: ?\[\d+\])?"
    r"|\[(?:TSS?\d+|BL\d+|RLY:\w+|PH\d+|CS\d+|GL\d+)\]|\(#[A-Z]+\d+\)|\(#id-[\d.]+\)|\bRCP-[A-Z]\d"
    r"|\b(?:SC|DY|BAY|RP|NN)-\d{3}\b|\((?:S|G)\d[0-9A-Z]{0,3}\)|\bE-?\d{4,}\b"
)
_ID = re.compile(r"(?<![\w@#])(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{9,}(?![\w@])", re.IGNORECASE)
_CONTACT = re.compile(r"^(?:abuse|postmaster|support|contact|help|helpdesk|sales|unblock|delist"
                      r"|noc|admin|removal|spam|hostmaster)\b", re.IGNORECASE)  # fmt: skip
_ARTICLES = frozenset({"a", "an", "the"})
_ACCENTS = re.compile("[\u0300-\u036f]")
_IDEOGRAPHS = re.compile("([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])")
_APOSTROPHES = re.compile("['’‘`´]")
_PLACES = re.compile(r"[@#][a-z]*")


@dataclass(frozen=True, slots=True)
class Ours:
    """What is ours in a check, to recognise it when a server quotes it; "" is nothing."""

    address: str = ""  # our IP address on the connection
    ehlo: str = ""
    mail_from: str = ""
    rcpt_to: str = ""
    username: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A reply that was read. ``words`` stand between single blanks, with one at each end."""

    code: int
    enhanced: str
    words: str
    urls: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    support_codes: tuple[str, ...] = ()
    quotes: frozenset[str] = frozenset()  # "from", "rcpt", "user", "us", "ehlo", "ip", "ours"
    addresses: tuple[str, ...] = ()  # IP addresses


def read(reply: RawReply, ours: Ours | None = None) -> Reading:
    """Read ``reply``; it is expected to be cleaned and scrubbed already."""
    ours = ours or Ours()
    text = " ".join(reply.text.split())[:READ_CHARACTERS]
    urls: list[str] = []
    support: list[str] = []
    contacts: list[str] = []
    addresses: list[str] = []

    def keep_url(match: re.Match[str]) -> str:
        urls.append(match[0].rstrip(".,;:!?"))
        return " "

    def keep_support(match: re.Match[str]) -> str:
        support.append(match[0].strip("[]()#"))
        return " "

    def keep_address(match: re.Match[str]) -> str:
        address = match[0].strip("'")
        folded = address.lower()
        if ours.mail_from and folded == ours.mail_from.lower():
            return " @from "
        if ours.rcpt_to and folded == ours.rcpt_to.lower():
            return " @rcpt "
        if ours.username and folded == ours.username.lower():
            return " @user "
        if _CONTACT.match(address):
            contacts.append(address)
            return " "
        return " @ "

    def keep_ip(match: re.Match[str]) -> str:
        try:
            ipaddress.ip_address(match[0])
        except ValueError:
            return match[0]
        addresses.append(match[0])
        return " #us " if match[0] == ours.address else " #ip "

    def keep_host(match: re.Match[str]) -> str:
        name = match[0].lower()
        last = match[0].rpartition(".")[2]
        if not last.isupper() and not last.islower():
            return match[0].replace(".", " ")  # RESOLVER.RST.NotAuthorized is no host
        if ours.ehlo and name == ours.ehlo.lower():
            return " #ehlo "
        return " #ours " if name == ours.mail_from.rpartition("@")[2].lower() else " #host "

    text = _URL.sub(keep_url, text)
    text = _TRAILER.sub(" ", text)
    text = _SUPPORT.sub(keep_support, text)
    text = _ADDRESS.sub(keep_address, text)
    found = _ENHANCED.search(text)
    text = _ENHANCED.sub(" ", text)
    text = _IPV4.sub(keep_ip, text)
    text = _IPV6.sub(keep_ip, text)
    text = _HOST.sub(keep_host, text)
    text = _ID.sub(" ", text)
    words = normalised(text)
    enhanced = reply.enhanced
    if not enhanced and found and found[1] == str(reply.code)[0]:
        enhanced = f"{found[1]}.{found[2]}.{found[3]}"
    quotes = frozenset(place[1:] for place in _PLACES.findall(words) if len(place) > 1)
    return Reading(
        reply.code,
        enhanced,
        words,
        tuple(dict.fromkeys(urls)),
        tuple(dict.fromkeys(contacts)),
        tuple(dict.fromkeys(support)),
        quotes,
        tuple(dict.fromkeys(addresses)),
    )


def normalised(text: str) -> str:
    """``text`` in small letters without accents and punctuation, each ideograph a word.

    The places of addresses and hosts (``@``, ``#ip``) are left as they are.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("e-mail", "email")
    folded = _ACCENTS.sub("", unicodedata.normalize("NFD", folded))
    folded = unicodedata.normalize("NFC", folded)  # puts Japanese and Korean together again
    folded = _APOSTROPHES.sub("", folded)
    folded = _IDEOGRAPHS.sub(r" \1 ", folded)
    folded = re.sub(r"[^\w@#]|_", " ", folded)
    folded = re.sub(
        r"#(?!(?:ip|us|host|ehlo|ours)\b)|@(?!(?:from|rcpt|user)?(?:\s|$))", " ", folded
    )
    words = [word for word in folded.split() if word not in _ARTICLES]
    return f" {' '.join(words)} "
