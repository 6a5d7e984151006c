"""Find the reply of a server in the text of a library, a log or a bounce."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from ..core.raw_reply import RawReply

MAX_LINES = 16
MAX_LINE = 600  # characters
MAX_CANDIDATES = 500  # numbers that may be reply codes
_SURE = 4  # minimum score of a number that is certainly a reply code

_ENHANCED = r"[245]\.[0-9]{1,3}\.[0-9]{1,3}"
_CANDIDATE = re.compile(
    r"(?<![0-9A-Za-z.,:/_#-])([45][0-9][0-9])(?![0-9A-Za-z.:/_]|,[0-9])", re.ASCII
)
# Python: (535, b'...'), retcode (535); Msg: b'...'
_TUPLE = re.compile(r"[ \t]{0,4}\)?[,;][ \t]{0,4}(?:Msg:[ \t]{0,4})?b?([\"'])", re.ASCII)
_NO_CODE_BEFORE = re.compile(
    r"(?:\b(?:ports?|lines?|pid|timeouts?|size|took|delay|delays|length|after|within|expected"
    r"|response code|attempts?|status of|errno|exit|user|id|row|column|uid|http/[0-9.]{1,3})"
    r"[ \t:=\"'(]{0,3}|(?<!reply)(?<!response)=|[-+/$#@]|Expected:[ \t])$",
    re.IGNORECASE,
)
_NO_CODE_AFTER = re.compile(
    r"[ \t]{0,2}(?:ms|s|sec|seconds?|minutes?|bytes?|octets|kb|mb"
    r"|times|%|at [/A-Za-z]|Forbidden|Not Found|Method Not)\b",
    re.IGNORECASE,
)
_MARKED = re.compile(
    r"(?:said|says|reply|replied|response|respond(?:ed)?|responded with|message|error|exception"
    r"|login|returned|smtp;|failed|refused|rejected|denied|code|status|stat|was|data|to me"
    r"|diagnostic-code|rcpt from \S{1,200}|>|command)"
    r"[ \t]{0,2}[:=;(\"'\[]{0,3}[ \t]{0,2}[\"'(\[]{0,2}$",
    re.IGNORECASE,
)
# Code alone: "curl: (67) Access denied: 535", "response: 554", "responseCode: 550"
_BARE = re.compile(
    r"(?:access denied|login denied|starttls denied, code|rcpt failed|mail failed|data failed"
    r"|response|responsecode|smtpstatus|smtpcode|reply[ -]?code|response code[ \"']{0,2}"
    r"|got(?: code)?|statuscode)[\"']?[ \t]{0,2}[:=]?[ \t]{0,2}[\"']?([45][0-9][0-9])\b",
    re.IGNORECASE,
)
_LINE_STARTS = frozenset(
    {"", "<", "-", "|", '"', "'", "<-", "<**", "<~*", "<<<", "S:", "S >", "Server:"}
)
_COMMAND_EXCEPTION = re.compile(
    rf"\bSmtpCommandException: (?!\s*at )([^\n]{{3,{MAX_LINE}}})", re.IGNORECASE
)
_PASSES = re.compile(
    r"try(?:ing)? again|temporar|later|gr[ae]ylist|defer|busy|too many connections|over quota",
    re.IGNORECASE,
)
_PHPMAILER = re.compile(
    rf"Detail: ([^\n]{{0,{MAX_LINE}}}?) ?SMTP code: ([45][0-9][0-9])"
    rf"(?: Additional SMTP info: ({_ENHANCED}))?",
    re.ASCII,
)
_ENHANCED_ALONE = re.compile(
    rf"(?<![0-9.A-Za-z])(?:#)?({_ENHANCED})(?![0-9.])[ \t:]{{0,3}}([^\n]{{0,{MAX_LINE}}})", re.ASCII
)
_END = re.compile(
    r"[ \t]{0,4}\(in reply to |[ \t]{1,4}at [/A-Za-z][^ \n]{0,300}:[0-9]|; from=<"
    r"|\"[ \t]{0,3}[.,;)}]"
    r"|', b?['\"]|'\)|\"\)|'\}|',$|'$|\"$|`$|[ \t]{1,4}in /[^ \n]{1,300}|[ \t]{1,4}\{\"exception\""
    r"|\">>|;? nested exception|, \"(?:responseCode|command)\"|\", \"|' errormsg=|' recipient=",
)
# System.Net.Mail has its own text for a code, and shows only the text of the server's reply
_DOT_NET = (
    ("secure connection or the client was not authenticated", 530),
    ("mailbox unavailable", 550), ("mailbox name not allowed", 553),
    ("transaction failed", 554), ("service not available", 421),
    ("insufficient system storage", 452), ("exceeded storage allocation", 552),
    ("error in processing", 451), ("syntax error in parameters", 501),
    ("bad sequence of commands", 503), ("command not implemented", 502),
    ("command parameter not implemented", 504), ("syntax error, command unrecognized", 500),
    ("client does not have permission", 454), ("user not local", 551),
)  # fmt: skip
_CODE_OF_ENHANCED = {
    "5.7.3": 535, "5.7.8": 535, "5.7.9": 534, "5.7.139": 535, "5.7.57": 530, "5.7.11": 538,
    "4.7.0": 421, "4.2.1": 450, "4.2.2": 452, "5.2.2": 552, "5.3.4": 552, "5.5.1": 503,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """A reply, and where in the text it starts."""

    reply: RawReply
    start: int


def reply_in(text: str) -> Found | None:
    """Return the negative reply in ``text`` that is the most certain; the first one on a tie."""
    if parts := _PHPMAILER.search(text):
        said = f"{parts[3] or ''} {parts[1]}".strip()
        return Found(_reply(parts[2], [said]), parts.start())
    best: tuple[int, re.Match[str]] | None = None
    for found in islice(_CANDIDATE.finditer(text), MAX_CANDIDATES):
        score = _score(text, found)
        if best and best[0] >= _SURE and "\n" not in text[best[1].end() : found.start()]:
            continue  # a reply that quotes another server's reply
        if score and (best is None or score > best[0]):
            best = score, found
            if score >= 6:
                break
    if best is not None:
        return Found(_read(text, best[1]), best[1].start())
    return _dot_net(text) or _mailkit(text) or _bare(text)


def _score(text: str, found: re.Match[str]) -> int:
    before = text[max(0, found.start() - 220) : found.start()]
    after = text[found.end() : found.end() + 200]
    if before.endswith("(") and _TUPLE.match(after):
        return 6
    if _NO_CODE_BEFORE.search(before[-40:]) or not after[:1] or after[0] not in " -\t;\"')\n":
        return 0
    if _NO_CODE_AFTER.match(after):
        return 0
    words = after[1:].lstrip()
    enhanced = re.match(_ENHANCED, words.lstrip("#-"))
    if enhanced and enhanced[0][0] == found[1][0]:
        return 6 if not before.strip() or _MARKED.search(before) else 5
    if after[0] not in " -\t" or not words or not (words[0].isalnum() or words[0] in "<[\"'#*-("):
        return 0
    at_start = before.rpartition("\n")[2].strip() in _LINE_STARTS
    if at_start:
        return 4
    if _MARKED.search(before):
        return 5
    return (
        2
        if (before[-1:] in " \t" and words[0] in "<[") or before.endswith((": ", "; ", "] ", ") "))
        else 0
    )


def _read(text: str, found: re.Match[str]) -> RawReply:
    code = found[1]
    rest = text[found.end() : found.end() + MAX_LINE * MAX_LINES]
    if quoted := _TUPLE.match(rest):
        quote = quoted[1]
        words = rest[quoted.end() :]
        end = re.search(rf"{quote}[ \t]{{0,3}}[,)\]}}]|{quote}$", words)
        words = words[: end.start()] if end else words
        return _reply(code, words.split("\n"))
    lines: list[str] = []
    joined = rest.startswith("-")
    for number, line in enumerate(rest.split("\n")[: MAX_LINES * 2]):
        said = line[:MAX_LINE]
        if number:
            said = said.strip().lstrip("|<> \t\"'")
            further = re.match(rf"{code}([ -]|$)", said)
            if further is None and lines and _repeats_enhanced(lines[0], said):
                lines.append(said)  # Go omits the code of every line but the first
                continue
            if further is None:
                # A folded Diagnostic-Code, or a client that wrapped a long line
                if not lines or not line.startswith((" ", "\t")) or not said or ": " in said[:30]:
                    break
                if said.startswith(("at ", "from ", "in ", "code:", "response")):
                    break
                lines[-1] = f"{lines[-1]} {said}"
                continue
            said = said[len(code) :]
        end = _END.search(said)
        kept = said[: end.start()] if end else said
        lines += _parted(code, kept[1:], joined)
        if end and not kept.strip():
            break
        joined = said.startswith("-")
        if end:
            break
    return _reply(code, lines)


def _repeats_enhanced(first: str, said: str) -> bool:
    enhanced = re.match(_ENHANCED, first.strip())
    return enhanced is not None and said.startswith((f"{enhanced[0]} ", f"{enhanced[0]}-"))


def _parted(code: str, said: str, joined: bool) -> list[str]:
    """Split a reply whose lines were joined, as Postfix and others do."""
    if not joined:
        return [said]
    return re.split(rf"[ \t]{{1,4}}{code}[ -]", said)


def _reply(code: str, lines: list[str]) -> RawReply:
    kept = [_bare_line(line) for line in lines if line.strip()][:MAX_LINES] or [""]
    return RawReply(int(code), tuple(line[:MAX_LINE].encode() for line in kept))


def _bare_line(line: str) -> str:
    """Return the line without the brackets and quotes that enclose the reply."""
    bare = line.strip().strip("\\")
    while bare.endswith(")") and bare.count(")") > bare.count("("):
        bare = bare[:-1].rstrip()
    return bare


def _dot_net(text: str) -> Found | None:
    marker = "the server response was:"
    start = text.lower().find(marker)
    if start < 0:
        return None
    said = text[start + len(marker) :].split("\n", 1)[0].strip()[:MAX_LINE]
    before = text[max(0, start - 300) : start].lower()
    for words, code in _DOT_NET:
        if words in before:
            return Found(_reply(str(code), [said]), start)
    return enhanced_alone_in(said)


def _mailkit(text: str) -> Found | None:
    """Return the reply in MailKit's exception, which shows the text but not the code."""
    found = _COMMAND_EXCEPTION.search(text)
    if found is None:
        return None
    said = found[1].strip()
    enhanced = re.match(_ENHANCED, said)
    passes = enhanced[0][0] == "4" if enhanced else _PASSES.search(said) is not None
    code = _CODE_OF_ENHANCED.get(enhanced[0] if enhanced else "") or (451 if passes else 550)
    return Found(_reply(str(code), [said]), found.start())


def _bare(text: str) -> Found | None:
    found = _BARE.search(text)
    return Found(_reply(found[1], []), found.start()) if found else None


def enhanced_alone_in(text: str) -> Found | None:
    """Return an enhanced code without a reply code, as in MailKit and some server logs.

    Weak evidence: a log also has one if there was no reply, such as after a connection timeout.
    """
    for found in _ENHANCED_ALONE.finditer(text):
        enhanced, said = found[1], found[2]
        before = text[max(0, found.start() - 12) : found.start()].lower()
        if enhanced[0] == "2" or re.search(r"(?:v|version|tls|exim|postfix|php|/)[ ]?$", before):
            continue
        code = _CODE_OF_ENHANCED.get(enhanced) or (550 if enhanced[0] == "5" else 451)
        end = _END.search(said)
        said = said[: end.start()] if end else said
        if before.rstrip().endswith("dsn="):
            said = said.partition("stat=")[2] or said.lstrip(", ")
        return Found(_reply(str(code), [f"{enhanced} {said.strip()}"]), found.start())
    return None
