"""Fixtures of page tests."""

from __future__ import annotations

import pytest

from tests.browser import Browser, signed_in
from tests.people import Person


@pytest.fixture
def browser(alice: Person) -> Browser:
    """Alice's, signed in."""
    return signed_in(alice.app, alice)


@pytest.fixture
def idapp(alice: Person) -> str:
    """An app of alice's without SMTPs."""
    made: str = alice.make_app("shop", defaultfromemail="shop@example.com")["_id"]
    return made
