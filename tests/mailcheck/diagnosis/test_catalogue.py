"""Every cause is reached by what was really seen, and reads well."""

import string
import tomllib
from pathlib import Path

import pytest

from smtpweb.mailcheck import Side, Stage
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.diagnosis.catalogue import FOLDER, causes, table
from smtpweb.mailcheck.diagnosis.matcher import FACTS, Seen, diagnose
from smtpweb.mailcheck.diagnosis.providers import providers
from smtpweb.mailcheck.protocol.replies import ReplyReader

EXAMPLES = [(cause.id, example) for cause in causes() for example in cause.examples]


def seen(example):
    """What a check would have seen; "|" stands between the lines of a reply."""
    reply = None
    if "reply" in example:
        reader = ReplyReader()
        reader.feed(example["reply"].replace("|", "\r\n").encode() + b"\r\n")
        reply = reader.next()
        assert reply is not None
    return Seen(
        Stage(example["stage"]),
        Symptom(example.get("symptom", "refused")),
        reply,
        {"host": example.get("host", "mail.example.com"), **example.get("facts", {})},
    )


@pytest.mark.parametrize(("cause", "example"), EXAMPLES)
def test_what_was_seen_leads_to_its_cause(cause, example):
    assert diagnose(seen(example)).id == cause


def test_every_cause_has_an_example_and_an_id_of_its_own():
    ids = [cause.id for cause in causes()]
    assert len(ids) == len(set(ids))
    assert all(cause.id.startswith("SMTP_") and cause.examples for cause in causes())


@pytest.mark.parametrize("cause", causes(), ids=lambda cause: cause.id)
def test_every_cause_reads_well(cause):
    for text in (cause.title, cause.meaning, *cause.steps):
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        assert names <= FACTS.keys()
        assert text == text.strip()
    assert cause.steps
    assert not cause.title.endswith(".")
    assert cause.meaning.rstrip(")").endswith(".") or cause.meaning.endswith("({outcomes})")


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("symptom", [*Symptom])
def test_whatever_is_seen_has_a_cause(stage, symptom):
    assert diagnose(Seen(stage, symptom)).title


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data"])
@pytest.mark.parametrize(("code", "temporary"), [(450, True), (550, False)])
def test_a_reply_nobody_knows_gets_its_stages_default(stage, code, temporary):
    found = diagnose(seen({"stage": stage, "reply": f"{code} xyzzy"}))
    assert found.id.split("_")[1].lower() in (stage, "tls")
    assert found.temporary is temporary


def test_a_wrong_test_address_does_not_blame_the_server():
    found = diagnose(seen({"stage": "rcpt", "reply": "550 5.1.1 User unknown"}))
    assert found.side is Side.APP


def test_every_provider_that_a_cause_names_exists():
    used = {name for cause in causes() for name in cause.provider}
    assert used <= {one.id for one in providers()}


def test_the_group_of_a_provider_has_the_same_causes():
    reply = {"stage": "auth", "reply": "535 5.7.0 (#AUTH005) refused"}
    yahoo = diagnose(seen(reply | {"host": "smtp.mail.yahoo.com"}))
    assert diagnose(seen(reply | {"host": "smtp.aol.com"})).id == yahoo.id


def test_a_provider_given_by_name_outranks_the_host():
    facts = {"provider": "gmail"}
    example = {"stage": "auth", "reply": "535 5.7.8 no", "host": "192.0.2.1", "facts": facts}
    assert diagnose(seen(example)).id == "SMTP_AUTH_GMAIL_BAD_CREDENTIALS"


def test_the_data_holds_nothing_unknown():
    for path in FOLDER.glob("*.toml"):
        assert set(tomllib.loads(path.read_text())) == {"cause"}


def test_the_document_lists_every_code():
    """To renew it, print ``table()`` of ``smtpweb.mailcheck.diagnosis.catalogue``."""
    document = Path(__file__).parents[3] / "docs" / "check.md"
    assert table() in document.read_text(encoding="utf-8")


def _without_tables(text):
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))


@pytest.mark.parametrize("document", ["api.md", "check.md"])
def test_the_documents_list_every_cause_on_our_side(document):
    text = (Path(__file__).parents[3] / "docs" / document).read_text(encoding="utf-8")
    ours = [cause for cause in causes() if cause.ours]
    assert {cause.side for cause in ours} == {Side.MACHINE, Side.POLICY}
    assert {cause.id for cause in causes() if cause.side is Side.POLICY} <= {
        cause.id for cause in ours
    }
    for cause in ours:
        assert cause.side is Side.POLICY or f"`{cause.id}`" in _without_tables(text)


def test_a_reply_made_to_waste_our_time_is_only_looked_at_in_part():
    """Some patterns look ahead; the words behind the first thousand letters name no cause."""
    text = "xyzzy " * 300 + "relay access denied"
    assert diagnose(seen({"stage": "rcpt", "reply": f"550 {text}"})).id == "SMTP_RCPT_REFUSED"
