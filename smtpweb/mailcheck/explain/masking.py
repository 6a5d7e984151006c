"""Hide credentials in a pasted text before anything reads or shows it.

Every quantifier is bounded, so that the time grows with the length of the text alone.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse

from ..core.redaction import HIDDEN

MAX_REPEATED = 32  # secrets that are looked for in the rest of the text
_SHORTEST_REPEATED = 6  # characters; shorter ones would be found inside ordinary words

_MECHANISMS = frozenset(
    {
        "PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM", "GSSAPI", "XOAUTH", "XOAUTH2",
        "OAUTHBEARER", "EXTERNAL", "ANONYMOUS", "SCRAM-SHA-1", "SCRAM-SHA-256",
        "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "PLAIN-CLIENTTOKEN",
    }
)  # fmt: skip
_AUTH = re.compile(
    r"(\bAUTH[ \t]{1,4}(?:PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|XOAUTH2?|OAUTHBEARER"
    r"|EXTERNAL|SCRAM-[A-Z0-9-]{1,16})[ \t]{1,4})([A-Za-z0-9+/_-]{2,4096}={0,2})",
    re.IGNORECASE | re.ASCII,
)
# What a client sends next after 334, or after AUTH without an initial response
_CHALLENGE = re.compile(
    r"(?:^|[^0-9.])334(?:[ \t-]|$)|\bAUTH[ \t]{1,4}[A-Z0-9-]{3,24}[^A-Za-z0-9+/=]{0,12}$",
    re.IGNORECASE | re.ASCII,
)
_OFFER = re.compile(r"\b250[ -](?:X-)?AUTH\b", re.IGNORECASE | re.ASCII)
_LAST_TOKEN = re.compile(
    r"(?<![A-Za-z0-9+/=])([A-Za-z0-9+/]{2,4096}={0,2})((?:\\[rn]|\W){0,12})$", re.ASCII
)
_CODE = re.compile(r"[2-5][0-9][0-9](?:[ -]|$)", re.ASCII)
_KEY = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret(?:[_-]?key)?|api[_-]?key|apikey"
    r"|(?:access|refresh|auth|client|bearer)?[_-]?token|credentials?|private[_-]?key)"
)
_SETTING = re.compile(
    rf"({_KEY}[A-Za-z0-9_]{{0,12}}[\])]{{0,2}}\\{{0,4}}[\"'`]?"
    r"[ \t]{0,20}(?:=>|:=|[:=])[ \t]{0,20}"
    r"(?:[urb]{1,2}(?=[\"']))?)"
    r"(\\{0,4}\"[^\"\n]{1,300}\"|\\{0,4}'[^'\n]{1,300}'|[a-z]{4} [a-z]{4} [a-z]{4} [a-z]{4}\b"
    r"|[^\s\"'`,;<>{}\[\]()]{1,300})",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"((?:^|\s)(?:--?(?:auth-)?pass(?:word)?|-ap|--?auth-pass|--oauth2-bearer)[ \t=]{1,8})"
    r"(\"[^\"\n]{1,300}\"|'[^'\n]{1,300}'|[^\s\"']{1,300})",
    re.IGNORECASE | re.MULTILINE,
)
_USER_OPTION = re.compile(
    r"((?:^|\s)(?:-u|--user|--proxy-user)[ \t=]{1,8}[\"']?[^\s:\"']{1,200}:)([^\s\"']{1,300})",
    re.MULTILINE,
)
_URL = re.compile(
    r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s/:\"'<>]{0,200}:)([^\s\"'<>]{1,300})(?=@[\w\[.-])",
    re.IGNORECASE | re.ASCII,
)
_HEADER = re.compile(
    r"((?:Proxy-)?Authorization[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?)([^\r\n\"']{1,4096})"
    r"|(\bBearer[ \t]{1,4})([A-Za-z0-9._~+/=-]{8,4096})",
    re.IGNORECASE,
)
_COOKIE = re.compile(
    r"((?:Set-)?Cookie[\"']?[ \t]{0,4}:[ \t]{0,4})([^\r\n]{1,4096})", re.IGNORECASE
)
# <password>x</password>; name="password" value="x"; netrc, msmtprc; Postfix's sasl_passwd
_ELEMENT = re.compile(rf"(<[A-Za-z0-9_.:-]{{0,40}}{_KEY}>)([^<>\n]{{1,300}})", re.IGNORECASE)
_ATTRIBUTE = re.compile(
    rf"([\"'][A-Za-z0-9_.-]{{0,60}}{_KEY}[\"'][ \t]{{1,4}}value[ \t]{{0,2}}=[ \t]{{0,2}}[\"'])"
    r"([^\"'\n]{1,300})",
    re.IGNORECASE,
)
_LINE = re.compile(
    r"^([ \t]{0,20}(?:pass(?:word|wd)?)[ \t]{1,20})([^\s:=]{1,300})[ \t]{0,20}$",
    re.IGNORECASE | re.MULTILINE,
)
_PASSWD_MAP = re.compile(
    r"^([ \t]{0,20}\[?[\w.-]{1,255}\]?(?::[0-9]{2,5})?[ \t]{1,20}[^\s:]{1,200}@[^\s:]{1,200}:)"
    r"(\S{1,300})[ \t]{0,20}$",
    re.MULTILINE,
)
# server.login("user", "x"), PlainAuth("", "user", "x", host)
_CALL = re.compile(
    r"\b(?:login|authenticate(?:Async)?|NetworkCredential|PlainAuth|LoginAuth|CRAMMD5Auth"
    r"|PasswordAuthentication|setPassword|Credentials(?:::new)?|start)\(([^()\n]{1,400})\)",
    re.IGNORECASE,
)
_STRING = re.compile(r"\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'")
_KNOWN_KEYS = re.compile(
    r"(?<![A-Za-z0-9_.-])(?:SG\.[\w-]{8,80}\.[\w-]{8,80}|re_[A-Za-z0-9_]{12,80}"
    r"|x(?:keysib|smtpsib)-[A-Za-z0-9-]{16,120}|key-[0-9a-f]{32}|AKIA[A-Z0-9]{16}"
    r"|mlsn\.[A-Za-z0-9]{16,100}|smw_[\w-]{16,100}|ya29\.[\w-]{16,300}|sk[_-][A-Za-z0-9_-]{16,100}"
    r"|gh[opsu]_[A-Za-z0-9]{20,100}|GOCSPX-[\w-]{16,60}"
    r"|eyJ[\w-]{8,2000}\.[\w-]{4,4000}(?:\.[\w-]{0,2000})?)",
    re.ASCII,
)
_RUN = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{12,1024}={0,2}", re.ASCII)
_NO_SECRETS = frozenset(
    {
        "true", "false", "null", "none", "nil", "undefined", "yes", "no", "required", "not", "the",
        "your", "is", "was", "wrong", "invalid", "incorrect", "failed", "error", "expired",
        "hidden", "redacted",
    }
)  # fmt: skip


def masked(text: str) -> str:
    """``text`` with every credential replaced that can be told from its surroundings."""
    secrets: set[str] = set()
    text = _AUTH.sub(lambda found: _initial_response(found, secrets), text)
    text = _answers_to_challenges(text, secrets)
    for pattern in (_URL, _USER_OPTION, _OPTION):
        text = pattern.sub(lambda found: found[1] + _hide(found[2], secrets), text)
    text = _HEADER.sub(
        lambda found: (found[1] or found[3]) + _hide(found[2] or found[4], secrets), text
    )
    text = _COOKIE.sub(lambda found: found[1] + HIDDEN, text)
    for pattern in (_ELEMENT, _ATTRIBUTE, _PASSWD_MAP):
        text = pattern.sub(lambda found: found[1] + _hide(found[2], secrets), text)
    text = _LINE.sub(_line, text)
    text = _CALL.sub(lambda found: _arguments(found, secrets), text)
    text = _SETTING.sub(lambda found: _setting(found, secrets), text)
    text = _KNOWN_KEYS.sub(HIDDEN, text)
    text = _RUN.sub(_credentials_in_base64, text)
    repeated = sorted(
        (one for one in secrets if len(one) >= _SHORTEST_REPEATED and one not in HIDDEN), key=len
    )
    for secret in reversed(repeated[-MAX_REPEATED:]):
        text = text.replace(secret, HIDDEN)
    return text


def _hide(secret: str, secrets: set[str]) -> str:
    secrets.add(secret)
    secrets.add(urllib.parse.unquote(secret))
    return HIDDEN


def _initial_response(found: re.Match[str], secrets: set[str]) -> str:
    token = found[2]
    if token.upper() in _MECHANISMS or _is_word(token):
        return found[0]  # "250-AUTH PLAIN LOGIN", "AUTH LOGIN command trace suppressed"
    _keep_decoded(token, secrets)
    return found[1] + _hide(token, secrets)


def _is_word(token: str) -> bool:
    return token.isalpha() and (token.islower() or token.isupper() or token.istitle())


def _keep_decoded(token: str, secrets: set[str]) -> None:
    password = _decoded(token).rpartition(b"\0")[2].decode("utf-8", "replace")
    if password.isprintable() and "\N{REPLACEMENT CHARACTER}" not in password:
        secrets.add(password)


def _answers_to_challenges(text: str, secrets: set[str]) -> str:
    lines = text.split("\n")
    awaited = False
    for number, line in enumerate(lines):
        bare = line.rstrip("\r \t")
        if not bare.strip("\"' \t,;"):  # blank, or the end of a literal that held a line end
            continue
        # The end alone is looked at: the line may be long, the response stands last in it
        found = _LAST_TOKEN.search(bare[-5000:]) if awaited else None
        if found and not _CODE.search(bare[:80]):
            start = len(bare) - len(bare[-5000:])
            _keep_decoded(found[1], secrets)
            secrets.add(found[1])
            lines[number] = bare[: start + found.start(1)] + HIDDEN + found[2]
        end = bare[-300:]
        awaited = _CHALLENGE.search(end) is not None and not _OFFER.search(end)
    return "\n".join(lines)


def _line(found: re.Match[str]) -> str:
    return found[0] if found[2].lower().strip(".") in _NO_SECRETS else found[1] + HIDDEN


def _arguments(found: re.Match[str], secrets: set[str]) -> str:
    """Hide the password among the arguments: the last string, or the one before Go's host."""
    strings = list(_STRING.finditer(found[1]))
    if "auth(" in found[0].lower() and len(strings) > 3:
        strings = strings[:3]
    if len(strings) < (1 if found[0].lower().startswith("setpassword") else 2):
        return found[0]
    password = strings[-1]
    start = found.start(1) - found.start() + password.start() + 1
    end = start + len(password[0]) - 2
    return found[0][:start] + _hide(password[0][1:-1], secrets) + found[0][end:]


def _setting(found: re.Match[str], secrets: set[str]) -> str:
    value = found[2].strip("\\\"'")
    word = value.lower().rstrip(".")
    if word in _NO_SECRETS or _CODE.match(value) or word.startswith(("http", "*", HIDDEN)):
        return found[0]
    secrets.add(value)
    quote = found[2][-1] if found[2][-1] in "\"'" else ""
    before = found[2][: len(found[2]) - len(found[2].lstrip("\\\"'"))]
    return f"{found[1]}{before}{HIDDEN}{quote}"


def _credentials_in_base64(found: re.Match[str]) -> str:
    """Hide a run that holds what PLAIN, XOAUTH2 or OAUTHBEARER send, wherever it stands."""
    raw = _decoded(found[0])
    return HIDDEN if raw.count(b"\0") == 2 or b"\x01auth=" in raw else found[0]


def _decoded(token: str) -> bytes:
    bare = token.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return b""
