"""Requests over HTTP to a host that a user named."""

from __future__ import annotations

import ssl
import time

import pytest

from smtpweb.vetted_http import transport
from tests.support.threads import at_once


def test_tls_context_is_created_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    created = []

    def create() -> ssl.SSLContext:
        created.append(1)
        time.sleep(0.1)  # so that all others arrive meanwhile
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    transport._context_of.cache_clear()
    monkeypatch.setattr(ssl, "create_default_context", create)
    try:
        assert len(set(at_once(8, lambda _: transport._context(None)))) == 1
    finally:
        transport._context_of.cache_clear()
    assert len(created) == 1
