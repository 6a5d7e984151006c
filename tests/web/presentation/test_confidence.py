"""How sure a diagnosis is stands on pages and in tickets, in the reader's language."""

import dataclasses

import pytest

from smtpweb.app import create_app
from smtpweb.mailcheck import Report, Side, Stage
from smtpweb.web.presentation import confidence
from tests.conftest import settings_for

REPORT = Report(
    accepted=False,
    stage=Stage.AUTH,
    code="SMTP_AUTH_WRONG_CREDENTIALS",
    title="Wrong login or password",
    meaning="",
    advice=(),
    temporary=False,
    side=Side.SETTINGS,
    confidence="likely",
    also_possible=("SMTP_AUTH_APP_PASSWORD", "SMTP_GONE"),
    facts={"provider": "Gmail"},
)


@pytest.fixture(scope="module")
def bare_app(tmp_path_factory):
    """An application that no test asks for its database."""
    return create_app(settings_for(f"sqlite:///{tmp_path_factory.mktemp('sure')}/unused.db"))


@pytest.mark.parametrize(
    ("language", "first"),
    [("en", "This is the likely cause"), ("es", "Es la causa probable")],
)
def test_likely_cause_names_what_else_it_can_be(bare_app, language, first):
    with bare_app.test_request_context(headers={"Accept-Language": language}):
        sure, *others = confidence.sentences(REPORT)
    assert sure.startswith(first)
    assert len(others) == 1  # a code that is gone from the catalogue is left out
    assert ("The account needs an app password" in others[0]) is (language == "en")


def test_unclear_cause_says_so(bare_app):
    with bare_app.test_request_context():
        unclear = dataclasses.replace(REPORT, confidence="unclear", also_possible=())
        assert len(list(confidence.sentences(unclear))) == 1


@pytest.mark.parametrize("sure", ["certain", ""])
def test_certain_cause_and_old_reports_need_no_sentence(bare_app, sure):
    with bare_app.test_request_context():
        report = dataclasses.replace(REPORT, confidence=sure, also_possible=())
        assert list(confidence.sentences(report)) == []


def test_report_keeps_confidence_and_facts_through_json():
    assert Report.from_dict(REPORT.to_dict()) == REPORT
