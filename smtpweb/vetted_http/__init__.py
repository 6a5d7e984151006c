"""Send one HTTP request to a host that a user named, and to no other host.

The name is resolved once, every address is evaluated by the egress policy, and the connection goes
to one of these addresses; the name stays in the Host header, in SNI and in the check of the
certificate. No redirect is followed, no proxy is used, and the response is limited in size and
time, however slowly it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..mailcheck import EgressPolicy
from .outcome import NoResponse, Obstacle, Response

__all__ = ["NoResponse", "Obstacle", "Response", "request"]


def request(
    method: str,
    url: str,
    *,
    policy: EgressPolicy,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    ca_file: Path | None = None,
    timeout: float = 10.0,
    max_body: int,
    cut_body: bool = False,
) -> Response:
    """Send a request to an absolute http or https URL; raise :class:`NoResponse`.

    ``max_body``: octets of the body to read; more is an error unless ``cut_body``. The whole takes
    at most ``timeout`` seconds, name resolution included.
    """
    from . import transport  # loaded on first use, see smtpweb/deferred.py

    return transport.request(
        method,
        url,
        policy=policy,
        body=body,
        headers=headers or {},
        ca_file=ca_file,
        timeout=timeout,
        max_body=max_body,
        cut_body=cut_body,
    )
