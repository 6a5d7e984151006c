"""The part of the form of an SMTP server that says how checks connect; empty means automatic."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import load_pem_x509_certificates
from flask import request
from flask_babel import lazy_gettext
from wtforms import SelectChoice
from wtforms.validators import Optional

from ...config import settings
from ...database.models import Smtp
from ...mailcheck.core.options import MECHANISMS
from ...mailcheck.core.trust import MAX_PEM
from ...registry import fields
from .form_fields import LinesField, OptionalChoice, Reads, field_of, label_of
from .noted_fields import SecretTextField, SelectField, notes_of
from .oauth_fields import OauthFields

UPLOADS = ("cacertificates", "clientcertificate", "clientkey")
_DER = b"\x30"  # a SEQUENCE, with which certificates begin


class PemField(LinesField):
    """Certificates in PEM. What may be a private key, given by mistake, is not shown again."""

    def _value(self) -> str:
        text = self.data or ""
        try:
            load_pem_x509_certificates(text.encode())
        except (ValueError, UnsupportedAlgorithm):
            return ""
        return "" if "private key" in text.lower() else super()._value()


class AdvancedFields(OauthFields):
    """How checks connect. Certificates are pasted or uploaded."""

    mechanism = SelectField(
        label_of(fields.SMTP["mechanism"]),
        choices=[
            SelectChoice("", lazy_gettext("Automatic (the best that the server offers)")),
            *(SelectChoice(name, name) for name in MECHANISMS),
        ],
        default="",
        validators=[OptionalChoice(), Reads(fields.SMTP["mechanism"].rule)],
    )
    ehloname = field_of(fields.SMTP["ehloname"])
    envelopefrom = field_of(fields.SMTP["envelopefrom"])
    sourceaddress = SelectField(
        label_of(fields.SMTP["sourceaddress"]),
        choices=lambda: [
            SelectChoice("", lazy_gettext("Automatic")),
            *(SelectChoice(str(one), str(one)) for one in settings().source_addresses),
        ],
        default="",
        validators=[OptionalChoice(), Reads(fields.SMTP["sourceaddress"].rule)],
    )
    cacertificates = field_of(fields.SMTP["cacertificates"], PemField)
    certificatepin = field_of(fields.SMTP["certificatepin"])
    clientcertificate = field_of(fields.SMTP["clientcertificate"], PemField)
    clientkey = SecretTextField(
        label_of(fields.SMTP["clientkey"]), [Optional(), Reads(fields.SMTP["clientkey"].rule)]
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Initialize the form; an uploaded file replaces what is in its field."""
        super().__init__(*arguments, **options)
        for name in UPLOADS:
            upload = request.files.get(f"{name}_file")
            if upload is not None and upload.filename and self.is_submitted():
                field = self._fields[name]
                field.data = _text_of(upload.stream.read(MAX_PEM + 1))
                field.raw_data = [field.data]  # what tells that the field is not empty

    @property
    def offers_source(self) -> bool:
        """Whether this installation lets users choose the address to connect from."""
        return bool(settings().source_addresses)

    @property
    def shows_advanced(self) -> bool:
        """Whether anything in this part is set, wrong, or to be corrected."""
        own = [self._fields[name] for name in fields.CONNECTION]
        return any(field.data or field.errors or notes_of(field).cause for field in own) or (
            getattr(self, "focus", None) in own
        )

    @property
    def keeps_key(self) -> bool:
        """Whether a key is stored that an empty field keeps."""
        smtp: Smtp | None = getattr(self, "smtp", None)
        return bool(smtp and smtp.clientkey_sealed)

    def values(self, table: Mapping[str, fields.Field]) -> dict[str, Any]:
        """Return the validated values; an empty key keeps the stored one."""
        values = super().values(table)
        if not values.get("clientkey"):
            values.pop("clientkey", None)
        return values


def _text_of(content: bytes) -> str:
    """Return an uploaded file as text; a certificate in DER as PEM."""
    if content.startswith(_DER):
        return ssl.DER_cert_to_PEM_cert(content)
    return content.decode("utf-8-sig", "replace")
