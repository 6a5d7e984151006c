"""A server that says the password back, in every place where a server can speak, and encoded.

Whatever it does, the password is in no answer of the API, on no page, in no ticket text, in no
stored row and in no log.
"""

from __future__ import annotations

import base64
import html
import json
import logging
from typing import Any

import pytest

from smtpweb.mailcheck.core.redaction import HIDDEN
from tests.support.browser import Browser, one_database
from tests.support.factories import only_check, trust
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person

pytestmark = one_database

USER, PASSWORD = "app@shop.example", "qx7-Wrd.vHk29-zzTop"
RAW = PASSWORD.encode()
BASE64 = base64.b64encode(RAW).decode()
ECHOES = {
    "plain": PASSWORD,
    "hexadecimal": RAW.hex(),
    "base64 of base64": base64.b64encode(BASE64.encode()).decode(),
    "percent": "".join(f"%{octet:02x}" for octet in RAW),
}


def ehlo(keyword: str) -> str:
    return f"250-x\r\n250-{keyword}\r\n250 AUTH PLAIN LOGIN"


PLACES: dict[str, Any] = {
    "greeting": lambda echo: {"connect": f"220 {echo} ESMTP"},
    "greeting that refuses": lambda echo: {"connect": f"554 {echo}"},
    "first line of EHLO": lambda echo: {"EHLO": f"250-{echo}\r\n250 AUTH PLAIN"},
    "capability": lambda echo: {"EHLO": ehlo(echo)},
    "value of a capability": lambda echo: {"EHLO": ehlo(f"SIZE {echo}")},
    "AUTH mechanism": lambda echo: {"EHLO": f"250-x\r\n250 AUTH {echo}"},
    "challenge": lambda echo: {"AUTH": f"334 {echo}"},
    "refused login": lambda echo: {"AUTH": f"535 5.7.8 {echo}"},
    "accepted login": lambda echo: {"AUTH": f"235 2.7.0 hello {echo}"},
    "MAIL": lambda echo: {"MAIL": f"550 5.1.8 {echo}"},
    "RCPT": lambda echo: {"RCPT": f"550 5.1.1 <{echo}>: no such user"},
    "DATA": lambda echo: {"DATA": f"354 {echo}"},
    "queue id": lambda echo: {"dot": f"250 2.0.0 Ok: queued as {echo}"},
    "verdict": lambda echo: {"dot": f"554 5.7.1 {echo}"},
    "two lines": lambda echo: {
        "MAIL": f"550-{echo[: len(echo) // 2]}\r\n550 {echo[len(echo) // 2 :]}"
    },
    "two coded lines": lambda echo: {
        "MAIL": f"550-5.1.8 {echo[: len(echo) // 2]}\r\n550 5.1.8 {echo[len(echo) // 2 :]}"
    },
    "two replies": lambda echo: {
        "MAIL": f"250 {echo[: len(echo) // 2]}", "RCPT": f"550 {echo[len(echo) // 2 :]}"
    },
    "a letter a line": lambda echo: {
        "MAIL": "\r\n".join(f"550-{char}" for char in echo[:-1]) + f"\r\n550 {echo[-1]}"
    },
}  # fmt: skip


def everything(alice: Person, browser: Browser, caplog: Any, **smtp: Any) -> str:
    """All that is told and kept of one check, as a person would read it."""
    idapp = alice.make_app("shop", testemail="test@shop.example")["_id"]
    saved = alice.make_smtp(
        idapp, auth=True, username=USER, password=PASSWORD,
        defaultfromemail="app@shop.example", **smtp,
    )  # fmt: skip
    answer = alice.post("/private/smtps/check", idsmtp=saved["_id"]).text
    check = only_check(alice.app)
    pages = [
        browser.get(path).html
        for path in (f"/checks/{check.id}", f"/smtps/{saved['_id']}", f"/apps/{idapp}")
    ]
    return "\n".join(
        [
            json.dumps(json.loads(answer), ensure_ascii=False) if answer else "",
            *map(html.unescape, pages),
            json.dumps(check.report_json, ensure_ascii=False),
            repr(check.report),
            str(check.title),
            caplog.text,
        ]
    )


def refuse_any_of(echo: str, kept: str) -> None:
    """No eight characters of ``echo`` in a row, on one line or over several."""
    for start in range(len(echo) - 7):
        assert echo[start : start + 8].lower() not in kept.lower()


@pytest.mark.parametrize("how", ECHOES)
@pytest.mark.parametrize("place", PLACES)
def test_echoed_password_is_neither_shown_nor_kept(
    alice: Person, browser: Browser, caplog: pytest.LogCaptureFixture, place: str, how: str
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = ECHOES[how]
    with fake_smtp(login=(USER, PASSWORD), replies=PLACES[place](echo)) as server:
        kept = everything(alice, browser, caplog, host="127.0.0.1", port=server.port)
    refuse_any_of(echo, kept)
    if place == "a letter a line":
        spelled = "".join(line["text"][4:] for line in said(only_check(alice.app).report_json))
        assert echo not in spelled
    assert HIDDEN in kept


def said(report: Any) -> list[dict[str, str]]:
    return [line for line in report["transcript"] if line["direction"] == "S"]


@pytest.mark.parametrize("how", ECHOES)
@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("kind", ["says", "untrusted, says"])
def test_certificate_that_names_the_password_does_not_show_it(
    alice: Person, browser: Browser, caplog: pytest.LogCaptureFixture, kind: str, tls: str, how: str
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = ECHOES[how]
    with fake_smtp(login=(USER, PASSWORD), tls=tls, certificate=f"{kind} {echo}") as server:
        trust(alice.app, server)
        flag = {"ssltls" if tls == "implicit" else "starttls": True}
        kept = everything(alice, browser, caplog, host="localhost", port=server.port, **flag)
    report = only_check(alice.app).report
    assert report is not None
    assert report.accepted == (kind == "says"), report.code
    assert report.tls is not None
    assert report.tls.subject == HIDDEN
    assert "localhost" in report.tls.names
    refuse_any_of(echo[:64], kept)
