"""What has to come out at each real server; what did come out is in docs/real-servers.md."""

# The stage and the code everywhere, except where OTHERWISE has something else.
EXPECTED = {
    "good, neither TLS nor login": ("accepted", "SMTP_ACCEPTED"),
    "good login over STARTTLS": ("accepted", "SMTP_ACCEPTED"),
    "good login over implicit TLS": ("accepted", "SMTP_ACCEPTED"),
    "wrong password": ("auth", "SMTP_AUTH_WRONG_CREDENTIALS"),
    "no login where one is required": ("mail", "SMTP_LOGIN_REQUIRED"),
    "login without TLS": ("auth", "SMTP_AUTH_NEEDS_TLS"),
    "STARTTLS required": ("mail", "SMTP_STARTTLS_REQUIRED"),
    "unknown recipient": ("rcpt", "SMTP_RCPT_UNKNOWN"),
    "relay denied": ("rcpt", "SMTP_RCPT_RELAY_DENIED"),
    "sender refused": ("rcpt", "SMTP_FROM_NOT_OWNED"),
    "greylisted": ("rcpt", "SMTP_RCPT_GREYLISTED"),
    "too big": ("mail", "SMTP_MAIL_TOO_BIG"),
    "expired certificate": ("starttls", "SMTP_TLS_CERTIFICATE_EXPIRED"),
    "certificate of another name": ("starttls", "SMTP_TLS_CERTIFICATE_NO_ADDRESS"),
    "untrusted certificate": ("starttls", "SMTP_TLS_CERTIFICATE_UNTRUSTED"),
    "certificate of another name, implicit TLS": ("tls", "SMTP_TLS_CERTIFICATE_NO_ADDRESS"),
    "untrusted certificate, implicit TLS": ("tls", "SMTP_TLS_CERTIFICATE_UNTRUSTED"),
    "client certificate required": ("starttls", "SMTP_TLS_CLIENT_CERTIFICATE"),
    "TLS to a STARTTLS port": ("tls", "SMTP_TLS_NOT_SPOKEN"),
    "STARTTLS to a TLS port": ("greeting", "SMTP_TLS_EXPECTED"),
}
OTHERWISE: dict[str, dict[str, tuple[str, str]]] = {
    "Postfix": {
        "no login where one is required": ("rcpt", "SMTP_LOGIN_REQUIRED"),
        "client certificate required": ("starttls", "SMTP_TLS_CLIENT_CERTIFICATE_BY_WORDS"),
    },
    "Exim": {
        "unknown recipient": ("rcpt", "SMTP_RCPT_UNKNOWN_BY_WORDS"),
        "sender refused": ("mail", "SMTP_FROM_NOT_OWNED"),
        "too big": ("mail", "SMTP_MAIL_TOO_BIG_BY_WORDS"),
    },
    "Sendmail": {
        # "Relaying denied. Proper authentication required."
        "relay denied": ("rcpt", "SMTP_LOGIN_REQUIRED"),
        "sender refused": ("mail", "SMTP_FROM_BARRED"),
        # It goes on without a certificate, but offers next to nothing then.
        "client certificate required": ("auth", "SMTP_AUTH_NOT_OFFERED"),
    },
    "OpenSMTPD": {
        # Its TLS is broken by the OpenSSL of Debian 12: it gives up once the check has looked
        # at the certificate.
        "good login over STARTTLS": ("starttls", "SMTP_TLS_ALERT"),
        "good login over implicit TLS": ("tls", "SMTP_TLS_ALERT"),
        "client certificate required": ("starttls", "SMTP_TLS_ALERT"),
        # "Invalid recipient", as for one of its own that it does not know.
        "relay denied": ("rcpt", "SMTP_RCPT_UNKNOWN_BY_WORDS"),
    },
    "Dovecot": {
        "relay denied": ("rcpt", "SMTP_RCPT_RELAY_DENIED_LOGGED_IN"),
        "client certificate required": ("auth", "SMTP_TLS_CLIENT_CERTIFICATE_BY_WORDS"),
    },
    "Haraka": {
        "too big": ("mail", "SMTP_MAIL_TOO_BIG_BY_WORDS"),
    },
    "aiosmtpd": {
        "sender refused": ("mail", "SMTP_FROM_NOT_OWNED"),
        "too big": ("mail", "SMTP_MAIL_TOO_BIG_BY_WORDS"),
        # It drops the connection without a word, or an alert.
        "client certificate required": ("starttls", "SMTP_TLS_CLOSED"),
    },
}
# The code of the server's own reply, and its enhanced code if it has one.
REPLIES: dict[str, dict[str, str]] = {
    "Postfix": {
        "wrong password": "535 5.7.8",
        "no login where one is required": "553 5.7.1",
        "STARTTLS required": "530 5.7.0",
        "unknown recipient": "550 5.1.1",
        "relay denied": "554 5.7.1",
        "sender refused": "553 5.7.1",
        "greylisted": "450 4.2.0",
        "too big": "552 5.3.4",
        "client certificate required": "421 4.7.1",
        "TLS to a STARTTLS port": "220",  # its greeting
    },
    "Exim": {
        "wrong password": "535",
        "no login where one is required": "550",
        "STARTTLS required": "550 5.7.0",
        "unknown recipient": "550",
        "relay denied": "550",
        "sender refused": "550",
        "greylisted": "451",
        "too big": "552",
        "TLS to a STARTTLS port": "220",  # its greeting
    },
    "Sendmail": {
        "wrong password": "535 5.7.0",
        "no login where one is required": "530 5.7.0",
        "STARTTLS required": "503 5.7.0",
        "unknown recipient": "550 5.1.1",
        "relay denied": "550 5.7.1",
        "sender refused": "550 5.7.1",
        "greylisted": "451 4.7.1",
        "too big": "552 5.2.3",
        "TLS to a STARTTLS port": "220",  # its greeting
    },
    "OpenSMTPD": {
        "STARTTLS required": "530 5.5.1",
        "unknown recipient": "524 5.2.4",
        "relay denied": "550",
        "greylisted": "451 4.7.1",
        "TLS to a STARTTLS port": "220",  # its greeting
    },
    "Dovecot": {
        "wrong password": "535 5.7.8",
        "no login where one is required": "530 5.7.0",
        "STARTTLS required": "530 5.7.0",
        "unknown recipient": "550 5.1.1",
        "relay denied": "554 5.7.1",
        "sender refused": "554 5.7.1",
        "greylisted": "450 4.2.0",
        "too big": "552 5.2.3",
        "client certificate required": "535 5.7.8",
        "TLS to a STARTTLS port": "220",  # its greeting
    },
    "Haraka": {
        "wrong password": "535 5.7.8",
        "unknown recipient": "550 5.1.1",
        "relay denied": "550",
        "sender refused": "550 5.7.1",
        "greylisted": "450 4.2.0",
        "too big": "550",
        "TLS to a STARTTLS port": "220",  # its greeting
    },
    "aiosmtpd": {
        "wrong password": "535 5.7.8",
        "no login where one is required": "530 5.7.0",
        "STARTTLS required": "530",
        "unknown recipient": "550 5.1.1",
        "relay denied": "550 5.7.1",
        "sender refused": "553 5.7.1",
        "greylisted": "451 4.7.1",
        "too big": "552",
        "TLS to a STARTTLS port": "220",  # its greeting
    },
}
# What a server does not know, or what cannot be reached there.
NOT_THERE: dict[str, set[str]] = {
    "Sendmail": {"good, neither TLS nor login"},
    "OpenSMTPD": {
        "wrong password",
        "no login where one is required",
        "sender refused",
        "too big",
    },
    "Dovecot": {"good, neither TLS nor login"},
    "Haraka": {"no login where one is required", "login without TLS", "STARTTLS required"},
}
# The codes that stand for something that passes; all others do not.
TEMPORARY = {"SMTP_RCPT_GREYLISTED", "SMTP_TLS_CLOSED"}
