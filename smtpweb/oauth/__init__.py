"""OAuth 2.0 access tokens for SMTP servers: request, cache, renew, and sign in to get them."""
