"""The settings of an SMTP server that are to be judged, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import Sentence
from ..mailcheck import EgressPolicy, Encryption


@dataclass(frozen=True, slots=True)
class Settings:
    """What is to be judged; ``mail_from`` is the From that the test email would have.

    ``policy`` None: where checks may connect is not judged.
    """

    host: str
    port: int | None
    encryption: Encryption
    auth: bool = False
    username: str = ""
    password_findings: str = ""  # see ``credentials``: the password itself is not needed
    mail_from: str = ""
    both_flags: bool = False
    policy: EgressPolicy | None = None


@dataclass(frozen=True, slots=True)
class Warning:
    """One thing that is likely to fail.

    ``field`` is host, port, encryption, username, password or defaultfromemail; ``code`` is
    stable; ``text`` says what to do, and never holds a password or a part of one. ``prevents``:
    no check can be made because of it, and ends with this code; empty where it can.
    """

    field: str
    code: str
    text: Sentence
    prevents: str = ""


Found = Iterator[Warning]
