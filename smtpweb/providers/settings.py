"""The SMTP server settings to evaluate, and the resulting warnings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import Sentence
from ..mailcheck import EgressPolicy, Encryption


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings to evaluate; ``mail_from`` is the From that the test email would have.

    ``policy`` None: do not evaluate where checks may connect.
    """

    host: str
    port: int | None
    encryption: Encryption
    auth: bool = False
    oauth: bool = False  # it signs in with access tokens instead of a password
    username: str = ""
    password_findings: str = ""  # see ``credentials``: the password itself is not needed
    mail_from: str = ""
    both_flags: bool = False
    policy: EgressPolicy | None = None


@dataclass(frozen=True, slots=True)
class Warning:
    """One likely failure.

    ``field`` is host, port, encryption, username, password or defaultfromemail; ``code`` is
    stable; ``text`` says what to do, and never contains a password or a part of one.
    ``prevents``: the code with which every check ends because of it; empty if it can be checked.
    """

    field: str
    code: str
    text: Sentence
    prevents: str = ""


Found = Iterator[Warning]
