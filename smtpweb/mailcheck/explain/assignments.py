"""Hide the values of settings whose names say that they are secret.

The names are those of configuration files, environments, source code and forms, in several
languages. Each value is consumed as a whole, so the running time grows with the text only.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..core.redaction import HIDDEN
from .found_secrets import FoundSecrets

KEY = (
    r"(?:pass(?:words?|wd|wrd|wort|phrase|code|key)?|pwd|pswd|(?<![a-z])(?:psw|pw|mdp|pin)(?![a-z])"
    r"|kennwort|contrase(?:ñ|n|&ntilde;|\\u00f1|\\xc3\\xb1|%C3%B1|%F1)a|(?<![a-z])clave|senha"
    r"|palavra[ _-]?passe|mot[ _-]de[ _-]passe|parola|wachtwoord|has(?:ł|l)o|heslo"
    r"|l(?:ö|o)senord|adgangskode|salasana|jelsz(?:ó|o)|(?:ş|s)ifre|m(?:ậ|a)t[ _-]?kh(?:ẩ|a)u"
    r"|пароль|密码|密碼|口令|パスワード|비밀번호|암호"
    r"|secret|credentials?|token|(?:api|app|access|auth|private|account|master|shared|signing"
    r"|server|smtp|mail|send|sendgrid|encryption|service)[ _.-]?key|[a-z0-9][_-]key(?![a-z]))"
)
_NAME = rf"{KEY}[\w.-]{{0,40}}"
_QUOTE = r"(?:\\{0,4}(?:\"\"\"|'''|[\"'`])|&(?:quot|apos|#0?3[49]);|\\{1,2}u002[27]|[“”„‘’«»])"
_SETTING = re.compile(
    rf"{_NAME}(?P<close>(?:{_QUOTE}|[\])])*)"
    r"(?:[ \t]*(?P<sep>=>|:=|[=!]==?|<-|->|[:=：])[ \t]*"
    rf"|(?P<comma>[ \t]*,\s*(?={_QUOTE}))"
    r"|(?P<blank>[ \t]+(?:(?:is|was|lautet|ist|es|est|é|è)[ \t]+)?(?=[\"'“„«‘])))",
    re.IGNORECASE,
)
_TYPE = re.compile(r"[A-Za-z_][\w.?|<>\[\]]{0,40}[ \t]*=[ \t]*(?=[\"'`@$])")
_PREFIX = re.compile(r"(?:[bruf]{1,2}|[@$]{1,2})?(?=[\"'`])", re.IGNORECASE)
_OPEN = re.compile(_QUOTE)
_CLOSED_BY = {"“": "”", "„": "“", "‘": "’", "«": "»"}
_YAML_ITEM = re.compile(r"(?:.*\s)?- '[\w.-]+[=:]")  # - 'SMTP_PASSWORD=...'
_JOINED = re.compile(r"\s*(?:\+|\.\.?|&|\\\n)\s*(?=[\"'`])|(?=\\?[\"'])")
_BLOCK = re.compile(r"[|>][+-]?[0-9]?[ \t]*\n")
_FURTHER_LINE = re.compile(r"[ \t]*\r?\n[ \t]+(?=[\"'`])")
# What may stand before the name of a setting where the rest of the line is its value
_ANCHOR = re.compile(
    r"[ \t]*(?:(?:export|set|setenv|ENV|ARG|my|our|let|var|const|def|val|-|-e|#|//|\*)[ \t]+)?"
    r"[\w.$@>\[\]'\"/:%&;-]*"
)
_NEXT_SETTING = re.compile(
    r"[,;][ \t]+[\"'$]?[\w.-]{1,60}[\"']?[ \t]*(?:=>|[:=])|[ \t]+[\w.-]{1,60}="
)
_RUN = re.compile(
    r"[a-z]{4} [a-z]{4} [a-z]{4} [a-z]{4}\b|(?:[^\s\"'`]|[\"'`](?=[\w!@#$%^*+?-]))+", re.IGNORECASE
)
_EXPRESSION = re.compile(r"[A-Za-z_$][\w.$>:-]{0,60}[\[(](?=[\"'`])")
_RUN_ENDS = re.compile(
    r"(?:[,;&|]|(?:\\r)?\\n)(?=[\"']?[A-Za-z_][\w.\[\]%-]{0,60}[\"']?(?:[=:]|%3D))"
    r"|\\r?\\?n?(?=[2-5][0-9]{2}[ -])"
    r"|(?:\\[rn]){1,4}$|[)\]}>]{0,8}[.,;]{0,3}$"
)
_NO_VALUES = frozenset(
    {"", "true", "false", "null", "none", "nil", "undefined", "yes", "no", "required", "optional"}
)
NO_SECRETS = _NO_VALUES | {
    "not", "the", "your", "is", "was", "wrong", "invalid", "incorrect", "failed", "error",
    "expired", "hidden", "redacted", "authentication", "rejected", "refused",
}  # fmt: skip
_REPLY = re.compile(r"[45][0-9][0-9](?:[ ]|-[45]\.[0-9]|$)")
_MASK = re.compile(r"[*•x.]{3,}$|https?://", re.IGNORECASE)

_MAX_ELEMENT = 8192  # characters
# <password>x</password>, <entry key="mail.password">x</entry>, <key>Password</key><string>x
_ELEMENT = re.compile(
    rf"<(?:[\w.:-]{{0,40}}{_NAME}(?:[ \t][^<>\n]{{0,200}})?"
    rf"|[\w.:-]{{1,40}}[ \t][^<>\n]{{0,200}}[\"'][\w.:-]{{0,60}}{_NAME}[\"'][^<>\n]{{0,100}})"
    r"(?<!/)>"
    rf"|<key>[\w.: -]{{0,60}}{_NAME}</key>\s*<string>",
    re.IGNORECASE,
)
# name="password" value="x", {"name": "SMTP_PASSWORD", "value": "x"}, and in YAML
_VALUE_OF_NAME = re.compile(
    rf"[\"']?\b(?:name|key|id)[\"']?[ \t]*[:=][ \t]*[\"']?[\w.:\[\]-]{{0,60}}{_NAME}"
    r"[\"'\]]*[ \t]*,?\s*(?:type=[\"']\w{1,20}[\"']\s*)?[\"']?value[\"']?[ \t]*[:=][ \t]*",
    re.IGNORECASE,
)
_VALUE_BEFORE_NAME = re.compile(
    r"\bvalue(?P<close>[\"']?)[ \t]*[:=][ \t]*(?P<quote>[\"'])(?P<value>[^\"'\n]{1,2000})(?P=quote)"
    rf"[ \t]*,?\s*[\"']?(?:name|key|id)[\"']?[ \t]*[:=][ \t]*[\"'][\w.:\[\]-]{{0,60}}{_NAME}[\"']",
    re.IGNORECASE,
)
# In a sentence; only what does not look like a word
_SAID = re.compile(
    r"(\b(?:pass(?:word|wd|wort|phrase|code)|pwd|kennwort|contraseña|senha|mot de passe|mdp|secret"
    r"|token|api[ _-]?key|пароль)[ \t]{1,3}(?:(?:is|was|lautet|ist|es|est|é|è)[ \t]{1,3})?)"
    r"([^\s\"'`,;:=<>()]{4,})",
    re.IGNORECASE,
)
_MADE_UP = re.compile(r"[0-9!@#$%^&*+=?~|\\]")
_NOT_SAID = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}|\S+@[\w-]+(?:\.[\w-]+)+|\(hidden.*")


def hidden(text: str, secrets: FoundSecrets) -> str:
    """Return ``text`` without the values of secret settings."""
    text = _VALUE_BEFORE_NAME.sub(lambda found: _before_name(found, secrets), text)
    text = _each(text, _ELEMENT, _element, secrets)
    text = _each(text, _VALUE_OF_NAME, _value_of_name, secrets)
    text = _each(text, _SETTING, _setting, secrets)
    return _SAID.sub(lambda found: _said(found, secrets), text)


_Span = tuple[int, int] | None
_Finder = Callable[[str, "re.Match[str]"], _Span]


def _each(text: str, pattern: re.Pattern[str], span_of: _Finder, secrets: FoundSecrets) -> str:
    """Hide what ``span_of`` returns for each match, from left to right."""
    parts: list[str] = []
    done = at = 0
    while found := pattern.search(text, at):
        span = span_of(text, found)
        at = max(found.end(), at + 1)
        if span is None or span[0] >= span[1] or span[0] < done:
            continue
        start, end = span
        parts += [text[done:start], secrets.hide(text[start:end])]
        done = end
        at = max(end, at)
    return "".join(parts) + text[done:]


def _before_name(found: re.Match[str], secrets: FoundSecrets) -> str:
    return found[0].replace(found["value"], secrets.hide(found["value"]), 1)


def _element(text: str, found: re.Match[str]) -> _Span:
    end = text.find("</", found.end(), found.end() + _MAX_ELEMENT)
    content = text[found.end() : end if end >= 0 else found.end() + _MAX_ELEMENT]
    if end < 0:
        content = content.split("\n", 1)[0]
    bare = content.strip()
    if not bare or (bare.startswith("<") and not bare.startswith("<![CDATA[")):
        return None  # it contains elements
    start = found.end() + content.index(bare)
    return start, start + len(bare)


def _value_of_name(text: str, found: re.Match[str]) -> _Span:
    return _value(text, found.end(), whole_line=True, within="")


def _setting(text: str, found: re.Match[str]) -> _Span:
    line_start = text.rfind("\n", 0, found.start()) + 1
    before = text[line_start : found.start()]
    if found["comma"] and not (found["close"] and re.search(r"[\"'][\w.:-]{0,60}$", before)):
        return None
    if found["blank"] and found["close"]:
        return None
    name = re.search(r"([\"'`]?)[\w.\[\]-]{0,60}$", before[-64:])
    within = name[1] if name and not found["close"] else ""
    is_setting = bool(found["sep"]) and _ANCHOR.fullmatch(before) is not None
    return _value(text, found.end(), whole_line=is_setting, within=within)


def _value(text: str, start: int, *, whole_line: bool, within: str) -> _Span:
    """Return the span of the value at ``start``. ``within``: the quote around the setting."""
    if further := _FURTHER_LINE.match(text, start):
        start = further.end()
    if typed := _TYPE.match(text, start):
        start = typed.end()
    if prefix := _PREFIX.match(text, start):
        start = prefix.end()
    if opened := _OPEN.match(text, start):
        if within and opened[0] == within:
            return None
        return _quoted(text, opened)
    if block := _BLOCK.match(text, start):
        return _indented(text, start, block.end())
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    if within:
        return _checked(text, start, _closing(text, start, line_end, within), NO_SECRETS)
    if whole_line:
        is_expression = _EXPRESSION.match(text, start) is not None
        further_setting = None if is_expression else _NEXT_SETTING.search(text, start, line_end)
        end = further_setting.start() if further_setting else line_end
        while end > start and text[end - 1] in " \t\r,;":
            end -= 1
        return _checked(text, start, end, _NO_VALUES)
    if _EXPRESSION.match(text, start):
        return None  # the strings in it are looked at in turn
    run = _RUN.match(text, start)
    if run is None:
        return None
    ends = _RUN_ENDS.search(run[0], 1)
    return _checked(text, start, start + (ends.start() if ends else len(run[0])), NO_SECRETS)


def _checked(text: str, start: int, end: int, no_secrets: frozenset[str]) -> _Span:
    value = text[start:end]
    if value.strip("\"' .,;").lower() in no_secrets or _REPLY.match(value) or _MASK.match(value):
        return None
    return None if value.startswith(HIDDEN) and len(value) <= len(HIDDEN) + 1 else (start, end)


def _quoted(text: str, opened: re.Match[str]) -> _Span:
    """Return the span inside quotes, with the strings that are joined to it."""
    quote = opened[0]
    line_end = len(text) if len(quote) == 3 else text.find("\n", opened.end())
    line_end = len(text) if line_end < 0 else line_end
    end = _closing(text, opened.end(), line_end, _CLOSED_BY.get(quote, quote))
    if end < line_end:
        after = end + len(quote)
        if end == opened.end():
            return None  # empty
        while joined := _JOINED.match(text, after):
            more = _OPEN.match(text, joined.end())
            if more is None or joined.end() >= line_end:
                break
            further_end = _closing(text, more.end(), line_end, more[0])
            if further_end == line_end:
                break
            end, after = further_end, further_end + len(more[0])
    return _checked(text, opened.end(), end, _NO_VALUES)


def _closing(text: str, start: int, line_end: int, quote: str) -> int:
    """Return where the closing ``quote`` is; the end of the line if there is none."""
    at = start
    # In a single-quoted item of YAML, a backslash is an ordinary character
    is_yaml = quote == "'" and _YAML_ITEM.match(text, text.rfind("\n", 0, start) + 1) is not None
    while True:
        at = text.find(quote, at, line_end)
        if at < 0:
            return line_end
        if at > start and text[at - 1] == "\\" and not is_yaml:
            # No letter follows a string: there, the backslash is one of YAML or SQL
            at += 2 if text.startswith(quote, at + 1) and text[at + 2 : at + 3].isalnum() else 1
        elif at > start and text.startswith(quote, at + len(quote)) and len(quote) == 1:
            at += 2  # doubled
        else:
            return at


def _indented(text: str, key_end: int, start: int) -> _Span:
    """Return the span of a block scalar: the following lines that are indented further."""
    line = text[text.rfind("\n", 0, key_end) + 1 : key_end]
    depth = len(line) - len(line.lstrip())
    end = start
    while end < len(text):
        stop = text.find("\n", end)
        stop = len(text) if stop < 0 else stop
        further = text[end:stop]
        if further.strip() and len(further) - len(further.lstrip()) <= depth:
            break
        end = min(stop + 1, len(text))
    return start, end


def _said(found: re.Match[str], secrets: FoundSecrets) -> str:
    value = found[2].rstrip(".!?")
    if not _MADE_UP.search(value) or _NOT_SAID.fullmatch(value):
        return found[0]
    return found[1] + secrets.hide(value) + found[2][len(value) :]
