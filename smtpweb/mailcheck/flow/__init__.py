"""The sequence of a check: the conversation, a second connection, other ports."""
