"""Both drivers run every conversation test."""

import asyncio

import pytest

from smtpweb import mailcheck


@pytest.fixture(params=["blocking", "looped"])
def check(request):
    """``check(target, watch=None)`` by one driver, then by the other."""
    if request.param == "blocking":
        return mailcheck.check
    return lambda target, watch=None: asyncio.run(mailcheck.check_async(target, watch))
