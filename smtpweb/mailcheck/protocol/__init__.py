"""SMTP as the RFCs say: commands, replies, TLS, SASL and the test email."""
