"""A reply as libraries, programs and logs say it: the wrappers that ``explain`` reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from smtpweb.mailcheck import Stage

_COMMANDS = {
    Stage.EHLO: "EHLO", Stage.AUTH: "AUTH", Stage.MAIL: "MAIL FROM", Stage.RCPT: "RCPT TO",
    Stage.DATA: "end of DATA",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Said:
    """A reply, and the stage at which it came. ``lines``: as on the wire, with the code."""

    stage: Stage
    lines: tuple[str, ...]

    @property
    def code(self) -> str:
        """The reply code."""
        return self.lines[0][:3]

    @property
    def texts(self) -> list[str]:
        """The lines without the code."""
        return [line[4:] for line in self.lines]


def _dialogue(said: Said, client: str, server: str, refused: str = "") -> str:
    """Write the session up to the reply; each argument is a prefix of lines."""
    lines = [f"{server}220 mx.example.net ESMTP"]
    steps: tuple[tuple[Stage | None, str, list[str]], ...] = (
        (Stage.EHLO, "EHLO app.example.com", ["250-mx.example.net", "250 AUTH PLAIN LOGIN"]),
        (Stage.AUTH, "AUTH PLAIN AGEAYg==", ["235 2.7.0 ok"]),
        (Stage.MAIL, "MAIL FROM:<app@example.com>", ["250 2.1.0 ok"]),
        (Stage.RCPT, "RCPT TO:<test@example.org>", ["250 2.1.5 ok"]),
        (Stage.DATA, "DATA", ["354 go on"]),
        (None, ".", []),
    )
    if said.stage is Stage.GREETING:
        return "\n".join(f"{refused or server}{line}" for line in said.lines)
    for stage, command, fine in steps:
        if stage is Stage.AUTH and said.stage is not Stage.AUTH:
            continue  # these are servers for incoming email
        lines.append(f"{client}{command}")
        if (stage is said.stage and stage is not Stage.DATA) or stage is None:
            lines += [f"{refused or server}{line}" for line in said.lines]
            break
        lines += [f"{server}{line}" for line in fine]
    return "\n".join([*lines, f"{client}QUIT", f"{server}221 bye"])


def _smtplib(said: Said) -> str:
    body = "\n".join(said.texts).encode()
    if said.stage is Stage.RCPT:
        return f"smtplib.SMTPRecipientsRefused: {{'test@example.org': ({said.code}, {body!r})}}"
    if said.stage is Stage.MAIL:
        return f"smtplib.SMTPSenderRefused: ({said.code}, {body!r}, 'app@example.com')"
    names = {
        Stage.GREETING: "SMTPConnectError", Stage.EHLO: "SMTPHeloError",
        Stage.AUTH: "SMTPAuthenticationError",
    }  # fmt: skip
    return f"smtplib.{names.get(said.stage, 'SMTPDataError')}: ({said.code}, {body!r})"


def _aiosmtplib(said: Said) -> str:
    names = {
        Stage.GREETING: "SMTPConnectResponseError", Stage.EHLO: "SMTPHeloError",
        Stage.AUTH: "SMTPAuthenticationError", Stage.MAIL: "SMTPSenderRefused",
        Stage.RCPT: "SMTPRecipientRefused",
    }  # fmt: skip
    name = names.get(said.stage, "SMTPDataError")
    return f"aiosmtplib.errors.{name}: ({said.code}, {chr(10).join(said.texts)!r})"


def _nodemailer(said: Said) -> str:
    heads = {
        Stage.GREETING: ("Invalid greeting. response=", "EPROTOCOL", "CONN"),
        Stage.EHLO: ("Invalid HELO: ", "EPROTOCOL", "HELO"),
        Stage.AUTH: ("Invalid login: ", "EAUTH", "AUTH PLAIN"),
        Stage.MAIL: ("Mail command failed: ", "EENVELOPE", "MAIL FROM"),
        Stage.RCPT: ("Can't send mail - all recipients were rejected: ", "EENVELOPE", "RCPT TO"),
    }  # fmt: skip
    head, code, command = heads.get(said.stage, ("Message failed: ", "EMESSAGE", "DATA"))
    return (
        f"Error: {head}" + "\n".join(said.lines)
        + "\n    at SMTPConnection._formatError (/app/lib/smtp-connection/index.js:790:19) {\n"
        + f"  code: '{code}',\n  responseCode: {said.code},\n  command: '{command}'\n}}"
    )  # fmt: skip


def _symfony(said: Said) -> str:
    return (
        f'Expected response code "250" but got code "{said.code}", with message "'
        + "\r\n".join(said.lines)
        + '".'
    )


def _laravel(said: Said) -> str:
    return (
        "[2026-11-02 10:00:00] production.ERROR: " + _symfony(said)
        + ' {"exception":"[object] (Symfony\\\\Component\\\\Mailer\\\\Exception'
        f'\\\\UnexpectedResponseException(code: {said.code}): at /app/SmtpTransport.php:353)"}}'
    )  # fmt: skip


def _jakarta(said: Said) -> str:
    names = {
        Stage.AUTH: "jakarta.mail.AuthenticationFailedException",
        Stage.MAIL: "com.sun.mail.smtp.SMTPSenderFailedException",
        Stage.RCPT: "com.sun.mail.smtp.SMTPAddressFailedException",
    }
    name = names.get(said.stage, "com.sun.mail.smtp.SMTPSendFailedException")
    return (
        f"{name}: " + "\n".join(said.lines)
        + "\n\tat com.sun.mail.smtp.SMTPTransport.issueSendCommand(SMTPTransport.java:2374)"
    )  # fmt: skip


def _ruby(said: Said) -> str:
    names = {"4": "SMTPServerBusy", "5": "SMTPFatalError"}
    name = "SMTPAuthenticationError" if said.stage is Stage.AUTH else names[said.code[0]]
    return f"Net::{name}: {said.lines[0]}\n/usr/lib/ruby/net/smtp.rb:1074:in `check_response'"


def _sendmail(said: Said) -> str:
    # Replies to the end of DATA have no command before them in a bounce
    command = {Stage.MAIL: "MAIL From:<app@example.com>", Stage.RCPT: "RCPT To:<test@example.org>"}
    head = command.get(said.stage, "DATA")
    return (
        "   ----- Transcript of session follows -----\n"
        f"... while talking to mx.example.net.:\n>>> {head}\n"
        + "\n".join(f"<<< {line}" for line in said.lines)
        + "\n554 5.0.0 Service unavailable"
    )


def _postfix(said: Said) -> str:
    command = _COMMANDS.get(said.stage, "")
    end = f" (in reply to {command} command)" if command else ""
    return (
        "Nov 20 10:11:12 mail postfix/smtp[1]: 4A: to=<test@example.org>,"
        " relay=mx.example.net[192.0.2.1]:25, delay=1, dsn=5.0.0, status=bounced"
        f" (host mx.example.net[192.0.2.1] said: {' '.join(said.lines)}{end})"
    )


def _exim(said: Said) -> str:
    commands = {
        Stage.GREETING: "after initial connection", Stage.EHLO: "after EHLO app.example.com",
        Stage.MAIL: "after MAIL FROM:<app@example.com>", Stage.AUTH: "after AUTH PLAIN",
        Stage.RCPT: "after RCPT TO:<test@example.org>",
    }  # fmt: skip
    return (
        "2026-11-20 10:11:12 1rA-0 ** test@example.org R=dnslookup T=remote_smtp H=mx.example.net"
        " [192.0.2.1]: SMTP error from remote mail server"
        f" {commands.get(said.stage, 'after end of data')}: " + "\\n".join(said.lines)
    )


def _mailkit(said: Said) -> str:
    name = "MailKit.Security.AuthenticationException" if said.stage is Stage.AUTH else (
        "MailKit.Net.Smtp.SmtpCommandException"
    )  # fmt: skip
    text = said.lines[0] if said.stage is Stage.AUTH else said.texts[0]
    return f"{name}: {text}\n   at MailKit.Net.Smtp.SmtpClient.SendAsync(FormatOptions options)"


WRAPPERS: dict[str, Callable[[Said], str]] = {
    "transcript": lambda said: _dialogue(said, "C: ", "S: "),
    "telnet": lambda said: _dialogue(said, "", ""),
    "smtplib": _smtplib,
    "Django": lambda said: (
        'Traceback (most recent call last):\n  File "/app/django/core/mail/backends/smtp.py",'
        " line 131, in _send\n" + _smtplib(said)
    ),
    "aiosmtplib": _aiosmtplib,
    "nodemailer": _nodemailer,
    "PHPMailer": lambda said: _dialogue(
        said, "2026-11-02 10:00:00 CLIENT -> SERVER: ", "2026-11-02 10:00:00 SERVER -> CLIENT: "
    ),
    "Symfony": _symfony,
    "Laravel": _laravel,
    "Jakarta Mail": _jakarta,
    "Spring": lambda said: (
        "org.springframework.mail.MailSendException: Failed messages: " + _jakarta(said)
    ),
    "Ruby": _ruby,
    "Go": lambda said: f"2026/11/20 10:11:12 failed to send: {said.code} {said.texts[0]}",
    "MailKit": _mailkit,
    "curl": lambda said: _dialogue(said, "> ", "< "),
    "swaks": lambda said: _dialogue(said, " -> ", "<-  ", "<** "),
    "msmtp": lambda said: "\n".join(f"msmtp: server message: {line}" for line in said.lines),
    "Postfix": _postfix,
    "Exim": _exim,
    "Sendmail": _sendmail,
    "bounce": lambda said: (
        "Remote-MTA: dns; mx.example.net\nDiagnostic-Code: smtp; " + "\n    ".join(said.lines)
    ),
}
# They quote the first line of a reply alone: what the others say is lost
FIRST_LINE_ALONE = frozenset({"Ruby", "Go", "MailKit"})
