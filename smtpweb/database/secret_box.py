"""Seal and open SMTP passwords, under several keys so that they can be rotated.

A sealed password has the form ``v1.<key id>.<Fernet token>``. Fernet has no associated data, so
the id of the row is sealed together with the password: a value copied into another row does not
open there. The version and the key id allow the format and the keys to change without guessing.
"""

from __future__ import annotations

import hashlib
import json

from cryptography.fernet import Fernet, InvalidToken

from ..errors import ConfigError, SecretUnreadable

_VERSION = "v1"


def new_key() -> str:
    """A new key for ``SMTPWEB_ENCRYPTION_KEYS``: 32 random bytes in URL-safe base64."""
    return Fernet.generate_key().decode()


def digest_of(secret: str) -> str:
    """SHA-256 in hexadecimal: a fast hash is enough for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


class SecretBox:
    """Seals under the first key, opens under any of them."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        if not keys:
            raise ConfigError("SMTPWEB_ENCRYPTION_KEYS contains no key.")
        self._boxes: dict[str, Fernet] = {}
        for position, key in enumerate(keys, 1):
            try:
                box = Fernet(key)
            except ValueError:  # the message never shows the key
                raise ConfigError(
                    f"SMTPWEB_ENCRYPTION_KEYS: key {position} is not 32 bytes in URL-safe base64."
                ) from None
            key_id = hashlib.sha256(key.encode()).hexdigest()[:8]
            self._boxes.setdefault(key_id, box)
        self.newest = next(iter(self._boxes))

    def __repr__(self) -> str:
        return f"<SecretBox newest={self.newest} keys={len(self._boxes)}>"

    def seal(self, row_id: str, secret: str) -> str:
        """Seal ``secret`` for the row ``row_id``."""
        plain = json.dumps({"i": row_id, "p": secret}).encode()
        return self.seal_prefix + self._boxes[self.newest].encrypt(plain).decode()

    def open(self, row_id: str, sealed: str) -> str:
        """The secret of the row ``row_id``; raises :class:`SecretUnreadable`."""
        try:
            version, key_id, token = sealed.split(".", 2)
            if version != _VERSION:
                raise SecretUnreadable
            content = json.loads(self._boxes[key_id].decrypt(token))
        except (ValueError, KeyError, InvalidToken):
            raise SecretUnreadable from None
        if content["i"] != row_id:
            raise SecretUnreadable
        secret: str = content["p"]
        return secret

    def has_key_of(self, sealed: str) -> bool:
        """Whether a key of ours sealed this; it is not opened."""
        version, _, rest = sealed.partition(".")
        return version == _VERSION and rest.partition(".")[0] in self._boxes

    @property
    def seal_prefix(self) -> str:
        """What everything sealed under the newest key begins with."""
        return f"{_VERSION}.{self.newest}."
