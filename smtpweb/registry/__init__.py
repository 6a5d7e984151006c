"""Apps and their SMTP servers: what is registered, in which order, and how it stands."""
