"""Find whom a reply names: the recipient, the sender, or the connecting client.

A meaning that accuses one of them is a guess if the reply names only another one ("User has
blacklisted you" is not an IP address block list).
"""

from __future__ import annotations

import re

ACCUSED = frozenset({"recipient", "sender", "client"})

# As reading.normalised returns them. "host" or "address" alone does not say whose it is.
_NAMES = {
    "recipient": r"recipients?|addressees?|rcpt|@rcpt|destinataires?|empfanger\w*|destinatari\w*"
    r"|ontvanger|odbiorc\w*|получател\w*|адресат\w*|收 件 人|收 信 人|受 信 者|宛 先",
    "sender": r"senders?|from address|mail from (?:@\S*|address|command|domain|is|must|not)"
    r"|return path|reverse path|envelope from|@from|#ours"
    r"|(?:your|from|sending) domain|your email address|header from|from header|absender\w*"
    r"|expediteur|remitente"
    r"|mittente|remetente|afzender|nadawc\w*|отправител\w*|spf|dkim|dmarc"
    r"|发 件 人|发 信 人|差 出 人|送 信 者",
    "client": r"ips?|#ip|#us|#ehlo|#list"
    r"|(?:your|sending|remote|client|mail) (?:server|host|system|mta)"
    r"|your (?:network|range|subnet|isp|connection)|client|host rejected|mtas?|ptr|rdns|helo"
    r"|ehlo|reverse dns|dialup|residential|dynamic|connections?|hostname|adresse ip|direccion ip",
}  # fmt: skip
_NAMED = {who: re.compile(rf" (?:{names})(?= )") for who, names in _NAMES.items()}

# Postfix names the refused command, then the reason; only the reason names a party
_PREFIX = re.compile(r"^(?: @[a-z]*)? (?:recipient|sender) address rejected(?= \S)")


def named_in(words: str) -> frozenset[str]:
    """Return the members of :data:`ACCUSED` that ``words`` of a :class:`~.reading.Reading` name."""
    return mentioned_in(_PREFIX.sub(" ", words))


def mentioned_in(words: str) -> frozenset[str]:
    """Return them with the party whose command was refused."""
    return frozenset(who for who, pattern in _NAMED.items() if pattern.search(words))
