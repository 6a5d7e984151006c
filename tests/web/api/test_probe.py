"""Checks without an email: up to the recipient, of stored servers and of settings not saved."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from smtpweb.database.models import Check, Due, Smtp, SmtpOauth, StartedWork
from smtpweb.database.session import db
from smtpweb.registry import grants
from tests.support.api_checks import register
from tests.support.factories import use_share
from tests.support.fake_smtp import EachConnection, FakeServer, fake_smtp
from tests.support.oauth_servers import FakeOauth, fake_oauth, refusal, token
from tests.support.people import Person

NOT_PROVED = ["content", "delivery"]


def commands(server: FakeServer) -> list[str]:
    return [line.split()[0].upper() for line in server.heard]


def rows(alice: Person) -> dict[str, int]:
    """Return how many rows there are of what a check or a new server adds."""
    with alice.app.app_context():
        return {
            table.__name__: db.session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Smtp, Check, Due)
        }


def typed(server: FakeServer, **changes: Any) -> dict[str, Any]:
    settings = {"host": server.host, "port": server.port, "defaultfromemail": "shop@example.com"}
    return settings | {"mode": "probe"} | changes


def test_probe_sends_no_email_and_says_what_it_did_not_prove(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        reply = alice.post("/private/smtps/check", idsmtp=smtp_id, mode="probe")
    assert reply.status_code == 200
    assert reply.json["notProved"] == NOT_PROVED
    sent = commands(server)
    assert "DATA" not in sent
    assert sent.index("RSET") > sent.index("RCPT")
    assert server.mails == []
    with alice.app.app_context():
        check = db.session.get_one(Check, reply.json["idcheck"])
        assert (check.mode, check.accepted, check.arrival_digest) == ("probe", True, None)


def test_probe_that_fails_disables_and_one_that_passes_enables(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"RCPT": "550 5.1.1 unknown"}) as server:
        smtp_id = register(alice, idapp, server)
        reply = alice.post("/private/smtps/check", idsmtp=smtp_id, mode="probe")
    assert (reply.status_code, reply.json["stage"], reply.json["applied"]) == (406, "rcpt", True)
    assert alice.smtp(smtp_id)["status"] == "D"
    with fake_smtp() as server:
        alice.make_smtp(idapp, idsmtp=smtp_id, host=server.host, port=server.port)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id, mode="probe").status_code == 200
    assert alice.smtp(smtp_id)["status"] == "A"


def test_probe_that_leaves_the_server_disabled_says_so(alice: Person, idapp: str) -> None:
    dots = EachConnection("250 OK", "550 5.7.1 spam", "250 OK")
    with fake_smtp(replies={"dot": dots}) as server:
        smtp_id = register(alice, idapp, server)

        def probe() -> Any:
            reply = alice.post("/private/smtps/check", idsmtp=smtp_id, mode="probe")
            assert (reply.status_code, reply.json["notProved"]) == (200, NOT_PROVED)
            return reply.json

        first = probe()
        assert (first["status"], "detail" in first) == ("A", False)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).json["stage"] == "data"
        refused = probe()
        assert (refused["status"], alice.smtp(smtp_id)["status"]) == ("D", "D")
        assert "refused the content of the last email" in refused["detail"]
        alice.post("/private/smtps/disable", idsmtp=smtp_id)
        off = probe()
        assert (off["status"], "stays off" in off["detail"]) == ("D", True)
        alice.post("/private/smtps/enable", idsmtp=smtp_id)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        last = probe()
        assert (last["status"], "detail" in last) == ("A", False)


def test_mode_is_one_of_two(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        reply = alice.post("/private/smtps/check", idsmtp=smtp_id, mode="dry")
        assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, "mode")
        assert alice.post("/private/smtps/check", idsmtp=smtp_id, mode="email").data == b""
    assert len(server.mails) == 1


def test_settings_that_are_not_saved_are_tested_and_leave_nothing(
    alice: Person, idapp: str
) -> None:
    before = rows(alice)
    with fake_smtp(login=("ana", "s3cret")) as server:
        given = typed(server, auth="true", username="ana", password="s3cret")
        good = alice.post("/private/smtps/check", idapp=idapp, **given)
        bad = alice.post("/private/smtps/check", idapp=idapp, **given | {"password": "other"})
    assert good.json == {"idcheck": None, "notProved": NOT_PROVED}
    assert (bad.status_code, bad.json["stage"], bad.json["applied"]) == (406, "auth", False)
    assert "DATA" not in commands(server)
    assert rows(alice) == before
    assert alice.smtps(idapp) == []


def test_stored_password_is_used_where_saving_would_keep_it_and_nowhere_else(
    alice: Person, idapp: str
) -> None:
    with fake_smtp(login=("ana", "s3cret")) as server, fake_smtp() as other:
        stored = {"auth": "true", "username": "ana", "password": "s3cret"}
        smtp_id = register(alice, idapp, server, **stored)
        kept = alice.smtp(smtp_id)
        given = {"idapp": idapp, "idsmtp": smtp_id, "auth": "true", "username": "ana"}
        same = alice.post("/private/smtps/check", **given, **typed(server, defaultfromname="Ana"))
        assert same.json == {"idcheck": None, "notProved": NOT_PROVED}
        moved = alice.post("/private/smtps/check", **given, **typed(other))
        assert moved.status_code == 400
    assert not [line for line in other.heard if line.upper().startswith("AUTH")]
    assert alice.smtp(smtp_id) == kept


def test_probe_of_settings_is_refused_as_saving_and_checking_are(
    alice: Person, charlie: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        given = typed(server)

        def ask(person: Any = alice, **changes: Any) -> Any:
            return person.post("/private/smtps/check", **({"idapp": idapp} | given | changes))

        assert ask(charlie).status_code == 406
        assert ask(port="70000").status_code == 400
        assert ask(alice.with_scopes("check")).status_code == 401
        assert ask(host="10.0.0.1", port=25).json["code"].startswith("SMTP_POLICY")
        assert server.heard == []
        with alice.app.app_context():
            use_share(alice, 30)
        assert ask().status_code == 429


@pytest.mark.parametrize(
    "secret",
    ["password", "Password", "clientkey", "oauthclientsecret", "oauthkey", "oauthrefreshtoken"],
)
def test_secret_of_unsaved_settings_in_the_query_string_is_refused(
    alice: Person, idapp: str, secret: str
) -> None:
    with fake_smtp() as server:
        given = typed(server) | {"idapp": idapp}
        reply = alice.request("POST", f"/private/smtps/check?{secret}=x", data=given)
    name = secret.lower()
    assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, name)
    assert server.heard == []


@pytest.mark.parametrize("mode", ["probe", "email", ""])
def test_secrets_that_a_check_ignores_may_be_in_the_query_string(
    alice: Person, idapp: str, mode: str
) -> None:
    """A client of QUEUEMAIL.DEV may send the whole SMTP to every call."""
    query = "password=x&clientkey=x&oauthkey=x&oauthclientsecret=x&oauthrefreshtoken=x"
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        data = {"idsmtp": smtp_id, "mode": mode}
        reply = alice.request("POST", f"/private/smtps/check?{query}", data=data)
    assert reply.status_code == 200


@pytest.mark.parametrize("unsaved", [False, True])
def test_access_token_in_the_query_string_is_refused(
    alice: Person, idapp: str, unsaved: bool
) -> None:
    with fake_smtp() as server:
        given = {"idapp": idapp, **typed(server)} if unsaved else {"idsmtp": "0" * 24}
        reply = alice.request("POST", "/private/smtps/check?accesstoken=x", data=given)
    assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, "accesstoken")


# --- how settings that are not saved sign in with tokens -----------------------------------

TOKEN = "the-access-token"
USER = "shop@example.com"


def by_oauth(server: FakeServer, fake: FakeOauth, **changes: Any) -> dict[str, Any]:
    grant = {
        "auth": "true",
        "username": USER,
        "oauthgrant": "client_credentials",
        "oauthclientid": "an-app",
        "oauthclientsecret": "the-client-secret",
        "oauthtokenurl": fake.token_url,
    }
    return typed(server, **(grant | changes))


def test_unsaved_settings_request_a_token_of_their_own(alice: Person, idapp: str) -> None:
    before = rows(alice)
    with fake_smtp(token=(USER, TOKEN)) as server, fake_oauth(token(TOKEN)) as fake:
        reply = alice.post("/private/smtps/check", idapp=idapp, **by_oauth(server, fake))
    assert reply.json == {"idcheck": None, "notProved": NOT_PROVED}
    assert fake.requests[0]["client_secret"] == "the-client-secret"
    assert rows(alice) == before


def test_token_that_unsaved_settings_do_not_get_is_explained(alice: Person, idapp: str) -> None:
    with fake_smtp() as server, fake_oauth(refusal("invalid_client")) as fake:
        reply = alice.post("/private/smtps/check", idapp=idapp, **by_oauth(server, fake))
    assert (reply.status_code, reply.json["stage"], reply.json["applied"]) == (406, "token", False)
    assert server.connections == 0


@pytest.mark.parametrize(
    "grant",
    [
        {"oauthgrant": "refresh_token", "oauthrefreshtoken": "once"},
        {"oauthgrant": "authorization_code", "oauthauthurl": "https://login.example.com/auth"},
        {"oauthgrant": "device_code", "oauthdeviceurl": "https://login.example.com/device"},
    ],
)
def test_unsaved_sign_in_that_a_test_would_use_up_has_to_be_saved(
    alice: Person, idapp: str, grant: dict[str, str]
) -> None:
    with fake_smtp() as server, fake_oauth() as fake:
        given = by_oauth(server, fake, **grant)
        reply = alice.post("/private/smtps/check", idapp=idapp, **given)
    assert reply.status_code == 400
    assert [one["parameter"] for one in reply.json["errors"]] == ["oauthgrant"]
    assert reply.json["errors"][0]["message"].startswith("Save first")
    assert (fake.requests, server.connections) == ([], 0)


def test_stored_refresh_token_is_used_and_its_successor_kept(alice: Person, idapp: str) -> None:
    """The edit does not touch the grant, so it is the stored one that is renewed."""
    answers = (token(TOKEN, refresh_token="second"), token(TOKEN, refresh_token="third"))
    with fake_smtp(token=(USER, TOKEN)) as server, fake_oauth(*answers) as fake:
        given = by_oauth(server, fake, oauthgrant="refresh_token", oauthrefreshtoken="first")
        stored = {name: value for name, value in given.items() if name != "mode"}
        smtp_id = alice.make_smtp(idapp, **stored)["_id"]
        secrets = ("oauthrefreshtoken", "oauthclientsecret")
        edited = {name: value for name, value in given.items() if name not in secrets}
        for _ in range(2):
            reply = alice.post(
                "/private/smtps/check", idapp=idapp, idsmtp=smtp_id,
                **edited | {"defaultfromname": "Ana"},
            )  # fmt: skip
            assert reply.json == {"idcheck": None, "notProved": NOT_PROVED}
        assert [request["refresh_token"] for request in fake.requests] == ["first"]
        # Another client secret has to be saved: the test would not use it with the stored token
        changed = alice.post(
            "/private/smtps/check", idapp=idapp, idsmtp=smtp_id,
            **edited | {"oauthclientsecret": "another"},
        )  # fmt: skip
    assert changed.status_code == 400
    with alice.app.app_context():
        row = db.session.scalars(select(SmtpOauth)).one()
        smtp = db.session.get_one(Smtp, smtp_id)
        assert grants.unseal(smtp, row, "refreshtoken") == "second"


@pytest.mark.parametrize("auth", ["true", "false"])
def test_brought_token_signs_unsaved_settings_in(alice: Person, idapp: str, auth: str) -> None:
    with fake_smtp(token=(USER, TOKEN)) as server:
        given = typed(server, auth=auth, username=USER) | {"idapp": idapp}
        good = alice.post("/private/smtps/check", **given, accesstoken=TOKEN)
        bad = alice.post("/private/smtps/check", **given, accesstoken="another")
        del given["username"]
        nameless = alice.post("/private/smtps/check", **given, accesstoken=TOKEN)
    assert good.json == {"idcheck": None, "notProved": NOT_PROVED}
    assert (bad.status_code, bad.json["stage"]) == (406, "auth")
    assert (nameless.status_code, nameless.json["errors"][0]["parameter"]) == (400, "username")


def test_refused_settings_do_not_count_as_a_check(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        given = typed(server) | {"idapp": idapp}
        for bad in (
            {"auth": "true"}, {"idsmtp": "0" * 24}, {"idapp": "0" * 24},
            {"cacertificates": "x"}, {"oauthgrant": "refresh_token"},
            {"auth": "true", "username": "a", "oauthgrant": "jwt_bearer"},
        ):  # fmt: skip
            reply = alice.post("/private/smtps/check", **given | bad)
            assert reply.status_code in (400, 406), bad
        with alice.app.app_context():
            assert db.session.scalar(select(func.count()).select_from(StartedWork)) == 0
        assert alice.post("/private/smtps/check", **given).status_code == 200
        with alice.app.app_context():
            assert db.session.scalar(select(func.count()).select_from(StartedWork)) == 1
