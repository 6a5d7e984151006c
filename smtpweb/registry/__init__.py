"""Apps and their SMTP servers: settings, order and state."""
