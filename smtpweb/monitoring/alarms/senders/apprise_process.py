"""The process that sends one message through Apprise, see ``chat``.

Reads one JSON object from standard input, writes one to standard output.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import resource
import sys
from typing import Any

from ....mailcheck import EgressPolicy

MEMORY = 1024 * 1024 * 1024  # octets of address space
CPU_SECONDS = 20


class Refused(OSError):
    """The egress policy forbids this connection."""


def main() -> None:
    """Send the message and write the result."""
    job = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    guard = Guard(EgressPolicy.from_dict(job["allow"]))
    outcome = _send(job, guard)
    json.dump(outcome, sys.stdout)


class Guard:
    """An audit hook that checks every address before a connection; it cannot be removed."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self.refusal = ""
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._check_address(arguments[-1])
        elif event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork"):
            self._refuse("it may not start programs")

    def _check_address(self, address: Any) -> None:
        # The resolver of libc is not affected, as it opens its sockets without Python.
        try:
            host, port = address[0], int(address[1])
            ip_address = ipaddress.ip_address(str(host).partition("%")[0])
        except (TypeError, ValueError, IndexError):
            return self._refuse("it may only connect to IP addresses")
        refusal = self._policy.refuses(ip_address, port)
        if refusal is not None:
            hint = f"; its administrator can set {refusal.setting}" if refusal.setting else ""
            reason = refusal.range_name or f"port {port}"
            self._refuse(f"{refusal.address}: {reason}{hint}")
        return None

    def _refuse(self, target: str) -> None:
        self.refusal = f"This installation may not connect to {target}."
        raise Refused(self.refusal)


def _send(job: dict[str, Any], guard: Guard) -> dict[str, Any]:
    import apprise  # after the hook, so that it is audited, too

    warnings = _LastWarning()
    for name in ("apprise", "apprise.plugins"):
        logging.getLogger(name).addHandler(warnings)
    logging.getLogger("apprise").setLevel(logging.WARNING)
    asset = apprise.AppriseAsset(
        http_redirects=False, async_mode=False, app_id="smtpweb", app_desc="", secure_logging=True
    )
    sender = apprise.Apprise(asset=asset)
    if not sender.add(job["url"]):
        return {"delivered": False, "result": "Apprise cannot read this URL."}
    if job.get("only_read"):
        return {"delivered": True, "result": "Apprise can read this URL."}
    delivered = bool(
        sender.notify(
            title=job["title"],
            body=job["body"],
            notify_type=apprise.NotifyType.WARNING,
            body_format=apprise.NotifyFormat.TEXT,
        )
    )
    if delivered:
        return {"delivered": True, "result": "Accepted."}
    return {"delivered": False, "result": guard.refusal or warnings.text or "It was not accepted."}


class _LastWarning(logging.Handler):
    """Keeps the last warning, which contains the response of the service."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Store the message of a record."""
        self.text = record.getMessage()


if __name__ == "__main__":
    main()
