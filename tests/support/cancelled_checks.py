"""Cancel a check while it is running, and verify that it closes what it opened."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from smtpweb.mailcheck import Target, check_async
from smtpweb.mailcheck.core.egress import Address
from smtpweb.mailcheck.net import sockets


def give_up(target: Target, when: Callable[[], object]) -> None:
    """Cancel a check as soon as ``when`` is true; it must close all its sockets itself."""
    opened = []
    begin = sockets.begin_connect

    def noted(address: Address, port: int, source: Address | None) -> socket.socket | str:
        sock = begin(address, port, source)
        opened.append(sock)  # keep a reference, or garbage collection would close it for the check
        return sock

    async def cancel() -> None:
        task = asyncio.create_task(check_async(target))
        while not when():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sockets, "begin_connect", noted)
        asyncio.run(cancel())
    found = [sock for sock in opened if not isinstance(sock, str)]
    assert found
    assert [sock.fileno() for sock in found] == [-1] * len(found)
