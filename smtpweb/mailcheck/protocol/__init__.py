"""SMTP according to the RFCs: commands, replies, TLS, SASL and the test email."""
