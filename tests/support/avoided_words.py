"""Words that smtpweb's texts avoid, each with its replacement.

One word for one thing: readers of the pages, the API description and the documentation need to
learn it only once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Regular expressions that match whole words, in any case.
AVOIDED = {
    r"(?-i:SMTPs)": "SMTP servers",
    r"(?:an|this|the|no|other|new|each|every) SMTP(?=[.,;:’']|$)": "SMTP server",
    r"(?:an|this|the|each) SMTP(?= (?:is|was|has|that|takes|of|in)\b)": "SMTP server",
    r"test[ -]?(?:mail|message)s?": "test email",
    r"(?:a|the|this|real|its) mail(?! (?:server|program|key|address))": "email",
    r"mails": "emails",
    r"mail address(?:es)?": "email address",
    r"log(?:s|ged)? (?:in|out)|login page": "sign in, sign out",
    r"(?:the|a|no|this|wrong|failed) login|logins": "user name, sign-in, authentication",
    r"wants? a": "requires a",
    r"TLS from the (?:start|first byte)": "implicit TLS",
    r"in (?:the )?clear": "in plain text",
    r"disabled by a failed check": "disabled: last check failed",
    r"(?:on|the|a) reserves?": "backup",
    r"blame[sd]?|judge[sd]?": "cause, side",
    r"answers? for (?:its|the) delivery": "is responsible for delivering it",
    r"present password|passwords?, again": "current password, confirm password",
    r"keep it": "cancel",
    r"goes? with (?:it|them)|goes all": "is deleted too",
    r"as the browser asks": "automatic",
    r"waits? for (?:its|their) turn": "queued",
    r"under way": "running",
    r"(?:a|an?other|begins with a) blank": "space",
    r"nobody (?:knows|reads)": "what is known; replies are not read",
    r"(?:is|are|be) told|tells? (?:no|nothing)": "shown, published",
    r"houses?|doors?|rooms?|floors?": "the thing itself",
}  # fmt: skip
_PATTERNS = [
    (re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE), instead)
    for pattern, instead in AVOIDED.items()
]


def avoided(text: str) -> Iterator[str]:
    """Yield each avoided word in a text, with its replacement and context."""
    for pattern, instead in _PATTERNS:
        for match in pattern.finditer(text):
            around = text[max(match.start() - 40, 0) : match.end() + 40]
            yield f"{match[0]!r} in {around!r}; say: {instead}"
