"""Check every SMTP server by itself, in worker processes, as often as its app says."""
