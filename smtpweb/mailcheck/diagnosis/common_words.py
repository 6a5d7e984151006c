"""Words that say little by themselves: whom a reply is about, that it refuses, and the small ones.

Of a phrase that found nothing else, the meaning is a guess.
"""

# Whom a reply is about
SUBJECTS = frozenset(
    [
        "account",
        "address",
        "client",
        "connection",
        "connections",
        "content",
        "data",
        "domain",
        "email",
        "emails",
        "from",
        "host",
        "ip",
        "mail",
        "mailbox",
        "message",
        "messages",
        "network",
        "rcpt",
        "recipient",
        "recipients",
        "sender",
        "senders",
        "server",
        "smtp",
        "system",
        "user",
        "users",
        "you",
        "your",
    ]
)

# No more than that it is refused
REFUSALS = frozenset(
    [
        "accept",
        "accepted",
        "allow",
        "allowed",
        "authorised",
        "authorized",
        "blocked",
        "cannot",
        "denied",
        "deny",
        "error",
        "exist",
        "failed",
        "found",
        "here",
        "invalid",
        "listed",
        "no",
        "not",
        "permitted",
        "prohibited",
        "refuse",
        "refused",
        "reject",
        "rejected",
        "unauthorized",
    ]
)

# What joins the others
FILLERS = frozenset(
    [
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "being",
        "by",
        "can",
        "did",
        "do",
        "does",
        "for",
        "has",
        "have",
        "in",
        "is",
        "it",
        "its",
        "must",
        "of",
        "on",
        "or",
        "our",
        "please",
        "should",
        "that",
        "this",
        "to",
        "was",
        "were",
        "will",
        "with",
    ]
)
