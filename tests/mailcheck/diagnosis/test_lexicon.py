"""Each meaning is found by its own words, whatever stands beside them, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.diagnosis.catalogue import causes, causes_by_id
from smtpweb.mailcheck.diagnosis.lexicon import (
    FOLDER,
    LANGUAGES,
    entries,
    meanings_of,
    parties,
    phrases,
)  # fmt: skip
from smtpweb.mailcheck.diagnosis.matcher import Seen, diagnose
from smtpweb.mailcheck.diagnosis.phrase_language import WORDS, expanded, pattern_of
from smtpweb.mailcheck.diagnosis.reading import normalised, read
from tests.support.replies import reply_of

ANYWHERE = (Stage.MAIL, Stage.RCPT, Stage.DATA)
MEANINGS = sorted(parties())
EXAMPLES = [
    (entry.meaning, stage, example)
    for entry in entries()
    for example in entry.examples
    for stage in sorted(entry.stages or ANYWHERE)
]
# Replies that share a loud word and mean something else: the reply, its stage, the meaning
NEAR_MISSES = [
    ("550 5.7.1 Sender address is not the same as the login", "mail", "sender-not-owned"),
    ("553 From must be the same as the user name", "mail", "sender-not-owned"),
    ("554 5.7.9 duplicate message", "data", "duplicate-message"),
    ("554 Message rejected: identical message was received before", "data", "duplicate-message"),
    ("554 Transaction failed: Duplicate header 'Content-Type'.", "data", "message-format"),
    ("550 5.7.30 REQUIRETLS support required", "mail", "onward-tls"),
    ("450 4.7.5 Certificate of the next hop failed the MTA-STS policy", "rcpt", "onward-tls"),
    ("451 4.7.323 tlsa-invalid", "rcpt", "onward-tls"),
    ("530 5.7.0 TLS required", "mail", "tls-required"),
    ("550 5.7.30 Basic authentication is not supported", "auth", "oauth-required"),
    ("550 5.7.1 Unauthenticated email is not accepted from this domain", "data",
     "sender-authentication"),
    ("550 Unauthenticated senders not allowed", "mail", "authentication-required"),
    ("554 5.7.1 Message contains a URL listed by SURBL", "data", "spam"),
    ("554 5.7.1 Blocked by SURBL (multi.surbl.org)", "data", "spam"),
    ("550 domain example.com found in URIBL", "mail", "sender-domain-listed"),
    ("550 4.4.7 QUEUE.Expired; message expired", "data", "delivery-expired"),
    ("535 5.7.8 Your password has expired", "auth", "password-unfit"),
    ("550 Mailbox expired", "rcpt", "mailbox-disabled"),
    ("554 SMTP server not available if you do not have a reverse DNS mapping", "greeting",
     "no-reverse-dns"),
    ("421 Reverse DNS failure: try again later", "greeting", "no-reverse-dns"),
    ("451 DNS failure: try again later", "mail", "server-trouble"),
    ("550 5.7.1 Relaying denied. IP name possibly forged [192.0.2.7]", "rcpt", "no-reverse-dns"),
    ("550 5.7.1 Relaying denied", "rcpt", "relay-denied"),
    ("550 <a@example.com> sender rejected: invalid sender domain", "mail", "sender-domain-unknown"),
    ("501 <a@example.com> sender rejected: invalid sender syntax", "mail", "sender-malformed"),
    ("550 Invalid from: domain example.com not found in your account", "data",
     "sender-not-verified"),
    ("421 4.7.0 Too many errors, closing", "mail", "protocol-fault"),
    ("421 4.7.0 Too many failed authentication errors, closing", "auth", "too-many-attempts"),
    ("450 spamd scan error", "data", "server-trouble"),
    ("550 spamd says this is spam", "data", "spam"),
    ("550 not accepting mail with attachments or embedded images", "data", "attachment-policy"),
    ("550 attachment refused: virus found", "data", "virus"),
    ("550 domain no longer in use", "rcpt", "recipient-domain-unknown"),
    ("550 mailbox no longer in use", "rcpt", "mailbox-disabled"),
    ("550 Mailbox unavailable. Your IP address is blacklisted", "rcpt", "ip-listed"),
    ("550 5.7.1 Relay denied: exceeded the max emails per hour (200 max)", "rcpt", "message-rate"),
    ("550 relay access denied - please authenticate", "rcpt", "authentication-required"),
    ("550 Number of 'Received:' headers exceeds the maximum", "data", "loop"),
    ("550 Rule imposed: not allowed to send from that country", "rcpt", "geo-or-network-policy"),
    ("550 not allowed to send from that address", "mail", "sender-not-owned"),
    ("450 too many connections from your IP (rate controlled)", "rcpt", "too-many-connections"),
    ("451 too many messages from your IP (rate controlled)", "rcpt", "message-rate"),
    ("550 5.7.1 <a@example.com>: Sender address rejected: Address uses MX in private address"
     " space (10.0.0.0/8)", "rcpt", "sender-domain-unknown"),
    ("550 5.7.1 <b@example.org>: Recipient address rejected: Address uses MX in private address"
     " space (10.0.0.0/8)", "rcpt", "recipient-domain-unknown"),
    ("535 auth failed (this user authenticates too many times)", "auth", "too-many-attempts"),
    ("550 Domain sandbox.example.com is not allowed to send: Please activate your account",
     "data", "account-unconfirmed"),
    ("550 Recipient address changed by policy: user unknown", "rcpt", "recipient-unknown"),
    ("550 High probability of spam", "data", "spam"),
    ("554 You are sending spam", "rcpt", "ip-reputation"),
    ("550 sender is spammer", "mail", "sender-refused"),
    ("535 Your message looks like spam, prove you are not a robot", "auth",
     "browser-sign-in-required"),
    ("550 5.7.26 Unauthenticated email from example.com is not accepted. To protect users from"
     " spam", "data", "sender-authentication"),
    ("550 5.1.1 <a@example.org>: Recipient address rejected: User unknown", "rcpt",
     "recipient-unknown"),
    ("550 5.1.1 <a@example.org>: Sender address rejected: User unknown", "rcpt", "sender-unknown"),
    ("535 5.7.8 User unknown", "auth", "credentials-wrong"),
    ("552 5.2.2 Mailbox full", "rcpt", "mailbox-full"),
    ("552 5.2.2 Your mailbox is full", "data", "own-mailbox-full"),
    ("452 4.3.1 Mail system full", "mail", "storage-full"),
    ("552 5.3.4 Message too big", "data", "too-big"),
    ("550 5.3.4 We noticed some unusual activity in your account and temporarily blocked your"
     " account", "data", "account-suspended"),
    ("550 5.7.1 Client host rejected: Access denied", "rcpt", "client-refused"),
    ("554 5.7.1 Sender address rejected: Access denied", "rcpt", "sender-refused"),
    ("554 Access denied: User `x' is not authorized to perform `ses:SendRawEmail'", "data",
     "permission-missing"),
    ("550 5.1.8 Access denied, bad outbound sender", "data", "account-suspended"),
    ("550 Access denied - Invalid HELO name", "ehlo", "ehlo-name-not-full"),
    ("450 4.7.1 Try again later, greylisted", "rcpt", "greylisted"),
    ("421 4.7.0 Temporary System Problem. Try again later", "data", "server-trouble"),
    ("452 4.2.2 The recipient's inbox is out of storage space. Please try again later", "rcpt",
     "mailbox-full"),
    ("421 Too many connections, try again later", "greeting", "too-many-connections"),
    ("454 4.7.0 Too many login attempts, please try again later", "auth", "too-many-attempts"),
    ("452 Too many recipients", "rcpt", "too-many-recipients"),
    ("554 too many invalid recipients", "rcpt", "ip-reputation"),
    ("451 4.7.1 Too many messages, slow down", "data", "message-rate"),
    ("550 Domain sandbox1.mailgun.org is not allowed to send: Free accounts are for test purposes"
     " only", "data", "recipient-not-authorised"),
    ("550 5.7.1 Relaying denied", "rcpt", "relay-denied"),
    ("553 Relaying disallowed as app@example.com", "data", "sender-not-owned"),
    ("553 Sender is not allowed to relay emails", "data", "sender-not-verified"),
    ("550 5.7.1 Invalid credentials for relay", "mail", "ip-not-on-allow-list"),
    ("554 5.7.1 Client host [192.0.2.7] blocked using zen.spamhaus.org", "rcpt", "ip-listed"),
    ("554 5.7.1 blocked using zen.spamhaus.org; Error: open resolver", "rcpt", "resolver-refused"),
    ("554 5.7.1 Sender address [a@example.com] blocked using dbl.spamhaus.org", "rcpt",
     "sender-domain-listed"),
    ("550 Virus detected", "data", "virus"),
    ("450 4.4.0 Temporary DMARC DNS lookup failure", "data", "server-trouble"),
    ("550 5.7.1 DMARC check failed", "data", "sender-authentication"),
    ("535 5.7.3 Authentication unsuccessful", "auth", "credentials-wrong"),
    ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled", "auth",
     "oauth-required"),
    ("454 4.7.0 Temporary authentication failure", "auth", "authentication-service-down"),
    ("530 5.7.0 Authentication required", "mail", "authentication-required"),
    ("550 5.7.133 sender not authenticated for group", "rcpt", "recipient-refuses-sender"),
    ("554 5.4.6 Too many hops", "data", "loop"),
]  # fmt: skip
URLS = st.sampled_from([
    "https://support.example.com/?p=spam-mailbox-full-relay-denied", "see http://a.example/blocked",
    "https://ya.example/user-unknown.", "www.example.org/rbl/blacklist",
])  # fmt: skip
TRAILERS = st.sampled_from([
    "[AM0PR02CA0107.eurprd02.prod.outlook.com]", "a640c23a62f3a-ab - gsmtp",
    "[SN1PEPF0002529E.namprd05.PROD.OUTLOOK.COM 2026-01-01T09:04:02.679Z 08DC8850F12E1502]",
    "5b1f17b1804b1-47f1.3 - gsmtp",
])  # fmt: skip
IDS = st.sampled_from(["id 4FAKE1D0C0FFEE", "(#id-5.9.9)", "q13sm1234567"])
ADDED = st.one_of(URLS, TRAILERS, IDS)


def best(text: str, stage: str) -> str:
    found = meanings_of(read(reply_of(text)), Stage(stage))
    return found[0].meaning if found else ""


def examples_of(meaning: str) -> list[tuple[Stage, str]]:
    return [(stage, example) for named, stage, example in EXAMPLES if named == meaning]


@pytest.mark.parametrize("meaning", MEANINGS)
def test_example_leads_to_its_meaning_at_each_stage(meaning: str) -> None:
    for stage, example in examples_of(meaning):
        assert best(example, stage) == meaning, (stage, example)


@pytest.mark.parametrize("meaning", MEANINGS)
def test_line_breaks_change_nothing(meaning: str) -> None:
    for stage, example in examples_of(meaning):
        code = example[:3]
        words = " ".join(line[4:] for line in example.split("|")).split()
        lines = [" ".join(words[start : start + 4]) for start in range(0, len(words), 4)]
        marks = ["-"] * (len(lines) - 1) + [" "]
        folded = "|".join(f"{code}{mark}{line}" for mark, line in zip(marks, lines, strict=True))
        assert best(folded, stage) == meaning, (stage, example)


@pytest.mark.parametrize(("text", "stage", "meaning"), NEAR_MISSES)
def test_near_miss_is_told_apart(text: str, stage: str, meaning: str) -> None:
    assert best(text, stage) == meaning


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(EXAMPLES), ADDED)
def test_words_that_say_nothing_change_nothing(example: tuple[str, str, str], added: str) -> None:
    meaning, stage, text = example
    lines = text.split("|")
    lines[-1] += f" {added}"
    assert best("|".join(lines), stage) == meaning


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(EXAMPLES), st.sampled_from([str.upper, str.lower, str.title, str.swapcase]))
def test_case_changes_nothing(example: tuple[str, str, str], change: Callable[[str], str]) -> None:
    meaning, stage, text = example
    lines = [line[:4] + change(line[4:]) for line in text.split("|")]
    # A support code or "gsmtp" in other letters is no trailer any more, and no word either
    before, after = read(reply_of(text)), read(reply_of("|".join(lines)))
    if before.words == after.words:
        assert best("|".join(lines), stage) == meaning


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300), st.sampled_from(list(Stage)), st.integers(400, 599), st.booleans())
def test_text_of_any_kind_ends_in_one_cause(
    text: str, stage: Stage, code: int, authenticated: bool
) -> None:
    line = f"{code} " + text.replace("\r", " ").replace("\n", " ")
    reply = reply_of(line[:500])
    found = diagnose(Seen(stage, Symptom.REFUSED, reply, {"authenticated": authenticated}))
    assert found.id in {cause.id for cause in causes()}
    assert found.id not in found.also_possible
    assert found.title
    assert found.steps


def test_meanings_have_a_cause_and_causes_a_meaning_that_exists() -> None:
    named = {meaning for cause in causes() for meaning in cause.means} - {"", "*"}
    assert named == set(parties())


def test_meanings_have_an_example() -> None:
    with_examples = {entry.meaning for entry in entries() if entry.examples}
    assert with_examples == set(parties())


def test_phrases_match_their_own_words() -> None:
    """A phrase with a word that reading takes out or writes otherwise would never match."""
    for phrase in phrases():
        assert phrase.language in LANGUAGES
        words = [
            token.split("|")[0].replace("_", " ").rstrip("*")
            for token in phrase.text.split()
            if token != "..." and not token.startswith("[")
        ]
        assert phrase.pattern.search(normalised(" ".join(words))), phrase.text
        assert not phrase.pattern.search(" "), phrase.text


@pytest.mark.parametrize(
    ("phrase", "text", "matches"),
    [
        ("mailbox full", "mailbox full", True),
        ("mailbox full", "mailboxes full", False),
        ("mailbox [is] full", "the mailbox is full!", True),
        ("user|mailbox unknown", "mailbox unknown", True),
        ("does_not|doesnt exist", "user doesn't exist", True),
        ("too many ... connections", "too many very slow connections", True),
        ("too many ... connections", "too many b c d e f g h connections", False),
        ("list*", "listed", True),
        ("用户不存在", "该用户不存在!", True),
        ("boîte pleine", "BOITE PLEINE", True),
        ("<mailbox> is <full>", "inbox is over quota", True),
        ("<mailbox> is <full>", "message is over quota", False),
        ("address <refused>|empty", "address not permitted", True),
        ("address <refused>|empty", "address empty", True),
    ],
)
def test_pattern_of_a_phrase(phrase: str, text: str, matches: bool) -> None:
    assert bool(pattern_of(expanded(phrase)).search(normalised(text))) is matches


def test_classes_of_words_are_used_and_are_written_as_replies_are_read() -> None:
    raw = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.toml"))
    raw += "".join(WORDS["boilerplate"])
    for name, words in WORDS["classes"].items():
        assert f"<{name}>" in raw
        for word in words:
            spoken = word.replace("_", " ")
            assert normalised(spoken).split() == spoken.split(), word


CONTEXTS = [
    {},
    {"authenticated": True, "auth": True, "encrypted": True, "port": 587},
    {"authenticated": False, "auth": True, "encrypted": True, "port": 465},
    {"authenticated": False, "auth": False, "encrypted": False, "port": 25},
]


@pytest.mark.parametrize("context", CONTEXTS, ids=["nothing", "signed in", "submission", "mx"])
@pytest.mark.parametrize("meaning", MEANINGS)
def test_example_leads_to_a_cause_of_its_meaning_in_every_context(
    meaning: str, context: dict[str, Any]
) -> None:
    """The facts choose among the causes of a meaning, and never the cause of another one."""
    for stage, example in examples_of(meaning):
        found = diagnose(Seen(stage, Symptom.REFUSED, reply_of(example), context))
        cause = causes_by_id()[found.id]
        # A meaning without a cause at this stage leaves the neutral one
        fits = meaning in cause.means or found.id == f"SMTP_{stage.name}_REFUSED"
        assert fits, (stage, example, found.id)


def test_known_words_rarely_end_in_a_neutral_cause() -> None:
    neutral = {
        (meaning, stage)
        for meaning, stage, example in EXAMPLES
        if diagnose(Seen(stage, Symptom.REFUSED, reply_of(example))).id
        == f"SMTP_{stage.name}_REFUSED"
    }
    assert len(neutral) <= 6, neutral  # at stages where such a reply is not to be expected
