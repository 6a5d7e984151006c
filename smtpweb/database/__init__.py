"""The tables, the session that reaches them, and the sealing of secrets."""
