"""Every cause is reached by what was really seen, and reads well."""

from __future__ import annotations

import string
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from smtpweb.config import ROOT
from smtpweb.mailcheck import Side, Stage
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.diagnosis.catalogue import FOLDER, Cause, causes, table
from smtpweb.mailcheck.diagnosis.matcher import FACTS, Seen, diagnose
from smtpweb.mailcheck.diagnosis.providers import providers
from tests.support.examples import EXAMPLES, seen


@pytest.mark.parametrize(("cause", "example"), EXAMPLES)
def test_example_leads_to_its_cause(cause: str, example: dict[str, Any]) -> None:
    assert diagnose(seen(example)).id == cause


def test_causes_have_an_example_and_an_id_of_their_own() -> None:
    ids = [cause.id for cause in causes()]
    assert len(ids) == len(set(ids))
    assert all(cause.id.startswith("SMTP_") and cause.examples for cause in causes())


@pytest.mark.parametrize("cause", causes(), ids=lambda cause: cause.id)
def test_causes_read_well(cause: Cause) -> None:
    for text in (cause.title, cause.meaning, *cause.steps):
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        assert names <= FACTS.keys()
        assert text == text.strip()
    assert cause.steps
    assert not cause.title.endswith(".")
    assert cause.meaning.rstrip(")").endswith(".") or cause.meaning.endswith("({outcomes})")


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("symptom", [*Symptom])
def test_failures_of_any_kind_have_a_cause(stage: Stage, symptom: Symptom) -> None:
    assert diagnose(Seen(stage, symptom)).title


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data"])
@pytest.mark.parametrize(("code", "temporary"), [(450, True), (550, False)])
def test_reply_nobody_knows_gets_its_stages_default(stage: str, code: int, temporary: bool) -> None:
    found = diagnose(seen({"stage": stage, "reply": f"{code} xyzzy"}))
    assert found.id.split("_")[1].lower() in (stage, "tls")
    assert found.temporary is temporary


def test_wrong_test_address_does_not_blame_the_server() -> None:
    found = diagnose(seen({"stage": "rcpt", "reply": "550 5.1.1 User unknown"}))
    assert found.side is Side.APP


def test_providers_that_causes_name_all_exist() -> None:
    used = {name for cause in causes() for name in cause.provider}
    assert used <= {one.id for one in providers()}


def test_group_of_a_provider_has_the_same_causes() -> None:
    reply = {"stage": "auth", "reply": "535 5.7.0 (#AUTH005) refused"}
    yahoo = diagnose(seen(reply | {"host": "smtp.mail.yahoo.com"}))
    assert diagnose(seen(reply | {"host": "smtp.aol.com"})).id == yahoo.id


def test_provider_given_by_name_outranks_the_host() -> None:
    facts = {"provider": "gmail"}
    example = {"stage": "auth", "reply": "535 5.7.8 no", "host": "192.0.2.1", "facts": facts}
    assert diagnose(seen(example)).id == "SMTP_AUTH_GMAIL_BAD_CREDENTIALS"


def test_data_holds_nothing_unknown() -> None:
    for path in FOLDER.glob("*.toml"):
        assert set(tomllib.loads(path.read_text())) == {"cause"}


def test_document_lists_every_code() -> None:
    """To renew it, print ``table()`` of ``smtpweb.mailcheck.diagnosis.catalogue``."""
    document = Path(__file__).parents[3] / "docs" / "check.md"
    assert table() in document.read_text(encoding="utf-8")


def _without_tables(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("|"))


@pytest.mark.parametrize("document", ["api.md", "check.md"])
def test_documents_list_every_cause_on_our_side(document: str) -> None:
    text = (Path(__file__).parents[3] / "docs" / document).read_text(encoding="utf-8")
    ours = [cause for cause in causes() if cause.ours]
    assert {cause.side for cause in ours} == {Side.MACHINE, Side.POLICY}
    assert {cause.id for cause in causes() if cause.side is Side.POLICY} <= {
        cause.id for cause in ours
    }
    for cause in ours:
        assert cause.side is Side.POLICY or f"`{cause.id}`" in _without_tables(text)


def test_reply_made_to_waste_our_time_is_only_looked_at_in_part() -> None:
    """Some patterns look ahead; the words behind the first thousand letters name no cause."""
    text = "xyzzy " * 300 + "relay access denied"
    assert diagnose(seen({"stage": "rcpt", "reply": f"550 {text}"})).id == "SMTP_RCPT_REFUSED"


_READ_BEFORE_A_FORK = """
from pathlib import Path
from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.diagnosis.matcher import Seen, diagnose, prepare
from tests.support.replies import reply_of
if {prepared}:
    prepare()
del Path.read_text, Path.read_bytes
print(diagnose(Seen(Stage.DATA, Symptom.REFUSED, reply_of("554 This message looks like spam"))).id)
"""


@pytest.mark.parametrize("prepared", [True, False])
def test_diagnosis_reads_no_file_once_it_is_prepared(prepared: bool) -> None:
    code = _READ_BEFORE_A_FORK.format(prepared=prepared)
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.stdout == "SMTP_DATA_SPAM\n") is prepared, ran.stderr
