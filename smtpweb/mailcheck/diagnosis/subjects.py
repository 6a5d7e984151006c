"""Whom the words of a reply name: the recipient, the sender, or the client that connects.

A meaning that accuses one of them is a guess where the reply names only another one ("User has
blacklisted you" is no block list of IP addresses).
"""

from __future__ import annotations

import re

ACCUSED = frozenset({"recipient", "sender", "client"})

# As reading.normalised leaves them. A bare "host" or "address" says nothing about whose it is.
_NAMES = {
    "recipient": r"recipients?|addressees?|rcpt|@rcpt|destinataires?|empfanger\w*|destinatari\w*"
    r"|ontvanger|odbiorc\w*|получател\w*|адресат\w*|收 件 人|收 信 人|受 信 者|宛 先",
    "sender": r"senders?|from address|mail from (?:@\S*|address|command|domain|is|must|not)"
    r"|return path|reverse path|envelope from|@from|#ours"
    r"|(?:your|from|sending) domain|header from|from header|absender\w*|expediteur|remitente"
    r"|mittente|remetente|afzender|nadawc\w*|отправител\w*|spf|dkim|dmarc"
    r"|发 件 人|发 信 人|差 出 人|送 信 者",
    "client": r"ips?|#ip|#us|#ehlo|#list"
    r"|(?:your|sending|remote|client|mail) (?:server|host|system|mta)"
    r"|your (?:network|range|subnet|isp|connection)|client|host rejected|mtas?|ptr|rdns|helo"
    r"|ehlo|reverse dns|dialup|residential|dynamic|connections?|hostname|adresse ip|direccion ip",
}  # fmt: skip
_NAMED = {who: re.compile(rf" (?:{names})(?= )") for who, names in _NAMES.items()}

# Postfix says at which command it refuses, then why; only the reason names somebody
_PREFIX = re.compile(r"^(?: @[a-z]*)? (?:recipient|sender) address rejected(?= \S)")


def named_in(words: str) -> frozenset[str]:
    """Whom ``words`` (of :class:`~.reading.Reading`) name, of :data:`ACCUSED`."""
    told = _PREFIX.sub(" ", words)
    return frozenset(who for who, pattern in _NAMED.items() if pattern.search(told))
