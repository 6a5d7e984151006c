"""Watch the SMTP servers, and tell people what changed."""
