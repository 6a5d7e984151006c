"""The same reply is read out of every program's way of saying it, whatever the reply holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smtpweb.mailcheck.core.raw_reply import RawReply
from smtpweb.mailcheck.explain.explanation import explain

# "|" stands between the lines. Numbers, quotes, brackets, codes and other replies stand in them on
# purpose.
REPLIES = (
    "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
    "535 Incorrect authentication data",
    "550-5.1.1 The email account that you tried to reach does not exist. Please try|550-5.1.1"
    " double-checking the recipient's address for typos.|550 5.1.1  https://support.google.com/x",
    "550 #5.1.0 Address rejected.",
    "550 <user@example.com> No such user here",
    "550 5.7.1 <a@example.com>: Recipient address rejected: see (A-17), port 25, line 530",
    "554 5.7.1 Service unavailable; Client host [192.0.2.10] blocked using zen.spamhaus.org;"
    " https://check.spamhaus.org/query/ip/192.0.2.10",
    "421 4.1.1 <user@example.com>: Recipient address rejected: unverified address: host"
    " example.com[192.0.2.10] said: 450 4.1.1 try later",
    "451 4.7.1 Greylisting in action, please come back in 00:05:00",
    "452 4.2.2 The email account that you tried to reach is over quota",
    "552 5.3.4 Message size exceeds fixed limit 10485760",
    "550 5.4.5 Daily user sending limit exceeded",
    "501 5.1.7 Bad sender address syntax",
    "530 5.7.57 Client not authenticated to send mail. [AM0PR02CA0107.eurprd02.prod.outlook.com]",
    "550 Requested action not taken: mailbox unavailable",
    "454 Throttling failure: Maximum sending rate exceeded.",
    "554 Message rejected: Email address is not verified: shop@example.org",
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    "521 5.2.1 :  (HVU:B1) https://postmaster.example.com/error-codes#554hvub1",
    "550-[TSS04] Messages from 192.0.2.10 temporarily deferred|550 see our pages",
)

Wrapper = Callable[[list[str], str], str]


def _body(lines: list[str]) -> str:
    return "\n".join(line[4:] for line in lines)


WRAPPERS: dict[str, Wrapper] = {
    "raw": lambda lines, _: "\n".join(lines),
    "Python": lambda lines, code: f"smtplib.SMTPDataError: ({code}, {_body(lines).encode()!r})",
    "aiosmtplib": lambda lines, code: (
        f"aiosmtplib.errors.SMTPDataError: ({code}, {_body(lines)!r})"
    ),
    "nodemailer": lambda lines, code: (
        "Error: Message failed: "
        + "\n".join(lines)
        + "\n    at SMTPConnection._formatError (/app/lib/smtp-connection/index.js:790:19) {\n"
        + f"  code: 'EMESSAGE',\n  responseCode: {code},\n  command: 'DATA'\n}}"
    ),
    "Symfony": lambda lines, code: (
        f'Expected response code "250" but got code "{code}", with'
        + ' message "'
        + "\n".join(lines)
        + '".'
    ),
    "Postfix": lambda lines, _: (
        "Nov 20 10:11:12 mail postfix/smtp[1]: A: to=<a@example.com>,"
        " relay=mx.example.org[192.0.2.1]:25, delay=1, dsn=5.0.0, status=bounced (host"
        f" mx.example.org[192.0.2.1] said: {' '.join(lines)} (in reply to end of DATA command))"
    ),
    "Jakarta Mail": lambda lines, _: (
        "com.sun.mail.smtp.SMTPSendFailedException: "
        + "\n".join(lines)
        + "\n\tat com.sun.mail.smtp.SMTPTransport.issueSendCommand(SMTPTransport.java:2374)"
    ),
    "Go": lambda lines, code: f"failed to send: {code} {_body(lines[:1])}",
    "transcript": lambda lines, _: (
        "S: 220 mx.example.org ESMTP\nC: EHLO a.example\nS: 250 ok\n"
        "C: MAIL FROM:<a@b.example>\nS: 250 ok\nC: RCPT TO:<c@d.example>\n"
        + "\n".join(f"S: {line}" for line in lines)
        + "\nC: QUIT\nS: 221 bye"
    ),
    "swaks": lambda lines, _: (
        "<-  220 mx.example.org ESMTP\n -> EHLO a\n<-  250 ok\n"
        " -> MAIL FROM:<a@b.example>\n" + "\n".join(f"<** {line}" for line in lines) + "\n -> QUIT"
    ),
    "PHPMailer": lambda lines, _: (
        "2026-11-02 10:00:00 CLIENT -> SERVER: EHLO a.example\n"
        "2026-11-02 10:00:00 SERVER -> CLIENT: 250 ok\n"
        "2026-11-02 10:00:00 CLIENT -> SERVER: MAIL FROM:<a@b.example>\n"
        "2026-11-02 10:00:00 SERVER -> CLIENT: "
        + "\n".join(lines)
        + f"\n2026-11-02 10:00:00 SMTP ERROR: MAIL FROM command failed: {lines[0]}"
    ),
    "bounce": lambda lines, _: (
        "Remote-MTA: dns; mx.example.org\nDiagnostic-Code: smtp; " + "\n    ".join(lines) + "\n"
    ),
    "msmtp": lambda lines, _: "\n".join(f"msmtp: server message: {line}" for line in lines[:1]),
    "Exim": lambda lines, _: (
        "2026-11-20 10:11:12 1rA-0 ** a@example.com R=dnslookup T=remote_smtp"
        " H=mx.example.org [192.0.2.1]: SMTP error from remote mail server after end of data:"
        f" {lines[0]}"
    ),
}
_FIRST_LINE_ALONE = ("Go", "msmtp", "Exim")


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("said", REPLIES)
def test_reply_is_read_out_of_its_wrapper(said: str, wrapper: str) -> None:
    lines = said.split("|")
    code = said[:3]
    if wrapper in _FIRST_LINE_ALONE:
        lines = [f"{code} {lines[0][4:]}"]
    expected = RawReply(int(code), tuple(line[4:].encode() for line in lines))
    found = explain(WRAPPERS[wrapper](lines, code)).reply
    assert found is not None
    assert (found.code, found.enhanced) == (expected.code, expected.enhanced)
    assert " ".join(found.text.split()) == " ".join(expected.text.split())
