"""Check SMTP servers on schedule, record what changes, and notify people."""
