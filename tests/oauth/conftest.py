"""Servers and settings for the tests of access tokens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.people import Person

SECRET = "the-client-secret"


@pytest.fixture
def oauth_smtp(alice: Person, idapp: str) -> Any:
    """Return a function that registers an SMTP server with these OAuth parameters."""

    def register(**parameters: Any) -> str:
        given = {
            "host": "smtp.example.com",
            "port": 587,
            "starttls": "true",
            "auth": "true",
            "username": "shop@example.com",
            "oauthgrant": "client_credentials",
            "oauthclientid": "an-app",
            "oauthclientsecret": SECRET,
        }
        smtp_id: str = alice.make_smtp(idapp, **(given | parameters))["_id"]
        return smtp_id

    return register
