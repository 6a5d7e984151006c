"""Hide the credentials in URLs, command lines, calls, and lines that have no names for them.

These are curl, swaks and their like, ``server.login("shop", "x")``, Postfix's ``sasl_passwd``,
``netrc`` and the configuration of Exim and Sendmail.
"""

from __future__ import annotations

import re

from .found_secrets import FoundSecrets

_WORD = r"((?:\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'|\\[^\n]|[^\s\"'\\])+)"  # of a shell, quoted or not
_OPTION_NAME = (
    r"(?:^|[\s\"'\[(,])(?:--?(?:[\w-]{0,40}(?:pass(?:word|wd|phrase)?|pwd|token|secret|api-?key|bearer"
    r"|credentials?)[\w-]{0,20})|-ap|-xp|-pw|-AsPlainText)"
)
_OPTION = re.compile(
    rf"({_OPTION_NAME}(?:[\"']?[ \t,]{{1,8}}(?!-)|=))" + _WORD, re.IGNORECASE | re.MULTILINE
)
# In the list of a program, unlike in a shell, a single quote can be escaped
_LISTED = re.compile(
    rf"({_OPTION_NAME}[\"'][ \t]{{0,4}},[ \t]{{0,4}})('(?:\\.|[^'\\\n])*')",
    re.IGNORECASE | re.MULTILINE,
)
_SWAKS = re.compile(r"((?:^|\s)-[ax]p[ \t]{1,8})" + _WORD, re.MULTILINE)
_PROGRAM = re.compile(
    r"(\b(?:testsaslauthd|doveadm|sshpass|saslpasswd2|smtp-cli|mailsend|sendemail|blat)\b[^\n]{0,200}?"
    r"[ \t]-p[ \t]{0,4})" + _WORD,
    re.IGNORECASE,
)
_POWERSHELL = re.compile(
    r"(\bConvertTo-SecureString[ \t]{1,8}(?:-String[ \t]{1,8})?)(?!-)" + _WORD, re.IGNORECASE
)
_DOVEADM = re.compile(
    r"(\bdoveadm (?:[^\n]{0,60} )?auth (?:test|login) \S{1,200}[ \t]{1,4})" + _WORD
)
_USER = re.compile(
    r"((?:^|[\s\"'\[(,])(?:-u|-U|--user|--proxy-user)(?:[\"']?[ \t,]{1,8}|=)?(?=[^\n]{0,200}:))"
    + _WORD,
    re.MULTILINE,
)
_ENCODER = re.compile(
    r"(\b(?:echo|printf)[ \t]{1,4}(?:-[neE]{1,3}[ \t]{1,4})?(?:'%s'[ \t]{1,4})?)"
    + _WORD
    + r"(?=[ \t]{0,4}\|[ \t]{0,4}(?:openssl[ \t]|base64|mmencode|perl))"
    r"|(\bbase64[^\n|]{0,40}<<<[ \t]{0,4})" + _WORD
)
_SCHEME = re.compile(r"\b([a-z][a-z0-9+.-]{1,40})://(?![\"'\[(<])", re.IGNORECASE | re.ASCII)
_QUOTE = re.compile(r"[\"']")
_MARKUP = re.compile(r"[\"'<>]")
_PASSWORD_BEGINS = re.compile(r":(?![0-9]{1,5}(?:[/?#]|$))")
_HOST_BEGINS = re.compile(r"[\w\[.$%{-]")
_NO_PASSWORD = re.compile(r":[0-9]{1,5}(?:[\"'/\s,]|$)")
_NAMES_USERS = frozenset(
    {"smtp", "smtps", "ssmtp", "submission", "submissions", "ssl", "tls", "starttls", "ssh", "ftp",
     "git", "imap", "imaps", "pop", "pop3", "smtp+starttls", "smtp+plain", "smtp+tls", "smtps+auth",
     "smtp+auth", "tls+auth"}
)  # fmt: skip
_USER_NAME = re.compile(r"[A-Za-z][A-Za-z._-]{0,40}[0-9]{0,4}|\S+(?:@|%40)\S+", re.ASCII)

# Lines whose last part is a password
_LINES = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        # Postfix's sasl_passwd, OpenSMTPD's secrets
        r"^([ \t]{0,20}(?:\[[\w.:-]{1,255}\](?::[\w-]{1,20})?|[\w-]{1,63}(?:\.[\w-]{1,63}){1,9}"
        r"(?::[0-9]{2,5})?|[\w.+-]{1,64}@[\w.-]{1,200})[ \t]{1,60}[^\s:]{1,200}:)(\S.*?)[ \t\r]*$",
        r"^([ \t]{0,20}[\w.:\[\]-]{1,255}[ \t]{1,60}[^\s:]{1,200}@[^\s:]{1,200}:)"
        r"(\S.*?)[ \t\r]*$",
        # Exim's passwd.client
        r"^([ \t]{0,20}[*\w.-]{1,255}\.[\w-]{2,63}:[^\s:]{1,200}:)([^\s:]\S{2,})[ \t\r]*$",
        # Exim's authenticators
        r"(\bclient_send[ \t]{0,4}=[ \t]{0,4}\"?(?:<;)?[ \t]{0,4}[:;^][^\n:;^]{0,200}[:;^])"
        r"([^\n\"]+)",
        # Sendmail's authinfo
        r"(\bAuthInfo:[^\n]{1,300}?\"P[:=])([^\"\n]+)",
        r"(\"P[:=])([^\"\n]+)(?=\"[ \t]+\"[UIMR][:=])",
        # netrc, msmtprc, fetchmailrc, application.properties with blanks
        r"(\b(?:machine|default|login|account|user|poll)\b[^\n]{0,300}[ \t]password[ \t]{1,20})"
        r"(\"[^\"\n]+\"|'[^'\n]+'|\S+)",
        r"(^[ \t]{0,20}[\w.-]{0,60}pass(?:word|wd)?[ \t]{1,20})(?![=:])(\S+)[ \t\r]*$",
        # \0user\0password, as it is put into base64
        r"((?:\\0{1,3}|\\x00|\\u0000|\^@|%00|␀)(?:(?!\\0|\\x00|\\u0000|\^@|%00)[^\s\"']){1,200}"
        r"(?:\\0{1,3}|\\x00|\\u0000|\^@|%00|␀))([^\s\"']+)",
    )
)
_NO_PASSWORDS = re.compile(
    r"[\"']?(?:not|the|your|is|was|wrong|invalid|incorrect|failed|error|expired|required|\(hidden\)"
    r"|[0-9]{1,5})\.?[\"']?$|//",
    re.IGNORECASE,
)

_CALL = re.compile(
    r"(?P<name>\b(?:login|log_in|authenticate(?:Async)?|auth_?(?:plain|login)|NetworkCredential|PlainAuth"
    r"|LoginAuth|CRAMMD5Auth|(?:Password)?Authentication|setAuthentication|DefaultAuthenticator"
    r"|UsernamePassword(?:Credentials?|AuthenticationToken)|SmtpCredentials?|Credentials(?:::new)?"
    r"|HTTPBasicAuth|basic_?auth|BasicAuth|setBasicAuth|set_?password|with_?password|password"
    r"|withSMTPServer|with_?credentials|sasl_?login|saslplain|NewPlainClient|NewLoginClient"
    r"|ConvertTo-SecureString|b64encode|encode_base64|base64_encode|btoa|start|connect|dial"
    r"|auth(?:[\"']?[ \t]{0,4}[:=][ \t]{0,4})?))(?P<open>[ \t]{0,2}[(\[])",
    re.IGNORECASE,
)
_TAKES_ONE = re.compile(
    r"password$|SecureString$|b64encode$|encode_base64$|base64_encode$|btoa$", re.IGNORECASE
)
_STRING = re.compile(
    r"\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|\"(?:\\.|\"\"|[^\"\\\n])*\"|'(?:\\.|''|[^'\\\n])*'"
    r"|`[^`]*`",
    re.DOTALL,
)
_MAX_CALL = 2000  # characters
_MAX_NESTED = 8
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MECHANISM = re.compile(
    r"(?:plain|login|cram[-_]?md5|xoauth2|ntlm|utf-?8|ascii|tls|ssl)", re.IGNORECASE
)


def hidden(text: str, secrets: FoundSecrets) -> str:
    """Return ``text`` without credentials in URLs, options, calls, and such lines."""
    text = re.sub(r"\S+", lambda found: _urls(found[0], secrets), text)
    text = _USER.sub(lambda found: found[1] + _after_colon(found[2], secrets), text)
    for pattern in (_SWAKS, _LISTED, _OPTION, _PROGRAM, _POWERSHELL, _DOVEADM):
        text = pattern.sub(lambda found: found[1] + _word(found[2], secrets), text)
    text = _ENCODER.sub(
        lambda found: (found[1] or found[3]) + _word(found[2] or found[4], secrets), text
    )
    text = _calls(text, secrets)
    for pattern in _LINES:
        text = pattern.sub(lambda found: _last_part(found, secrets), text)
    return text


def _word(word: str, secrets: FoundSecrets) -> str:
    """Hide a word of a shell, but not what closes the string or list around it."""
    bare = word
    if word[:1] not in "\"'":
        bare = word.rstrip("\"')]},;") if word[-1:] in ")]}," else word
    value = bare
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        value = bare[1:-1]
        return bare[0] + secrets.hide(value) + bare[-1] + word[len(bare) :]
    return secrets.hide(value) + word[len(bare) :] if value else word


def _after_colon(word: str, secrets: FoundSecrets) -> str:
    user, colon, password = word.partition(":")
    if not colon or password.startswith("//"):
        return word
    closing = password[-1:] if word[:1] in "\"'" and password[-1:] == word[:1] else ""
    password = password[: len(password) - len(closing)]
    return f"{user}:{secrets.hide(password)}{closing}" if password else word


def _urls(run: str, secrets: FoundSecrets) -> str:
    """Hide the passwords, and the user names that are keys, of the URLs in ``run``."""
    if "://" not in run or "@" not in run:
        return run
    parts: list[str] = []
    done = at = 0
    while scheme := _SCHEME.search(run, at):
        at = scheme.end()
        in_markup = run[scheme.start() - 1 : scheme.start()] in ("<", ">")
        quote = (_MARKUP if in_markup else _QUOTE).search(run, at)
        stop = quote.start() if quote else len(run)
        end = _end_of_user_info(run, at, stop)
        if quote and _PASSWORD_BEGINS.search(run, max(end, at), stop):
            end = _end_of_user_info(run, at, len(run))  # the password has a quote
        if end < 0:
            continue
        info = run[at:end]
        user, colon, password = info.partition(":")
        if "/" in user or (colon and _NO_PASSWORD.match(colon + password)):
            continue
        parts += [run[done:at], _user_info(scheme[1].lower(), info, run[end + 1 :], secrets)]
        done = at = end
    return "".join(parts) + run[done:]


def _end_of_user_info(run: str, start: int, stop: int) -> int:
    """Return where the last "@" before a host is, or -1."""
    end = run.rfind("@", start, stop)
    while end >= 0 and not _HOST_BEGINS.match(run, end + 1):
        end = run.rfind("@", start, end)
    return end


def _user_info(scheme: str, info: str, host: str, secrets: FoundSecrets) -> str:
    user, colon, password = info.partition(":")
    is_mail = scheme in _NAMES_USERS
    is_key = (
        "+api" in scheme
        or "+http" in scheme
        or (not password and (not is_mail or host.startswith("default")))
        or (not password and not _USER_NAME.fullmatch(user))
    )
    shown = secrets.hide(user) if user and is_key else user
    return shown + (f":{secrets.hide(password)}" if password else colon)


def _last_part(found: re.Match[str], secrets: FoundSecrets) -> str:
    value = found[2]
    if _NO_PASSWORDS.match(value):
        return found[0]
    rest = found[0][len(found[1]) + len(value) :]
    bare = value
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        bare = value[1:-1]
        return f"{found[1]}{value[0]}{secrets.hide(bare)}{value[0]}{rest}"
    return found[1] + secrets.hide(value) + rest


def _calls(text: str, secrets: FoundSecrets) -> str:
    parts: list[str] = []
    done = at = 0
    while found := _CALL.search(text, at):
        at = found.end()
        span = _password_argument(text, found)
        if span is None:
            continue
        parts += [text[done : span[0]], secrets.hide(text[span[0] : span[1]])]
        done = at = span[1]
    return "".join(parts) + text[done:]


def _password_argument(text: str, call: re.Match[str]) -> tuple[int, int] | None:
    """Return the span of the password among the arguments, without its quotes."""
    arguments = _arguments(text, call.end())
    name = call["name"]
    if not arguments:
        return None
    lowered = name.lower()
    if lowered.endswith("plainauth") and len(arguments) > 2:
        arguments = arguments[:3]  # Go: the host follows
    elif lowered == "start" and len(arguments) > 4:
        arguments = arguments[:5]  # Ruby: the mechanism follows
    strings = [(number, span) for number, span in enumerate(arguments) if span]
    while len(strings) > 1 and _MECHANISM.fullmatch(text[slice(*strings[-1][1])]):
        strings.pop()
    if not strings:
        return None
    number, (start, end) = strings[-1]
    if start == end:
        return None
    if _TAKES_ONE.search(name):
        return start, end
    if lowered in ("start", "connect", "dial") and (len(strings) < 2 or number < 2):
        return None
    if number == 0 and (len(arguments) > 1 or _ADDRESS.fullmatch(text[start:end])):
        return None  # the user name; the password is a variable
    return start, end


def _arguments(text: str, start: int) -> list[tuple[int, int] | None]:
    """Return, for each argument, the span of the last string in it."""
    arguments: list[tuple[int, int] | None] = [None]
    depth, at, limit = 1, start, min(len(text), start + _MAX_CALL)
    while at < limit and 0 < depth < _MAX_NESTED:
        char = text[at]
        if char in "\"'`" and (string := _STRING.match(text, at, limit)):
            quotes = 3 if string[0][:3] in ('"""', "'''") and len(string[0]) > 5 else 1
            arguments[-1] = (string.start() + quotes, string.end() - quotes)
            at = string.end()
            continue
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 1:
            arguments.append(None)
        at += 1
    return arguments
