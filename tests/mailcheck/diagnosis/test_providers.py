"""Who runs a server is told by its host, its certificate or its greeting, and by nothing looser."""

import datetime
import re

import pytest

from smtpweb.mailcheck.diagnosis import providers as module
from smtpweb.mailcheck.diagnosis.providers import (
    LINKS,
    ProviderDataError,
    Role,
    named,
    patterns,
    provider_of,
    providers,
    role_of,
)

# How servers greet, by their provider, in public transcripts; persons and addresses replaced.
GREETINGS = {
    "gmail": "mx.google.com ESMTP d2e1a72fcca58-715e57a0f50si1104d2710b3a.328 - gsmtp",
    "microsoft": "AM0PR02CA0107.outlook.office365.com Microsoft ESMTP MAIL Service ready at Mon,"
    " 1 Jun 2026 12:00:00 +0000",
    "outlook": "COL004-MC1F33.olc.protection.outlook.com Microsoft ESMTP MAIL Service ready",
    "zoho": "mx.zoho.com SMTP Server ready January 1, 2026 1:00:00 AM PST",
    "yahoo": "smtp.mail.yahoo.com ESMTP ready",
    "icloud": "p00-iscream-smtp.mail.me.com ESMTP ready",
    "gmx": "gmx.net (mrgmx105) Nemesis ESMTP Service ready",
    "web-de": "web.de (mrweb105) Nemesis ESMTP Service ready",
    "ionos": "kundenserver.de (mreue107) Nemesis ESMTP Service ready",
    "strato": "smtp.strato.de ESMTP RZmta 50.0.0 ready",
    "hetzner": "www123.your-server.de ESMTP Exim 4.96 Mon, 01 Jun 2026 12:00:00 +0200",
    "yandex": "mail-nwsmtp-smtp-production-main-17.sas.yp-c.yandex.net Ok 1780308000",
    "mail-ru": "smtp29.i.mail.ru ESMTP ready (Looking for Mail for your domain?)",
    "qq": "newxmesmtplogicsvrszb9-0.qq.com XMail Esmtp QQ Mail Server.",
    "netease": "163.com Anti-spam GT for Coremail System (163com[20141201])",
    "ses": "email-smtp.amazonaws.com ESMTP SimpleEmailService-d-AB12CD34E fxg2Kr9JZ1",
    "sendgrid": "SG ESMTP service ready at geopod-ismtpd-14",
    "smtp2go": "mail.smtp2go.com ESMTP Exim 4.94.2-S2G",
    "resend": "Resend SMTP Relay ESMTP",
    "proton": "mailsub002.protonmail.ch ESMTP Postfix",
    "mailtrap": "live.smtp.mailtrap.io ESMTP ready",
    "mailtrap-sandbox": "smtp.mailtrap.io ESMTP ready",
    "catcher": "7c1f6ea58c6d Mailpit ESMTP Service ready",
    "mailhog": "mailhog.example ESMTP MailHog",
}


def test_providers_are_many_and_checked():
    assert len(providers()) >= 45
    for one in providers():
        assert isinstance(one.checked, datetime.date)
        assert one.hosts or one.greeting, one.id
        assert set(one.links) <= set(LINKS)
        for notice in one.notices:
            assert isinstance(notice.since, datetime.date)
            assert notice.text.endswith(".")


def test_patterns_of_hosts_do_not_overlap_between_providers():
    compiled = [(one.id, role, module._compiled(host)) for one, role, host in patterns()]
    for provider, role, pattern in patterns():
        host = pattern.replace("*", "a1-b2.c3")
        fitting = {name for name, _, regex in compiled if regex.fullmatch(host)}
        assert fitting == {provider.id}, pattern
        found = provider_of(host)
        assert found is provider and role_of(host) is role, pattern


def test_certificate_patterns_name_one_provider_each():
    for provider in providers():
        for name in provider.certificate:
            shown = name.replace("*", "a1")
            assert provider_of("mail.example.org", "", [shown]) is provider, (provider.id, name)


@pytest.mark.parametrize(("name", "greeting"), GREETINGS.items())
def test_provider_is_known_by_its_greeting_alone(name, greeting):
    fitting = {one.id for one in providers() if one.greeting and one.greeting.search(greeting)}
    found = provider_of("192.0.2.1", greeting)
    assert found and found.id == name
    assert fitting <= {name, "mailtrap-sandbox"}, fitting


@pytest.mark.parametrize(
    "host",
    [
        "gmail.com.example.net", "notgmail.com", "smtp.gmail.com.evil.example", "evilsmtp.web.de",
        "myweb.de", "xgmx.net", "smtp.hotmail.ru", "notmail.ru", "smtp.qq.com.cn.example",
        "smtp.notqq.com", "amazonaws.com", "ec2-192-0-2-1.eu-west-1.compute.amazonaws.com",
        "my-app.azurewebsites.net", "storage.yandexcloud.net", "localhost", "127.0.0.1", "",
        "mail.example.com", "s3.amazonaws.com", "web.de", "mail.com", "free.fr",
    ],
)  # fmt: skip
def test_provider_is_not_taken_from_a_host_that_only_sounds_like_it(host):
    assert provider_of(host) is None
    assert role_of(host) is None


@pytest.mark.parametrize(
    ("host", "name", "role"),
    [
        ("smtp.web.de", "web-de", Role.SUBMISSION),
        ("mx-ha02.web.de", "web-de", Role.MX),
        ("mail.gmx.net", "gmx", Role.SUBMISSION),
        ("mx00.emig.gmx.net", "gmx", Role.MX),
        ("smtp.mail.ru", "mail-ru", Role.SUBMISSION),
        ("mxs.mail.ru", "mail-ru", Role.MX),
        ("smtp.qq.com", "qq", Role.SUBMISSION),
        ("mx3.qq.com", "qq", Role.MX),
        ("mxbiz1.qq.com", "qq", Role.MX),
        ("smtp.mail.com", "mail-com", Role.SUBMISSION),
        ("smtp.gmail.com", "gmail", Role.SUBMISSION),
        ("aspmx.l.google.com", "gmail", Role.MX),
        ("alt1.gmail-smtp-in.l.google.com.", "gmail", Role.MX),
        ("smtp-relay.gmail.com", "google-relay", Role.RELAY),
        ("SMTP.Office365.com", "microsoft", Role.SUBMISSION),
        ("example-org.mail.protection.outlook.com", "microsoft", Role.MX),
        ("hotmail-com.olc.protection.outlook.com", "outlook", Role.MX),
        ("email-smtp.eu-west-1.amazonaws.com", "ses", Role.RELAY),
        ("inbound-smtp.eu-west-1.amazonaws.com", "ses", Role.MX),
        ("w0123456.kasserver.com", "all-inkl", Role.SUBMISSION),
        ("mxf99a.netcup.net", "netcup", Role.SUBMISSION),
        ("www42.your-server.de", "hetzner", Role.SUBMISSION),
        ("smtp.secureserver.net", "godaddy", Role.MX),
        ("smtpout.secureserver.net", "godaddy", Role.SUBMISSION),
        ("smtp.email.eu-frankfurt-1.oci.oraclecloud.com", "oci", Role.RELAY),
        ("eu-smtp-inbound-1.mimecast.com", "mimecast", Role.MX),
        ("mxa-001.gslb.pphosted.com", "proofpoint", Role.MX),
        ("sandbox.smtp.mailtrap.io", "mailtrap-sandbox", Role.SANDBOX),
        ("live.smtp.mailtrap.io", "mailtrap", Role.RELAY),
        ("smtp.ethereal.email", "ethereal", Role.SANDBOX),
        ("smtp.zoho.eu", "zoho", Role.SUBMISSION),
        ("smtp.zeptomail.in", "zeptomail", Role.RELAY),
        ("smtp.yandex.ru", "yandex", Role.SUBMISSION),
        ("mx.yandex.net", "yandex", Role.MX),
    ],
)
def test_host_tells_provider_and_role(host, name, role):
    found = provider_of(host)
    assert found and found.id == name
    assert role_of(host) is role


def test_host_outranks_certificate_and_greeting():
    greeting = GREETINGS["sendgrid"]
    assert provider_of("smtp.gmail.com", greeting, ["smtp.resend.com"]).id == "gmail"
    assert provider_of("mail.example.org", greeting, ["smtp.resend.com"]).id == "resend"
    assert provider_of("mail.example.org", greeting, ["mail.example.org"]).id == "sendgrid"


def test_shared_hoster_is_known_by_its_certificate():
    """The customer's own name as the host, the hoster's in the certificate."""
    found = provider_of("mail.shop.example", "ready", ["*.kasserver.com", "kasserver.com"])
    assert found and found.id == "all-inkl"


def test_a_name_in_the_middle_of_a_greeting_is_no_provider():
    for greeting in (
        "mail.example.org ESMTP Postfix (gsmtp compatible)",
        "phone.com ESMTP", "someone.com ESMTP", "not163.com ESMTP", "hotmail.ru.example ESMTP x",
    ):  # fmt: skip
        found = provider_of("mail.example.org", greeting)
        assert found is None, (greeting, found and found.id)


def test_sandboxes_are_told_apart():
    sandboxes = {one.id for one in providers() if one.is_sandbox}
    assert sandboxes == {
        "mailtrap-sandbox", "ethereal", "catcher", "mailhog", "maildev", "smtp4dev",
    }  # fmt: skip
    assert not named("mailtrap").is_sandbox


def test_links_are_the_providers_own():
    """A link to somebody else's help misleads: Mail.ru's users must not be sent to Google."""
    owners = re.compile(r"https://(?:[a-z0-9-]+\.)*([a-z0-9-]+)\.[a-z.]+/")
    allowed = {
        "gmail": "google", "google-relay": "google", "outlook": "microsoft outlook",
        "icloud": "apple", "web-de": "web", "hetzner": "hetzner", "mailtrap-sandbox": "mailtrap",
        "ses": "amazon", "sendgrid": "twilio sendgrid", "azure": "microsoft", "oci": "oracle",
        "netease": "163", "catcher": "axllent", "barracuda": "barracudacentral",
        "proton-bridge": "proton", "plunk": "useplunk", "fastmail": "fastmail fastmailstatus",
        "microsoft": "microsoft office cloud", "yahoo": "yahoo yahooinc", "postmark": "postmarkapp",
    }  # fmt: skip
    for one in providers():
        for url in one.links.values():
            host = url.split("/")[2]
            words = allowed.get(one.id, one.id).split()
            names = {word.replace("-", "") for word in words}
            assert any(name in host.replace("-", "").replace(".ru", "ru") for name in names), (
                one.id,
                url,
            )
            assert owners.match(url), url


def test_states_of_an_account_are_found_in_replies():
    ses = named("Amazon SES")
    assert ses.state_in("Message rejected: Email address is not\n verified.") == "sandbox"
    assert named("outlook").state_in("we've temporarily blocked your account.") == "suspended"
    assert ses.state_in("Authentication Credentials Invalid") is None


def test_microsoft_notices_are_dated():
    days = [notice.since for notice in named("microsoft").notices]
    assert datetime.date(2026, 12, 31) in days
    text = " ".join(notice.text for notice in named("microsoft").notices)
    assert "administrator can switch it on again" in text and "High Volume Email" in text


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"links": {"home": "https://example.com/"}}, "unknown home"),
        ({"links": {"status": "http://example.com/"}}, "not an https"),
        ({"states": {"gone": ["x"]}}, "unknown gone"),
        ({"hosts": ["x"]}, "unknown hosts"),
        ({"greeting": ["("]}, "error"),
        ({"checked": None}, "checked"),
    ],
)
def test_faulty_entry_is_refused(changed, wrong):
    entry = {"id": "x", "name": "X", "checked": datetime.date(2026, 1, 1)} | changed
    if changed == {"checked": None}:
        del entry["checked"]
    with pytest.raises(ProviderDataError, match=wrong):
        module._provider(entry)


def test_a_host_that_stands_twice_is_refused():
    entry = {"id": "x", "name": "X", "checked": datetime.date(2026, 1, 1), "relay": ["h.example"]}
    first = module._provider(entry)
    second = module._provider(entry | {"id": "y"})
    with pytest.raises(ProviderDataError, match=r"h\.example stands twice"):
        module._refuse_repetitions((first, second))
