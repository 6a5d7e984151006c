"""Where the user can fix what a check found: the form, and the field in it."""

from __future__ import annotations

from flask import url_for

from ...database.models import Smtp
from ...mailcheck import Mode, Report, Side, Stage
from ...registry import grants

# By cause, if it is more specific than the stage
_BY_CODE = {
    "SMTP_POLICY_NO_FROM": "defaultfromemail",
    "SMTP_POLICY_PORT": "port",
    "SMTP_CONNECT_LOCALHOST_IN_CONTAINER": "host",
    "SMTP_TLS_EXPECTED": "encryption",
    "SMTP_EHLO_MASKED": "encryption",
    "SMTP_AUTH_NEEDS_TLS": "encryption",
    "SMTP_AUTH_BEFORE_TLS": "encryption",
    "SMTP_AUTH_NOT_OFFERED": "port",
    "SMTP_AUTH_SENDGRID_CREDENTIALS": "smtp_login",  # must be "apikey", and often is not
    "SMTP_STARTTLS_REQUIRED": "encryption",
    "SMTP_LOGIN_REQUIRED": "smtp_login",
    "SMTP_CLIENT_REJECTED": "smtp_login",
    "SMTP_RCPT_RELAY_DENIED": "smtp_login",
    "SMTP_MICROSOFT_LOGIN_REQUIRED": "smtp_login",
    "SMTP_SENDGRID_LOGIN_REQUIRED": "smtp_login",
    "SMTP_TLS_PIN_CHANGED": "certificatepin",
    "SMTP_TLS_TRUST_INVALID": "cacertificates",
    "SMTP_TLS_OWN_CA_EXPIRED": "cacertificates",
    "SMTP_TLS_CERTIFICATE_NOT_OWN_CA": "cacertificates",
    "SMTP_TLS_CLIENT_CERTIFICATE": "clientcertificate",
    "SMTP_TLS_CLIENT_CERTIFICATE_BY_WORDS": "clientcertificate",
    "SMTP_TLS_CLIENT_CERTIFICATE_REFUSED": "clientcertificate",
    "SMTP_CONNECT_SOURCE_ADDRESS": "sourceaddress",
    "SMTP_CONNECT_SOURCE_FAMILY": "sourceaddress",
    "SMTP_TOKEN_UNKNOWN_APPLICATION": "oauthclientid",
    "SMTP_TOKEN_SECRET_WRONG": "oauthclientsecret",
    "SMTP_TOKEN_SECRET_ID": "oauthclientsecret",
    "SMTP_TOKEN_SECRET_EXPIRED": "oauthclientsecret",
    "SMTP_TOKEN_SECRET_MISSING": "oauthclientsecret",
    "SMTP_TOKEN_KEY_WRONG": "oauthkey",
    "SMTP_TOKEN_TENANT_UNKNOWN": "oauthtenant",
    "SMTP_TOKEN_SCOPE": "oauthscope",
    **dict.fromkeys(
        (
            "SMTP_TOKEN_URL_INVALID", "SMTP_TOKEN_NAME_UNKNOWN", "SMTP_TOKEN_CONNECTION_REFUSED",
            "SMTP_TOKEN_WRONG_ADDRESS", "SMTP_TOKEN_NOT_JSON", "SMTP_TOKEN_REDIRECT",
        ),
        "oauthtokenurl",
    ),
}  # fmt: skip
# Somebody has to sign in at the provider, which is a page of its own
_SIGN_IN = frozenset(
    {
        "SMTP_TOKEN_SIGN_IN_NEEDED", "SMTP_TOKEN_GRANT_REVOKED", "SMTP_TOKEN_GRANT_EXPIRED",
        "SMTP_TOKEN_GRANT_REFUSED", "SMTP_TOKEN_GOOGLE_GRANT", "SMTP_TOKEN_ROTATION_LOST",
        "SMTP_TOKEN_SIGN_IN_POLICY", "SMTP_TOKEN_CONSENT_MISSING",
    }
)  # fmt: skip
# For these, a certificate may be right although no CA vouches for it
_PINNABLE = frozenset(
    {
        "SMTP_TLS_CERTIFICATE_SELF_SIGNED", "SMTP_TLS_CERTIFICATE_UNTRUSTED",
        "SMTP_TLS_CERTIFICATE_INCOMPLETE", "SMTP_TLS_CERTIFICATE_NAME",
        "SMTP_TLS_CERTIFICATE_NO_ADDRESS", "SMTP_TLS_CERTIFICATE_NOT_OWN_CA",
        "SMTP_TLS_PIN_CHANGED",
    }
)  # fmt: skip
_BY_STAGE = {
    Stage.TOKEN: "oauthgrant",
    Stage.POLICY: "host",
    Stage.RESOLVE: "host",
    Stage.CONNECT: "port",
    Stage.TLS: "encryption",
    Stage.GREETING: "port",
    Stage.EHLO: "port",
    Stage.STARTTLS: "encryption",
    Stage.AUTH: "smtp_secret",
    Stage.MAIL: "defaultfromemail",
    Stage.RCPT: "defaultfromemail",
    Stage.DATA: "defaultfromemail",
}
# With these, the server refuses the test address, which is a setting of the app.
_OF_THE_APP = ("SMTP_RCPT_",)
_OF_THE_CERTIFICATE = "SMTP_TLS_CERTIFICATE_"


def field_at_fault(report: Report) -> str:
    """Return the HTML name of the field to fix; "testemail" is in the app's form."""
    if report.side is Side.APP and report.code.startswith(_OF_THE_APP):
        return "testemail"
    if report.credential:
        return "smtp_login" if report.credential == "login" else "smtp_secret"
    if report.code.startswith(_OF_THE_CERTIFICATE) and report.code not in _BY_CODE:
        return "host"  # not "encryption": do not encourage users to switch it off
    return _BY_CODE.get(report.code) or _BY_STAGE.get(report.stage, "host")


def fix_url(report: Report, smtp: Smtp) -> str:
    """Return the URL of the form for the fix, with its field focused; "" if there is none."""
    if report.side is Side.MACHINE:
        return ""
    if report.code in _SIGN_IN and grants.is_interactive(smtp):
        return url_for("pages.show_sign_in", smtp_id=smtp.id)
    field = field_at_fault(report)
    if field == "testemail":
        return url_for("pages.edit_app", app_id=smtp.app_id, field=field)
    return url_for("pages.edit_smtp", smtp_id=smtp.id, field=field)


def pin_to_trust(report: Report) -> str:
    """Return the key of the refused certificate, if to trust exactly that may be the fix."""
    return report.tls.pin if report.tls and report.code in _PINNABLE else ""


def mode_url(mode: Mode, smtp: Smtp) -> str:
    """Return the URL of the form with another port and encryption filled in, ready to save."""
    return url_for(
        "pages.edit_smtp", smtp_id=smtp.id, port=mode.port, encryption=mode.encryption.value
    )
