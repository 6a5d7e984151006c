"""Real failures of submission, each through the real check, end in their true cause."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bench.diagnosis import outcomes
from bench.diagnosis.corpus import cases
from bench.diagnosis.scripted import check
from smtpweb.mailcheck import Stage

# The cause of each case, and what its text may not say (from ``must_not``)
EXPECTED = {
    "ms-hotmail-blocked": ("SMTP_ACCOUNT_SUSPENDED", r"\bsize\b|too big"),
    "ms-own-mailbox-full": ("SMTP_OWN_MAILBOX_FULL", r"test address"),
    "ms-port-465": ("SMTP_CONNECT_OTHER_MODE_WORKS", r"is down|wait\b"),
    "azure-domain-not-linked": ("SMTP_FROM_NOT_VERIFIED", r"malformed|syntax"),
    "gmail-mx-not-authorized": ("SMTP_CLIENT_MUST_RELAY", r"may not send as"),
    "gmail-mx-unusual-rate": ("SMTP_CLIENT_REPUTATION", r"EHLO"),
    "ses-iam-policy": ("SMTP_SES_PERMISSION", r"[Ss]witch authentication on"),
    "ses-connections": ("SMTP_TOO_MANY_CONNECTIONS", r"password"),
    "sendgrid-2fa": ("SMTP_AUTH_SENDGRID_CREDENTIALS", r"two-factor|off"),
    "sendgrid-ip-access": ("SMTP_AUTH_SENDGRID_IP", r"login service"),
    "mailtrap-sandbox-accepts": ("SMTP_ACCEPTED_SANDBOX", r"answers for its delivery"),
    "resend-own-address": ("SMTP_MAILGUN_SANDBOX", r"later|spam"),
    "smtp2go-sender-domain": ("SMTP_FROM_NOT_VERIFIED", r"spam"),
    "alimail-from": ("SMTP_FROM_NOT_OWNED", r"again later"),
    "qq-frequency": ("SMTP_TOO_MANY_CONNECTIONS", r"From address"),
    "163-no-permission": ("SMTP_AUTH_NOT_ENABLED", r"[Ww]rong"),
    "yandex-access-rights": ("SMTP_AUTH_YANDEX", r"[Aa]nother server"),
    "icloud-from": ("SMTP_FROM_NOT_OWNED", r"spam"),
    "yahoo-from": ("SMTP_YAHOO_FROM", r"not exist"),
    "yahoo-tss04": ("SMTP_CLIENT_REPUTATION", r"Nothing is wrong:"),
    "gmx-protocols-off": ("SMTP_AUTH_GMX_PROTOCOLS_OFF", r"[Aa]nother server"),
    "ionos-policy-restrictions": ("SMTP_DATA_FORMAT", r"(?<!to the )user name is"),
    "webde-ptr": ("SMTP_CLIENT_NO_REVERSE_DNS", r"is down"),
    "mimecast-geo": ("SMTP_CLIENT_NETWORK_BARRED", r"refuses the recipient"),
    "cpanel-suspended": ("SMTP_ACCOUNT_SUSPENDED", r"test address"),
    "spamhaus-open-resolver": ("SMTP_SERVER_RESOLVER", r"(?<!not be )on a block list"),
    "mailcow-ratelimit": ("SMTP_QUOTA", r"spam"),
    "hmail-tls": ("SMTP_AUTH_BEFORE_TLS", r"password again"),
    "hmail-too-many": ("SMTP_AUTH_TOO_MANY_LOGINS", r"^Wrong"),
    "mailenable-auth": ("SMTP_LOGIN_REQUIRED", r"test address|PIPELINING"),
    "avast-mail-shield": ("SMTP_TLS_INTERCEPTED", r"Gmail's administrator"),
    "report-auth-mechanism-invalid": ("SMTP_AUTH_MECHANISM_REFUSED", ""),
    "report-auth-prove-no-robot": ("SMTP_AUTH_BROWSER", ""),
    "report-auth-526": ("SMTP_AUTH_WRONG_CREDENTIALS", ""),
    "report-tls-wanted-at-auth": ("SMTP_AUTH_BEFORE_TLS", ""),
    "report-auth-first-503": ("SMTP_LOGIN_REQUIRED", ""),
    "report-auth-wanted-again": ("SMTP_LOGIN_REQUIRED_AGAIN", ""),
    "report-from-440": ("SMTP_FROM_NOT_OWNED", ""),
    "report-from-at-rcpt": ("SMTP_FROM_NOT_OWNED", ""),
    "report-from-header-incorrect": ("SMTP_FROM_NOT_OWNED", ""),
    "report-from-unknown-at-rcpt": ("SMTP_FROM_VERIFY_FAILED", ""),
    "report-from-domain-unverified": ("SMTP_FROM_NOT_VERIFIED", ""),
    "report-from-domain-unverified-4xx": ("SMTP_FROM_NOT_VERIFIED", ""),
    "report-suspended-at-rcpt": ("SMTP_ACCOUNT_SUSPENDED", ""),
    "report-ratelimit-word": ("SMTP_QUOTA", ""),
    "report-later-gmail": ("SMTP_SERVER_BUSY", ""),
    "report-later-mailbox-full": ("SMTP_RCPT_MAILBOX_FULL", ""),
    "report-helo-mismatch-at-rcpt": ("SMTP_EHLO_NAME_NOT_FULL", ""),
}


def test_cases_are_all_expected() -> None:
    assert EXPECTED.keys() == cases().keys()


@pytest.mark.parametrize(("name", "case"), cases().items(), ids=list(cases()))
def test_case_is_told_by_its_true_cause(name: str, case: dict[str, Any]) -> None:
    code, unsaid = EXPECTED[name]
    report = check(outcomes.script_of_case(name, case))
    assert report.code == code
    text = " ".join([report.title, report.meaning, *report.advice])
    if unsaid:
        assert not re.search(unsaid, text), case["must_not"]
    assert all(outcomes.of_case(case, report).values()), (report.side, report.temporary)
    if "says" in case:
        assert re.search(case["says"], text, re.IGNORECASE)
    if "never" in case:
        assert not re.search(case["never"], text, re.IGNORECASE)
    assert report.stage is Stage(case["stage"])
