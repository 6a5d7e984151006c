"""The form of an SMTP without scripts: presets, values from an address, warnings at the fields."""

from __future__ import annotations

import json

import pytest

from smtpweb.database.models import Smtp
from tests.support.browser import Browser, Page, one_database, words
from tests.support.factories import CHECK, SAVE, SECRET, count, for_server, only_smtp, typed
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person

pytestmark = one_database

FILL = "Fill in"


def said_at(page: Page, field: str) -> str:
    """The warnings at a field, which it also refers to."""
    name = f"{field}-warnings"
    if field != "encryption":
        assert name in page.by_id(field).get("aria-describedby", "").split()
    return words(page.by_id(name))


def focused(page: Page) -> list[str]:
    return [
        one.get("name") or "the summary" for one in page.root.iter() if "autofocus" in one.attrib
    ]


def test_preset_fills_host_port_and_encryption_and_nothing_else(
    browser: Browser, alice: Person, idapp: str
) -> None:
    page = browser.submit(
        f"/apps/{idapp}/smtps/new", FILL, provider="resend", smtp_login="kept",
        smtp_secret=SECRET, defaultfromname="Shop", priority="7", auth=True,
    )  # fmt: skip
    assert page.status == 200
    form = page.form()
    assert (form.value("host"), form.value("port")) == ("smtp.resend.com", "465")
    assert form.value("encryption") == "implicit"
    assert (form.value("smtp_login"), form.value("defaultfromname")) == ("kept", "Shop")
    assert form.value("priority") == "7"
    assert form.value("smtp_secret") == "" and SECRET not in page.html
    assert "Enter it again" in page.text
    assert "Not saved yet" in page.text
    assert focused(page) == ["smtp_login"]
    assert "the word resend" in words(page.by_id("smtp_login-hint"))
    assert "API key" in words(page.by_id("smtp_secret-hint"))
    assert "the word resend" in said_at(page, "smtp_login")
    assert count(alice.app, Smtp) == 0
    browser.send(page, form.fill(smtp_login="resend", smtp_secret="re_1"), SAVE)
    assert only_smtp(alice.app).host == "smtp.resend.com"


def test_provider_name_followed_by_enter_fills_in_too(
    browser: Browser, alice: Person, idapp: str
) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, provider="Mailgun (EU)")
    assert page.status == 200
    assert page.form().value("host") == "smtp.eu.mailgun.org"
    page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, provider="kasserver")
    assert page.form().value("host") == ".kasserver.com"
    assert focused(page) == ["host"]  # what comes before the dot only the customer knows
    page = browser.send(page, page.form(), SAVE)
    assert list(page.errors()) == ["host"]
    assert count(alice.app, Smtp) == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "has this name"),
        ("<b>", "has this name"),
    ],
)
def test_unknown_provider_is_an_error_at_its_field(
    browser: Browser, idapp: str, name: str, said: str
) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", FILL, provider=name, host="kept.example")
    assert page.status == 422
    assert said in page.errors()["provider"]
    assert page.form().value("host") == "kept.example"


@pytest.mark.parametrize("by_enter", [True, False])
def test_providers_that_all_fit_are_a_choice_and_no_error(
    browser: Browser, alice: Person, idapp: str, by_enter: bool
) -> None:
    new = f"/apps/{idapp}/smtps/new"
    page = browser.submit(
        new, CHECK if by_enter else FILL, provider="ses", defaultfromname="Shop", smtp_login="kept"
    )
    assert page.status == 200
    assert page.errors() == {}
    assert "servers match “ses”. Which one?" in page.text
    form = page.form()
    labels = [label for label in form.buttons if label.startswith("Amazon SES")]
    assert len(labels) > 15
    assert focused(page) == ["preset"]
    frankfurt = next(label for label in labels if "Frankfurt" in label)
    page = browser.send(page, form, frankfurt)
    form = page.form()
    assert form.value("host") == "email-smtp.eu-central-1.amazonaws.com"
    assert form.value("provider") == "Amazon SES (eu-central-1, Frankfurt)"
    assert (form.value("defaultfromname"), form.value("smtp_login")) == ("Shop", "kept")
    assert not [label for label in form.buttons if label.startswith("Amazon SES")]
    assert count(alice.app, Smtp) == 0


def test_choice_of_providers_keeps_what_was_typed_as_text(browser: Browser, idapp: str) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", FILL, provider="mailgun")
    assert len([label for label in page.form().buttons if label.startswith("Mailgun")]) == 2
    page = browser.post(
        f"/apps/{idapp}/smtps/new",
        {"csrf_token": [page.form().value("csrf_token")], "preset": ["<i>nobody</i>"]},
    )
    assert page.status == 422
    assert "has this name" in page.errors()["provider"]


def test_empty_port_is_the_usual_one_of_the_encryption(
    browser: Browser, alice: Person, idapp: str
) -> None:
    for encryption, port in (("implicit", 465), ("starttls", 587)):
        browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(encryption=encryption, port=""))
        assert alice.smtps(idapp)[-1]["port"] == port


@pytest.mark.parametrize(
    "field", ["host", "port", "encryption", "smtp_login", "smtp_secret", "defaultfromemail"]
)
def test_address_says_where_the_cursor_goes(
    browser: Browser, alice: Person, idapp: str, field: str
) -> None:
    smtp = alice.make_smtp(idapp)
    assert focused(browser.get(f"/smtps/{smtp['_id']}/edit?field={field}")) == [field]
    assert focused(browser.get(f"/smtps/{smtp['_id']}/edit?field=password")) == []


def test_values_of_the_address_stand_in_the_form_and_are_not_saved(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, port=465, ssltls="true")
    path = f"/smtps/{smtp['_id']}/edit"
    page = browser.get(f"{path}?port=587&encryption=starttls&field=port")
    assert (page.form().value("port"), page.form().value("encryption")) == ("587", "starttls")
    assert "Not saved yet. Filled in for you: Encryption, Port" in page.text
    assert "Stored now: 465" in page.text
    assert "Stored now: Implicit TLS (SMTPS, port 465)" in page.text
    assert alice.smtp(smtp["_id"]) == smtp
    browser.send(page, page.form(), SAVE)
    saved = alice.smtp(smtp["_id"])
    assert (saved["port"], saved["starttls"], saved["sslTls"]) == (587, True, False)
    assert "Not saved yet" not in browser.get(f"{path}?port=587&encryption=starttls").text


def test_form_asks_at_once_for_a_password_that_cannot_be_kept(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, auth="true", username="shop", password=SECRET)
    path = f"/smtps/{smtp['_id']}/edit"
    page = browser.get(f"{path}?port=2525&encryption=starttls")
    assert "For safety, enter the password again." in page.text
    assert focused(page) == ["smtp_secret"]
    assert page.by_id("smtp_secret").get("placeholder") == ""
    page = browser.get(f"{path}?port={smtp['port']}")
    assert "For safety, enter the password again." not in page.text
    assert "keep the stored" in page.by_id("smtp_secret").get("placeholder", "")


def test_cause_of_the_last_check_stands_at_its_field_until_settings_change(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(login=("shop", "s3cret")) as server:
        given = for_server(server, smtp_secret="wrong one")
        browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **given)
        smtp = only_smtp(alice.app)
        assert alice.post("/private/smtps/check", idsmtp=smtp.id).status_code == 406
        path = f"/smtps/{smtp.id}/edit"
        page = browser.get(path)
        said = words(page.by_id("smtp_secret-cause"))
        assert said.startswith(
            "Last check: Wrong user name or password. Enter user name and password"
        )
        assert "smtp_secret-cause" in page.by_id("smtp_secret").get("aria-describedby", "").split()
        browser.submit(path, SAVE, smtp_secret="another")
        assert "Last check" not in browser.get(path).text


def test_values_that_cannot_be_read_are_left_out_with_a_note(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp)
    page = browser.get(f"/smtps/{smtp['_id']}/edit?port=99999&encryption=rot13&host=a%0d%0ab")
    assert page.form().value("port") == str(smtp["port"])
    assert page.form().value("host") == smtp["host"]
    assert "the value is not valid: Host, Encryption, Port" in page.text
    main = page.html.partition("<main")[2].partition("</main>")[0]  # the footer has the address
    assert "99999" not in main and "rot13" not in main


def test_values_of_the_address_fill_a_new_form_too_and_the_port_follows(
    browser: Browser, idapp: str
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new?host=mail.example.org&encryption=implicit")
    form = page.form()
    assert (form.value("host"), form.value("port")) == ("mail.example.org", "465")
    assert focused(page) == ["smtp_login"]


def test_warnings_stand_at_their_fields_after_saving_and_forbid_nothing(
    browser: Browser, alice: Person, idapp: str
) -> None:
    page = browser.submit(
        f"/apps/{idapp}/smtps/new", SAVE,
        **typed(host="smtp.gmail.com", port="465", smtp_login="shop", smtp_secret="mein Hund "),
    )  # fmt: skip
    smtp = only_smtp(alice.app)
    assert page.heading == "Gmail · shop"
    assert "Saved with warnings, not checked." in page.text
    for text in (
        "Port 465 usually uses implicit TLS",
        "16 letters",
        "full email address",
        "Ends with",
    ):
        assert text in page.text
    fixes = [link.get("href") for link in page.all("a") if words(link) in ("Port", "Password")]
    assert f"/smtps/{smtp.id}/edit?field=port" in fixes
    assert f"/smtps/{smtp.id}/edit?field=smtp_secret" in fixes
    page = browser.get(f"/smtps/{smtp.id}/edit")
    assert "usually uses implicit TLS" in said_at(page, "port")
    assert "full email address" in said_at(page, "smtp_login")
    assert "16 letters" in said_at(page, "smtp_secret")
    assert said_at(page, "host") == said_at(page, "encryption") == ""
    assert page.errors() == {}
    assert "mein Hund" not in page.html
    assert alice.smtp(smtp.id)["password"] == "mein Hund "


def test_settings_saved_with_a_warning_are_checked_all_the_same(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(login=("shop", "s3cret ")) as server:
        page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **for_server(server))
        browser.result(page)
        assert server.mails
    assert "Saved with a warning. Password: Ends with a space" in page.text
    assert "s3cret" not in page.html


def test_warnings_stand_in_one_box_above_the_result(browser: Browser, idapp: str) -> None:
    given = {"host": "smtp.sendgrid.net", "port": "465", "smtp_login": "a@b.example"}
    page = browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **typed(**given, smtp_secret="key"))
    (said,) = [words(one) for one in page.root.iter("div") if one.get("role") == "status"]
    assert said.startswith("Saved with 2 warnings. Port: Port 465 usually")
    assert "User name: At SendGrid" in said


def test_preflight_answers_what_the_page_would_say(
    browser: Browser, alice: Person, idapp: str
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    path = f"/apps/{idapp}/smtps/preflight"
    given = typed(host="smtp.sendgrid.net", smtp_secret="apikey", port="nonsense")
    data = page.form().fill(**given).values
    reply = browser.client.post(path, data=data)
    assert reply.status_code == 200
    answer = json.loads(reply.data)
    assert answer["warnings"]["smtp_login"] == [
        "At SendGrid the user name is always the word apikey."
    ]
    assert "Enter the key here" in answer["warnings"]["smtp_secret"][0]
    assert answer["warnings"]["port"] == []
    assert answer["hints"]["smtp_login"] == "SendGrid: Always the word apikey."
    assert count(alice.app, Smtp) == 0
    assert browser.client.post(path, data=data | {"csrf_token": ["x"]}).status_code == 400


def test_preflight_says_nothing_about_the_smtps_of_others(
    browser: Browser, charlie: Person
) -> None:
    theirs = charlie.make_smtp(charlie.make_app("theirs")["_id"])
    token = browser.get("/apps/new").form().value("csrf_token")
    for path in (f"/smtps/{theirs['_id']}", f"/apps/{theirs['idapp']}/smtps"):
        reply = browser.client.post(f"{path}/preflight", data={"csrf_token": token})
        assert reply.status_code == 404
