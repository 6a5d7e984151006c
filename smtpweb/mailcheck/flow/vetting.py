"""Vet the host and its addresses against the policy before sending any packet."""

from __future__ import annotations

from ..core import addresses
from ..core.addresses import Host
from ..core.effects import Asks, NotConnected, NotResolved, Resolve
from ..core.egress import Address, Refusal
from ..core.environment import in_container
from ..core.failure import Failure, Symptom
from ..core.recorder import Recorder
from ..core.types import (
    NO_ROUTE,
    NO_SOCKET,
    NO_SOURCE,
    NOT_PERMITTED,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    Stage,
    Target,
)

RESOLVE_LIMIT = 5.0  # seconds
MAX_ADDRESSES = 8

_DENIALS = {
    "port": Symptom.PORT_DENIED,
    "own": Symptom.OWN_SERVICE,
    "range": Symptom.RANGE_DENIED,
    "reserved": Symptom.RESERVED_DENIED,
}

# With several addresses, the most informative outcome determines the cause
_CONNECT_SYMPTOMS = (
    (NO_SOURCE, Symptom.SOURCE_ADDRESS),
    (NOT_PERMITTED, Symptom.NOT_PERMITTED),
    (NO_SOCKET, Symptom.NO_SOCKET),
    (REFUSED, Symptom.CONNECTION_REFUSED),
    (TIMED_OUT, Symptom.CONNECT_TIMEOUT),
    (UNREACHABLE, Symptom.UNREACHABLE),
    (NO_ROUTE, Symptom.NO_ROUTE),
)


def host_of(target: Target) -> Host:
    """Return the host of ``target``. Raises :class:`Failure` for an invalid host or port."""
    if not 0 < target.port < 65536:
        raise Failure(
            Symptom.HOST_INVALID,
            stage=Stage.RESOLVE,
            words=f"{target.port} is no port; they go from 1 to 65535",
        )
    try:
        return addresses.parse_host(target.host)
    except ValueError as error:
        raise Failure(Symptom.HOST_INVALID, stage=Stage.RESOLVE, words=str(error)) from None


def addresses_of(
    host: Host, target: Target, record: Recorder, deadline: float
) -> Asks[tuple[Address, ...]]:
    """Resolve once; one refused address refuses the name, as it may come up next time."""
    _judge(target.policy.refuses_port(host.name, target.port))
    if host.address is not None:
        found: tuple[Address, ...] = (host.address,)
        _judge(target.policy.refuses(host.address, target.port))
        record.skip(Stage.RESOLVE)
    else:
        record.begin(Stage.RESOLVE)
        until = min(deadline, record.clock() + RESOLVE_LIMIT)
        try:
            found = yield Resolve(host.name, until)
        except NotResolved as error:
            raise Failure(Symptom(error.why)) from None
        if not found:
            raise Failure(Symptom.NO_ADDRESS)
        for address in found:
            _judge(target.policy.refuses(address, target.port))
        record.done()
    source = target.source_address
    if source is not None:
        found = tuple(address for address in found if address.version == source.version)
        if not found:
            raise Failure(Symptom.SOURCE_ADDRESS, stage=Stage.CONNECT, other_family=True)
    return found[:MAX_ADDRESSES]


def _judge(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise Failure(
            _DENIALS[refusal.kind],
            stage=Stage.POLICY,
            address=refusal.address,
            range=refusal.network,
            range_name=refusal.range_name,
            setting=refusal.setting,
        )


def connect_failure(error: NotConnected, vetted: tuple[Address, ...]) -> Failure:
    """Return the failure for a host with no reachable address."""
    words = {one.outcome for one in error.outcomes}
    symptom = next(
        (symptom for word, symptom in _CONNECT_SYMPTOMS if word in words),
        Symptom.CONNECT_FAILED,
    )
    return Failure(
        symptom,
        outcomes=str(error),
        loopback=all(address.is_loopback for address in vetted),
        container=in_container(),
    )
