"""Send webhooks: JSON by POST, signed as specified by Standard Webhooks."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from .... import __version__, vetted_http
from ....config import settings
from ....mailcheck.core.redaction import cut
from .outcome import Attempt
from .secret_parts import hidden_in

MAX_BODY = 2048  # octets of a response that are read
TIMEOUT = 10.0  # seconds, name resolution included
_GONE = 410


def new_secret() -> str:
    """Return a new signing secret: 32 random bytes in base64, with the prefix of the scheme."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def send(url: str, secret: str, message_id: str, payload: Mapping[str, Any]) -> Attempt:
    """Send the payload; ``message_id`` is the same for all attempts."""
    body = json.dumps(payload, separators=(",", ":"))
    moment = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"smtpweb/{__version__}",
        "Accept": "*/*",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, moment, body),
    }
    config = settings()
    try:
        reply = vetted_http.request(
            "POST",
            url,
            body=body.encode(),
            headers=headers,
            policy=config.webhook_egress,
            ca_file=config.ca_file,
            timeout=TIMEOUT,
            max_body=MAX_BODY,
            cut_body=True,
        )
    except vetted_http.NoResponse as error:
        return Attempt(False, str(error))
    if 200 <= reply.status < 300:
        return Attempt(True, f"HTTP {reply.status}")
    if 300 <= reply.status < 400:
        return Attempt(False, f"HTTP {reply.status}: redirects are not followed.")
    text = cut(hidden_in(reply.body.decode("utf-8", "replace"), url, secret).strip(), 200)
    shown = f": {text}" if text else ""
    return Attempt(False, f"HTTP {reply.status}{shown}", gone=reply.status == _GONE)
