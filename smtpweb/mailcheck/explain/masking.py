"""Hide credentials in a pasted text before anything parses or shows it.

The running time depends only on the length of the text: quantifiers are bounded, or what they
match is consumed.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse

from ..core.redaction import HIDDEN
from . import arguments, assignments
from .found_secrets import FoundSecrets
from .unwrapping import content

_MAX_DEPTH = 2  # encodings in encodings

_MECHANISMS = frozenset(
    {
        "PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "NTLM", "GSSAPI", "XOAUTH", "XOAUTH2",
        "OAUTHBEARER", "EXTERNAL", "ANONYMOUS", "SCRAM-SHA-1", "SCRAM-SHA-256",
        "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "PLAIN-CLIENTTOKEN",
    }
)  # fmt: skip
_BASE64 = r"[A-Za-z0-9+/_-]"
_AUTH = re.compile(
    r"(\bAUTH[ \t]{1,4}(?:PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|XOAUTH2?|OAUTHBEARER"
    rf"|EXTERNAL|SCRAM-[A-Z0-9-]{{1,16}})[ \t]{{1,4}})({_BASE64}{{2,}}={{0,2}})",
    re.IGNORECASE | re.ASCII,
)
# What a client sends after 334, or after AUTH without an initial response
_CHALLENGE = re.compile(
    r"(?:^|[^0-9.])334(?:[ \t-]|$)|\bAUTH[ \t]{1,4}[A-Z0-9-]{3,24}[^A-Za-z0-9+/=]{0,12}$",
    re.IGNORECASE | re.ASCII,
)
_OFFER = re.compile(r"\b250[ -](?:X-)?AUTH\b", re.IGNORECASE | re.ASCII)
_LAST_TOKEN = re.compile(r"(\S+?)((?:\\[rn]){0,4}[\"'\s,;)\]]{0,12})$")
_CODE = re.compile(r"[2-5][0-9][0-9](?:[ -]|$)", re.ASCII)
_FOLDED = re.compile(rf"[ \t]*({_BASE64}+={{0,2}})[ \t\r]*")  # a further line of a response
_MIN_FOLDED = 40  # characters of a line that goes on in the next

_HEADER = re.compile(
    r"((?:Proxy-)?Authorization[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?)([^\r\n\"']+)"
    r"|(\bBearer[ \t]{1,4})([A-Za-z0-9._~+/=-]{8,})",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"((?:Set-)?Cookie[\"']?[ \t]{0,4}:[ \t]{0,4})([^\r\n]+)", re.IGNORECASE)
_PRIVATE_KEY = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----)"
    r"((?:(?!-----BEGIN)[\s\S])*?)(?=-----END|\Z)"
    r"|(\bPrivate-Lines: [0-9]{1,4})((?:\s+[A-Za-z0-9+/=]{8,})+)"
)
_KNOWN_KEYS = re.compile(
    r"(?<![A-Za-z0-9_.-])(?:SG\.[\w-]{8,}\.[\w-]{8,}|re_[A-Za-z0-9_]{12,}"
    r"|x(?:keysib|smtpsib)-[A-Za-z0-9-]{16,}|key-[0-9a-f]{32}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}|mlsn\.[A-Za-z0-9]{16,}|md-[A-Za-z0-9_-]{22}"
    r"|smw_[\w-]{16,}|ya29\.[\w-]{16,}|1//[\w-]{30,}|AIza[\w-]{35}|sk[_-][A-Za-z0-9_-]{16,}"
    r"|gh[opsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abps]-[\w-]{10,}"
    r"|api-[A-F0-9]{32}|GOCSPX-[\w-]{16,}|(?:EwA|EwB|0\.A)[\w.+/-]{60,}"
    r"|eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)*)",
    re.ASCII,
)
_RUN = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}={0,2}", re.ASCII)
_BLOCK = re.compile(
    r"(?:^[ \t]*[A-Za-z0-9+/]{40,100}[ \t\r]*\n){1,}[ \t]*[A-Za-z0-9+/]+={0,2}", re.MULTILINE
)
# {"auth": "base64 of user:password"}, _auth=..., SMTP_AUTH=user:password
_USER_AND_PASSWORD = re.compile(
    r"(auth[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?)([^\s\"']{4,})", re.IGNORECASE
)
# The manifest of a Kubernetes Secret, as YAML or JSON
_MANIFEST = re.compile(r"[\"']?kind[\"']?[ \t]*:[ \t]*[\"']?Secret\b")
_DATA = re.compile(
    r"^([ \t]*[\"']?(?:data|stringData)[\"']?[ \t]*:[ \t]*\{?)[ \t\r]*$", re.MULTILINE
)
_ENTRY = re.compile(r"([ \t]+[\"']?[\w.-]{1,120}[\"']?[ \t]*:[ \t]*)(\S.*?)([, \t\r]*)")
_FORM_FIELD = re.compile(r"(^|[?&])([^&=?]{1,200})=([^&]+)")
_PERCENT = re.compile(r"[^\s\"'<>]+")


def masked(text: str) -> str:
    """Return ``text`` with every credential replaced that its context reveals."""
    secrets = FoundSecrets()
    return secrets.removed_from(_masked(text, secrets, 0))


def _masked(text: str, secrets: FoundSecrets, depth: int) -> str:
    text = _PRIVATE_KEY.sub(lambda found: (found[1] or found[3]) + HIDDEN, text)
    if depth < _MAX_DEPTH:
        text = _BLOCK.sub(lambda found: _decoded_block(found, secrets, depth), text)
        text = _RUN.sub(lambda found: _decoded_run(found, secrets, depth), text)
        text = _PERCENT.sub(lambda found: _percent_decoded(found, secrets, depth), text)
    text = _AUTH.sub(lambda found: _initial_response(found, secrets), text)
    text = _answers_to_challenges(text, secrets)
    text = arguments.hidden(text, secrets)
    text = _HEADER.sub(
        lambda found: (found[1] or found[3]) + secrets.hide(found[2] or found[4]), text
    )
    text = _COOKIE.sub(lambda found: found[1] + HIDDEN, text)
    text = _manifest(text, secrets)
    text = assignments.hidden(text, secrets)
    text = _USER_AND_PASSWORD.sub(lambda found: _user_and_password(found, secrets), text)
    return _KNOWN_KEYS.sub(lambda found: secrets.hide(found[0]), text)


def _initial_response(found: re.Match[str], secrets: FoundSecrets) -> str:
    token = found[2]
    if token.upper() in _MECHANISMS or _is_word(token):
        return found[0]  # "250-AUTH PLAIN LOGIN", "AUTH LOGIN command trace suppressed"
    _add_decoded(token, secrets)
    return found[1] + secrets.hide(token)


def _is_word(token: str) -> bool:
    return token.isalpha() and (token.islower() or token.isupper() or token.istitle())


def _add_decoded(token: str, secrets: FoundSecrets) -> None:
    raw = _decoded(token)
    password = raw.rpartition(b"\0")[2].decode("utf-8", "replace")
    if password.isprintable() and "\N{REPLACEMENT CHARACTER}" not in password:
        secrets.add(password)
    if bearer := re.search(rb"auth=Bearer ([\x21-\x7e]+)", raw):
        secrets.add(bearer[1].decode())


def _answers_to_challenges(text: str, secrets: FoundSecrets) -> str:
    lines = text.split("\n")
    awaited = goes_on = False
    for number, line in enumerate(lines):
        bare = line.rstrip("\r \t")
        if not bare.strip("\"' \t,;"):  # empty, or the end of a literal that contained a line end
            continue
        folded = _FOLDED.fullmatch(line) if goes_on else None
        if folded is not None:
            secrets.add(folded[1])
            lines[number] = line[: folded.start(1)] + HIDDEN
            goes_on = len(folded[1]) >= _MIN_FOLDED
            continue
        goes_on = False
        if awaited and not _CODE.search(bare[:80]):
            lines[number], last = _without_answer(bare, secrets)
            goes_on = len(last) >= _MIN_FOLDED
        elif found := _AUTH_HIDDEN.search(bare):
            goes_on = found is not None
        end = bare[-300:]
        awaited = _CHALLENGE.search(end) is not None and not _OFFER.search(end)
    return "\n".join(lines)


_AUTH_HIDDEN = re.compile(
    rf"\bAUTH[ \t]{{1,4}}[A-Z0-9-]{{3,24}}[ \t]{{1,4}}{re.escape(HIDDEN)}$", re.IGNORECASE
)


def _without_answer(line: str, secrets: FoundSecrets) -> tuple[str, str]:
    """Hide what a client answered at the end of ``line``, in base64 or as it was typed."""
    said = content(line)
    if said != line.strip() and " " in said and line.endswith(said):
        secrets.add(said)
        return line[: len(line) - len(said)] + HIDDEN, said
    found = _LAST_TOKEN.search(line)
    if found is None:
        return line, ""
    token = found[1].lstrip("\"'<>(")
    if not token:
        return line, ""
    _add_decoded(token, secrets)
    start = found.end(1) - len(token)
    return line[:start] + secrets.hide(token) + found[2], token


def _user_and_password(found: re.Match[str], secrets: FoundSecrets) -> str:
    value = found[2]
    raw = _decoded(value)
    is_encoded = b":" in raw and raw.isascii() and raw.decode("ascii").isprintable()
    user, colon, password = value.partition(":")
    if is_encoded:
        secrets.add(raw.partition(b":")[2].decode("ascii"))
        return found[1] + secrets.hide(value)
    if colon and password and user and not password.startswith("//"):
        return f"{found[1]}{user}:{secrets.hide(password)}"
    return found[0]


def _manifest(text: str, secrets: FoundSecrets) -> str:
    """Hide all values in the manifest of a Kubernetes Secret, whatever their names are."""
    if not _MANIFEST.search(text):
        return text
    lines = text.split("\n")
    inside = False
    for number, line in enumerate(lines):
        if inside and (entry := _ENTRY.fullmatch(line)):
            value, quote = entry[2], ""
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value, quote = value[1:-1], value[0]
            _add_decoded(value, secrets)
            lines[number] = f"{entry[1]}{quote}{secrets.hide(value)}{quote}{entry[3]}"
        elif line.strip():
            inside = _DATA.match(line) is not None
    return "\n".join(lines)


def _decoded_block(found: re.Match[str], secrets: FoundSecrets, depth: int) -> str:
    token = "".join(found[0].split())
    return HIDDEN if _holds_credentials(token, secrets, depth) else found[0]


def _decoded_run(found: re.Match[str], secrets: FoundSecrets, depth: int) -> str:
    return HIDDEN if _holds_credentials(found[0], secrets, depth) else found[0]


def _holds_credentials(token: str, secrets: FoundSecrets, depth: int) -> bool:
    """Check for a PLAIN, XOAUTH2 or OAUTHBEARER response, or a file with credentials, in base64."""
    raw = _decoded(token)
    if _is_plain(raw) or b"\x01auth=" in raw:
        _add_decoded(token, secrets)
        return True
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    if not text or not all(char.isprintable() or char in "\r\n\t" for char in text):
        return False
    return _masked(text, secrets, depth + 1) != text


def _is_plain(raw: bytes) -> bool:
    """Check for a response of PLAIN (RFC 4616): two NULs, and a user name between them."""
    parts = raw.split(b"\0")
    if len(parts) != 3 or not parts[1]:
        return False
    try:
        return parts[1].decode().isprintable()
    except UnicodeDecodeError:
        return False


def _percent_decoded(found: re.Match[str], secrets: FoundSecrets, depth: int) -> str:
    token = found[0]
    if "%" not in token:
        return token
    token = _FORM_FIELD.sub(lambda field: _form_field(field, secrets), token)
    if _masked(token, FoundSecrets(), _MAX_DEPTH) != token:
        return token  # masked as it is
    decoded = urllib.parse.unquote(token)
    # A blank or quote that was encoded ends no value, except in JSON
    for characters, stand_ins in ((" \t\n\r\"'`", "␠␉␊␍␢␣␤"), ("", "")):
        guarded = decoded.translate(str.maketrans(characters, stand_ins))
        if _masked(guarded, FoundSecrets(), depth + 1) != guarded:
            plain = _masked(guarded, secrets, depth + 1)
            return plain.translate(str.maketrans(stand_ins, characters))
    return token


def _form_field(found: re.Match[str], secrets: FoundSecrets) -> str:
    name = urllib.parse.unquote(found[2])
    if name == found[2] or not re.search(assignments.KEY, name, re.IGNORECASE):
        return found[0]
    return f"{found[1]}{found[2]}={secrets.hide(found[3])}"


def _decoded(token: str) -> bytes:
    bare = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return b""
