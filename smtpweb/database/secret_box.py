"""Seal and open SMTP passwords, under several keys so that they can be rotated.

A sealed value has the form ``v2.<key id>.<base64>``, of a nonce and what AES-256-GCM makes of the
secret. The version, the key id and the id of the row are associated data: a value copied into
another row does not open there. Earlier versions sealed as ``v1.<key id>.<Fernet token>``; Fernet
has no associated data, so the id of the row is sealed together with the secret. These still open.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import ConfigError, SecretUnreadable

_VERSION = "v2"
_FERNET = "v1"
_NONCE = 12  # bytes: what GCM is specified for (NIST SP 800-38D, 5.2.1.1)


def new_key() -> str:
    """A new key for ``SMTPWEB_ENCRYPTION_KEYS``: 32 random bytes in URL-safe base64."""
    return Fernet.generate_key().decode()


def digest_of(secret: str) -> str:
    """SHA-256 in hexadecimal: a fast hash is enough for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


class _Key(NamedTuple):
    """The ciphers of one key; that of GCM is derived from it, as Fernet uses it directly."""

    gcm: AESGCM
    fernet: Fernet


class SecretBox:
    """Seals under the first key, opens under any of them."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        if not keys:
            raise ConfigError("SMTPWEB_ENCRYPTION_KEYS contains no key.")
        self._keys: dict[str, _Key] = {}
        for position, key in enumerate(keys, 1):
            try:
                fernet = Fernet(key)
            except ValueError:  # the message never shows the key
                raise ConfigError(
                    f"SMTPWEB_ENCRYPTION_KEYS: key {position} is not 32 bytes in URL-safe base64."
                ) from None
            key_id = hashlib.sha256(key.encode()).hexdigest()[:8]
            self._keys.setdefault(key_id, _Key(AESGCM(_derived(key)), fernet))
        self.newest = next(iter(self._keys))

    def __repr__(self) -> str:
        return f"<SecretBox newest={self.newest} keys={len(self._keys)}>"

    def seal(self, row_id: str, secret: str) -> str:
        """Seal ``secret`` for the row ``row_id``."""
        # Random nonces of 96 bits are safe for 2**32 secrets under one key (SP 800-38D, 8.3).
        nonce = os.urandom(_NONCE)
        bound_to = f"{self.seal_prefix}{row_id}".encode()
        sealed = nonce + self._keys[self.newest].gcm.encrypt(nonce, secret.encode(), bound_to)
        return self.seal_prefix + binascii.b2a_base64(sealed, newline=False).decode()

    def open(self, row_id: str, sealed: str) -> str:
        """The secret of the row ``row_id``; raises :class:`SecretUnreadable`."""
        try:
            version, key_id, text = sealed.split(".", 2)
            key = self._keys[key_id]
            if version == _VERSION:
                content = binascii.a2b_base64(text, strict_mode=True)
                bound_to = f"{_VERSION}.{key_id}.{row_id}".encode()
                return key.gcm.decrypt(content[:_NONCE], content[_NONCE:], bound_to).decode()
            if version == _FERNET:
                return _open_fernet(key.fernet, row_id, text)
        except (ValueError, KeyError, InvalidTag, InvalidToken):
            raise SecretUnreadable from None
        raise SecretUnreadable

    def has_key_of(self, sealed: str) -> bool:
        """Whether a key of ours sealed this; it is not opened."""
        version, _, rest = sealed.partition(".")
        return version in (_VERSION, _FERNET) and rest.partition(".")[0] in self._keys

    @property
    def seal_prefix(self) -> str:
        """What everything begins with that is sealed under the newest key, in today's form."""
        return f"{_VERSION}.{self.newest}."


def _derived(key: str) -> bytes:
    """The key of AES-256-GCM: no key may serve two algorithms."""
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"smtpweb secret box v2")
    return hkdf.derive(key.encode())


def _open_fernet(fernet: Fernet, row_id: str, token: str) -> str:
    content = json.loads(fernet.decrypt(token))
    if content["i"] != row_id:
        raise SecretUnreadable
    secret: str = content["p"]
    return secret
