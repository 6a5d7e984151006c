"""Give a check up in its middle, and see that it closes what it had opened."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from smtpweb.mailcheck import Target, check_async
from smtpweb.mailcheck.core.egress import Address
from smtpweb.mailcheck.net import sockets


def give_up(target: Target, when: Callable[[], object]) -> None:
    """Cancel a check as soon as ``when``; all its sockets must be closed, by itself."""
    opened = []
    begin = sockets.begin_connect

    def noted(address: Address, port: int) -> socket.socket | str:
        sock = begin(address, port)
        opened.append(sock)  # held, so that no garbage collector closes it for the check
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
