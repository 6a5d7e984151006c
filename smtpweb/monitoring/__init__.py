"""Check every SMTP server by itself, as often as its app says, and tell people what changed."""
