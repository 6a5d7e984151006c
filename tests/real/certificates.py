"""The certificates that the real servers show: a good one and an expired one, of one CA."""

from __future__ import annotations

import datetime
import functools

import trustme


@functools.lru_cache(1)
def _authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


def authority() -> bytes:
    """The certificate of the CA, in PEM."""
    return _authority().cert_pem.bytes()


@functools.lru_cache(2)
def certificate(expired: bool = False) -> tuple[bytes, bytes]:
    """Key and chain for ``localhost``, in PEM."""
    now = datetime.datetime.now(datetime.UTC)
    issued = _authority().issue_cert(
        "localhost",
        key_type=trustme.KeyType.ECDSA,
        not_before=now - datetime.timedelta(days=90),
        not_after=now + datetime.timedelta(days=-1 if expired else 90),
    )
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return issued.private_key_pem.bytes(), chain
