"""What is sent compressed, and what must not be: pages that others ask for, streams."""

from __future__ import annotations

import gzip
from pathlib import Path

import brotli
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.browser import Browser, one_database
from tests.support.factories import make_check
from tests.support.people import Person

pytestmark = one_database

BOOTSTRAP = "/bootstrap/static/css/bootstrap.min.css"
PUBLIC = (
    BOOTSTRAP,
    "/static/smtpweb.css",
    "/static/order.js",
    "/bootstrap/dark.css",
    "/openapi.json",
)
UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress}


def get(client: FlaskClient, path: str, accepted: str = "", **headers: str) -> TestResponse:
    sent = {"Accept-Encoding": accepted, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return client.get(path, headers=sent, buffered=True)


@pytest.mark.parametrize("encoding", ["gzip", "br"])
@pytest.mark.parametrize("path", PUBLIC)
def test_public_files_are_compressed(app: Flask, path: str, encoding: str) -> None:
    client = app.test_client()
    plain, small = get(client, path), get(client, path, encoding)
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == encoding
    assert len(small.data) < len(plain.data) / 2
    assert small.content_length == len(small.data)
    assert UNPACK[encoding](small.data) == plain.data
    assert small.mimetype == plain.mimetype
    for reply in (plain, small):
        assert "Accept-Encoding" in reply.headers["Vary"]
    assert get(client, path, encoding).data == small.data  # kept, and not mixed up
    other = "br" if encoding == "gzip" else "gzip"
    assert UNPACK[other](get(client, path, other).data) == plain.data


def test_bootstrap_goes_out_in_an_eighth_of_its_size(app: Flask) -> None:
    assert len(get(app.test_client(), BOOTSTRAP, "gzip").data) < 32_000


@pytest.mark.parametrize("path", PUBLIC)
def test_encodings_of_a_file_have_their_own_validators(app: Flask, path: str) -> None:
    client = app.test_client()
    tags = {name: get(client, path, name).headers["ETag"] for name in ("", "gzip", "br")}
    assert len(set(tags.values())) == 3
    for name in ("gzip", "br"):
        again = get(client, path, name, If_None_Match=tags[name])
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == tags[name]
        assert "Accept-Encoding" in again.headers["Vary"]
        assert get(client, path, name, If_None_Match=tags[""] + "x").status_code == 200


def test_file_that_was_changed_is_compressed_anew(app: Flask, tmp_path: Path) -> None:
    app.static_folder = str(tmp_path)
    client = app.test_client()
    for content in (b"a" * 1000, b"b" * 2000):
        (tmp_path / "changed.css").write_bytes(content)
        assert gzip.decompress(get(client, "/static/changed.css", "gzip").data) == content


def test_part_of_a_file_is_sent_as_it_is(app: Flask) -> None:
    client = app.test_client()
    whole = get(client, BOOTSTRAP).data
    part = get(client, BOOTSTRAP, "gzip", Range="bytes=10-4009")
    assert part.status_code == 206
    assert "Content-Encoding" not in part.headers
    assert part.data == whole[10:4010]
    assert "Accept-Encoding" in part.headers["Vary"]


def test_head_of_a_compressed_file_says_the_same_and_sends_nothing(app: Flask) -> None:
    client = app.test_client()
    head = client.head(BOOTSTRAP, headers={"Accept-Encoding": "gzip"}, buffered=True)
    assert head.data == b""
    assert head.headers["Content-Encoding"] == "gzip"
    assert head.headers["ETag"] == get(client, BOOTSTRAP, "gzip").headers["ETag"]


@pytest.mark.parametrize("site", ["", "cross-site", "same-site", "nonsense"])
def test_page_with_secrets_is_not_compressed_where_another_site_may_have_caused_it(
    browser: Browser, alice: Person, idapp: str, site: str
) -> None:
    """Its compressed length would tell the CSRF token beside words of an address (BREACH)."""
    headers = {"Sec-Fetch-Site": site} if site else {}
    with alice.app.app_context():
        check = make_check(alice, idapp)
    pages = ("/apps?q=csrf_token", "/account", f"/apps/{idapp}", f"/checks/{check.id}", "/docs")
    for path in (*pages, "/nothing"):
        reply = get(browser.client, path, "br, gzip, deflate, zstd, *", **headers)
        assert "Content-Encoding" not in reply.headers, path
        assert len(reply.data) > 500
    reply = alice.request(
        "GET", f"/private/apps/findById?idapp={idapp}", headers={"Accept-Encoding": "gzip"}
    )
    assert "Content-Encoding" not in reply.headers


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_page_that_its_reader_asked_for_is_compressed(
    browser: Browser, idapp: str, site: str
) -> None:
    for path in ("/apps", f"/apps/{idapp}", "/account"):
        plain = get(browser.client, path)
        small = get(browser.client, path, "br, gzip", Sec_Fetch_Site=site)
        assert small.headers["Content-Encoding"] == "gzip", path
        assert small.content_length == len(small.data) < len(plain.data) / 2
        assert b"</html>" in gzip.decompress(small.data)
        assert {"Accept-Encoding", "Sec-Fetch-Site"} <= set(small.vary)
        for refused in ("", "identity", "gzip;q=0"):
            reply = get(browser.client, path, refused, Sec_Fetch_Site=site)
            assert "Content-Encoding" not in reply.headers


def test_text_of_an_address_is_only_compressed_in_lists_and_from_our_own_pages(
    browser: Browser, idapp: str
) -> None:
    def is_compressed(path: str, site: str, method: str = "GET") -> bool:
        headers = {"Accept-Encoding": "gzip", "Sec-Fetch-Site": site}
        reply = browser.client.open(path, method=method, headers=headers, buffered=True)
        return "Content-Encoding" in reply.headers

    for path in ("/apps", f"/apps/{idapp}", "/smtps"):
        assert is_compressed(f"{path}?q=csrf", "same-origin")
        assert not is_compressed(f"{path}?q=csrf", "none")
    # Scripts of other pages request the address that they were opened with.
    assert not is_compressed("/account?q=csrf", "same-origin")
    assert not is_compressed(f"/apps/{idapp}/checks?q=csrf", "same-origin")
    assert not is_compressed("/login", "same-origin", "POST")


def test_stream_of_events_is_never_compressed(browser: Browser, alice: Person, idapp: str) -> None:
    with alice.app.app_context():
        check = make_check(alice, idapp)
    reply = get(browser.client, f"/checks/{check.id}/progress", "br, gzip, *")
    assert reply.mimetype == "text/event-stream"
    assert "Content-Encoding" not in reply.headers
    assert reply.data.startswith(b"event: ")


@pytest.mark.parametrize(
    "accepted", ["identity", "gzip;q=0", "nonsense", "gzip;q=0, *;q=0", "gzip;q=0, *"]
)
def test_client_that_accepts_no_encoding_gets_the_file_as_it_is(app: Flask, accepted: str) -> None:
    reply = get(app.test_client(), BOOTSTRAP, accepted)
    assert reply.status_code == 200
    assert "Content-Encoding" not in reply.headers
