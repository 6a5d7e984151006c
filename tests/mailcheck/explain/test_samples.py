"""What libraries, programs and logs say leads to the stage, the symptom and the reply."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from smtpweb.mailcheck.explain.explanation import explain

SAMPLES = tomllib.loads(Path(__file__).with_name("samples.toml").read_text(encoding="utf-8"))
WRAPPERS = (
    "raw reply", "transcript", "telnet", "openssl s_client", "smtplib", "socket", "ssl", "Django",
    "aiosmtplib", "nodemailer", "PHPMailer", "Symfony", "Laravel", "JavaMail", "Jakarta Mail",
    "Spring", "Ruby", "Go", ".NET", "MailKit", "curl", "swaks", "msmtp", "Postfix", "Exim",
    "Sendmail", "bounce", "WP Mail SMTP", "Grafana", "Nextcloud",
)  # fmt: skip


def name(sample):
    return f"{sample['of']}: {sample['text'].strip()[:40]}"


@pytest.mark.parametrize("sample", SAMPLES["sample"], ids=name)
def test_sample_is_understood(sample):
    found = explain(sample["text"])
    assert found.diagnosis is not None
    assert str(found.stage) == sample["stage"]
    if "said" in sample:
        assert found.reply is not None
        assert [found.reply.code, found.reply.enhanced] == sample["said"]
    else:
        assert found.facts["symptom"] == sample["symptom"]
    for fact in ("host", "port", "provider"):
        assert found.facts.get(fact) == sample.get(fact), fact
    for fact, value in sample.get("facts", {}).items():
        assert found.facts.get(fact) == value, fact


def test_samples_hold_two_of_each_wrapper():
    counted = Counter(
        wrapper
        for sample in SAMPLES["sample"]
        for wrapper in WRAPPERS
        if sample["of"].startswith(wrapper)
    )
    assert {wrapper for wrapper in WRAPPERS if counted[wrapper] < 2} == set()


@pytest.mark.parametrize("sample", SAMPLES["sample"], ids=name)
def test_sample_means_the_same_however_it_was_wrapped(sample):
    """Line ends, quoting in a mail, colours of a terminal, and text before and after."""
    usual = explain(sample["text"])
    text = sample["text"]
    for changed in (
        text.replace("\n", "\r\n"),
        f"\x1b[31m{text}\x1b[0m",
        f"Hello,\n\nwe see this since Monday, can you help?\n\n{text}\n\nThanks\n",
    ):
        found = explain(changed)
        assert found.stage == usual.stage
        assert found.diagnosis.id == usual.diagnosis.id
        assert (found.reply and found.reply.code) == (usual.reply and usual.reply.code)


@pytest.mark.parametrize("sample", SAMPLES["sample"], ids=name)
def test_sample_shows_no_credential(sample):
    found = explain(sample["text"])
    everything = f"{found!r}"
    for secret in (
        "hunter2", "aHVudGVyMiE", "AGFAYi5leGFtcGxlAGh1bnRlcjIh", "AHNob3AAAC8qIHNlY3JldCAqLw",
        "c2hvcEBleGFtcGxlLm9yZw", "SG.abcdefghijklmnop",
    ):  # fmt: skip
        assert secret not in everything
