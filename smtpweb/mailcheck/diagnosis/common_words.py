"""Words that say little alone: subjects of a reply, words of refusal, and function words.

If a phrase matches only such words, its meaning is a guess.
"""

# Subjects of a reply
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

# Words that only express a refusal
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

# Those of them that say why
STATES = frozenset(["exist", "found", "here", "invalid", "listed"])

# Function words
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

# Words of advice and reference, which give no reason
COURTESIES = frozenset(
    [
        "administrator",
        "assistance",
        "code",
        "contact",
        "currently",
        "details",
        "further",
        "help",
        "information",
        "more",
        "postmaster",
        "reference",
        "see",
        "support",
        "visit",
    ]
)
