"""QUEUEMAIL.DEV's dialect: what clients send becomes our names, what we hold becomes theirs.

The published documents and the Java client spell some names differently; every spelling is
accepted and one is sent. ``docs/api.md`` says where and why.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from ... import validators
from ...database.models import App, hides_username
from ...errors import BadInput
from ...mailcheck import Encryption
from ...mailcheck.explain.explanation import Explanation
from ...providers.settings import Warning
from ...registry import smtps
from ...registry.idempotency import Once

T = TypeVar("T")

_ALIASES = {
    "sslTls": "ssltls",
    "defaulfromemail": "defaultfromemail",
    "startstls": "starttls",
}
# A client may write its form in these; anything else would be a guess.
_CHARSETS = frozenset(
    {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "iso-8859-15", "windows-1252"}
)
_MOST_PARAMETERS = 100
_MOST_DIGITS = 40  # of a JSON number: what has more is longer than any limit
_REPEATED = "Was sent more than once."
_GZIP = b"\x1f\x8b"
KEY_HEADER = "Idempotency-Key"


class Sent:
    """The parameters of a request, each read once by its rule; faults are collected.

    :meth:`done` raises them all in one :class:`BadInput`. A parameter with an empty value, or
    with none, counts as absent: the Java client writes its nulls so.
    """

    def __init__(self) -> None:
        self._faults: dict[str, list[str]] = {}
        self._values: dict[str, list[Any]] = {}  # by our name; of several spellings, all
        spellings: set[str] = set()
        for spelling, value in _pairs():
            if value in ("", None):
                continue
            name = _ALIASES.get(spelling, spelling)
            if spelling in spellings:
                self._fault(name, _REPEATED)
            spellings.add(spelling)
            self._values.setdefault(name, []).append(value)

    def _fault(self, name: str, message: str) -> None:
        self._faults.setdefault(name, []).append(message)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, rule: Callable[[str], T], *, required: bool = False) -> T | None:
        """The value of ``name`` as ``rule`` reads it; None where it is absent or at fault."""
        values = self._values.get(name)
        if values is None:
            if required:
                self._fault(name, "Is required.")
            return None
        try:
            accepted, *others = [rule(_as_text(value)) for value in values]
        except validators.PastedServer as error:
            self._fault(name, _where_to_send(error))
        except ValueError as error:
            self._fault(name, str(error))
        else:
            if all(other == accepted for other in others):
                return accepted
            self._fault(name, _REPEATED)
        return None

    def once(self) -> Once | None:
        """What the header ``Idempotency-Key`` asks for, if it was sent."""
        sent = request.headers.get(KEY_HEADER)
        if sent is None:
            return None
        try:
            return Once(validators.idempotency_key(sent))
        except ValueError as error:
            self._fault(KEY_HEADER, str(error))
            return None

    def id(self, name: str, *, required: bool = True) -> str:
        """An id, or "" where it is absent or at fault."""
        return self.text(name, validators.object_id, required=required) or ""

    def into(
        self, changes: Any, name: str, rule: Callable[[str], Any], *, required: bool = False
    ) -> None:
        """Read ``name`` into ``changes`` if it was sent."""
        value = self.text(name, rule, required=required)
        if value is not None:
            changes[name] = value

    def done(self) -> None:
        """Raise :class:`BadInput` if any parameter was at fault."""
        if self._faults:
            raise BadInput(self._faults)


def refuse_in_query(*names: str) -> None:
    """Raise :class:`BadInput` for what must not stand in an address, where proxies log it."""
    in_query = {
        name for name, value in _decode_form(request.query_string, "utf-8", "query string") if value
    }
    faults = {
        name: [
            "Must not be sent in the query string, which is logged on its way: send it as a form"
            " or as JSON."
        ]
        for name in names
        if name in in_query
    }
    if faults:
        raise BadInput(faults)


def _as_text(value: Any) -> str:
    """A value of a form, or of JSON, as a form would have it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value.adjusted() < _MOST_DIGITS:
        whole = int(value)
        if whole == value:  # 587.0: to JSON a number is a number
            return str(whole)
    raise ValueError("Must be a string, a whole number, true or false.")


def _where_to_send(error: validators.PastedServer) -> str:
    """Which parameter takes which part of what was sent as the host; never the password."""
    parts = error.parts
    if parts is None:
        return str(error)
    others = [f"port={parts.port}"] if parts.port is not None else []
    if parts.encryption is Encryption.IMPLICIT:
        others.append("ssltls=true")
    elif parts.encryption is Encryption.STARTTLS:
        others.append("starttls=true")
    if parts.has_password or parts.username:
        others.append("auth=true with the user name in username and the password in password")
    if not others:
        return str(error)
    return f"{error} In other parameters: {', '.join(others)}."


def smtp_changes(sent: Sent) -> smtps.SmtpChanges:
    """The parameters of ``/private/smtps/save`` that say something of the SMTP."""
    changes: smtps.SmtpChanges = {}
    for name, rule in _SMTP_RULES.items():
        sent.into(changes, name, rule, required=name in ("host", "port"))
    return changes


_SMTP_RULES: dict[str, Callable[[str], Any]] = {
    "host": validators.host,
    "port": validators.port,
    "priority": validators.priority,
    "username": validators.credential,
    "password": validators.credential,
    "auth": validators.flag,
    "starttls": validators.flag,
    "ssltls": validators.flag,
    "debug": validators.flag,
    "defaultfromemail": validators.email,
    "defaultfromname": validators.display_name,
}


def smtp(row: Any, app_sender: str | None, *, secrets: bool) -> dict[str, Any]:
    """An SMTP, or a row of one, as the API shows it. The password only with ``secrets``.

    ``app_sender`` is the default From of its app.
    """
    password, found = smtps.judge(row, app_sender)
    shown: dict[str, Any] = {
        "_id": row.id,
        "idapp": row.app_id,
        "priority": row.priority,
        "host": row.host,
        "port": row.port,
        "username": row.username if secrets or not hides_username(row) else None,
        "password": password if secrets else None,
        "auth": row.auth,
        "starttls": row.starttls,
        "sslTls": row.ssltls,
        "debug": row.debug,
        "defaultfromemail": row.defaultfromemail,
        "defaultfromname": row.defaultfromname,
        "numerrors": row.numerrors,
        "created": time(row.created),
        "modified": time(row.modified),
        "status": "A" if row.enabled else "D",
    }
    if row.off_since is not None:
        shown["off"] = {
            "since": time(row.off_since),
            "until": time(row.off_until) if row.off_until else None,
            "note": row.off_note,
        }
    if found:
        shown["warnings"] = warnings(found)
    return shown


def warnings(found: Iterable[Warning]) -> list[dict[str, str | None]]:
    """What is likely to fail, by the names of the API's parameters."""
    return [
        {"parameter": _FLAG.get(one.field, one.field), "code": one.code, "message": str(one.text)}
        for one in found
    ]


def explanation(found: Explanation) -> dict[str, Any]:
    """What a pasted error means; its members have the names of a failed check's."""
    diagnosis, reply, provider = found.diagnosis, found.reply, found.provider
    return {
        "understood": diagnosis is not None,
        "code": diagnosis and diagnosis.id,
        "title": diagnosis and diagnosis.title,
        "detail": diagnosis and diagnosis.meaning,
        "steps": list(diagnosis.steps) if diagnosis else [],
        "temporary": diagnosis and diagnosis.temporary,
        "side": diagnosis and diagnosis.side,
        "link": (diagnosis and diagnosis.link) or None,
        "stage": found.stage,
        "reply": reply and {"code": reply.code, "enhanced": reply.enhanced, "text": reply.text},
        "host": found.facts.get("host"),
        "port": found.facts.get("port"),
        "provider": provider and provider.id,
        "asks": list(found.asks),
    }


_FLAG = {"encryption": "starttls"}  # the API has two flags for it, and one of them must do


def app(row: App) -> dict[str, Any]:
    """An app as the API shows it."""
    return {
        "_id": row.id,
        "iduser": row.user_id,
        "name": row.name,
        "testemail": row.testemail,
        "defaultfromemail": row.defaultfromemail,
        "defaultfromname": row.defaultfromname,
        "strategy": row.strategy,
        "timebetweenemails": row.timebetweenemails,
        "retaindata": row.retaindata,
        "useblacklist": row.useblacklist,
        "useautoblacklist": row.useautoblacklist,
        "checkevery": row.check_every,
        "emailevery": row.email_every,
        "created": time(row.created),
        "modified": time(row.modified),
        "status": "A",
    }


def page(content: list[dict[str, Any]], number: int, size: int, total: int) -> dict[str, Any]:
    """The page envelope of Spring Data, which the Java client reads."""
    pages = -(-total // size)
    sort = {"sorted": True, "unsorted": False, "empty": False}
    return {
        "content": content,
        "number": number,
        "size": size,
        "totalElements": total,
        "totalPages": pages,
        "numberOfElements": len(content),
        "first": number == 0,
        "last": number >= pages - 1,
        "empty": not content,
        "pageable": {
            "pageNumber": number,
            "pageSize": size,
            "offset": number * size,
            "paged": True,
            "unpaged": False,
            "sort": sort,
        },
        "sort": sort,
    }


def reply(body: Any, status: int = 200, mimetype: str = "application/json") -> Response:
    """JSON in one ASCII line: some clients show it as it stands, in whatever charset they like."""
    return Response(json.dumps(body, separators=(",", ":")), status, mimetype=mimetype)


def time(moment: Any) -> str:
    """UTC without a zone: the Java client reads a LocalDateTime and fails on any offset."""
    # A plain row of SQLite passed through UtcDateTime already.
    text: str = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text


# --- reading a request ----------------------------------------------------------------------


def _pairs() -> Iterable[tuple[str, Any]]:
    yield from _decode_form(request.query_string, "utf-8", "query string")
    if request.method != "POST":
        return
    _refuse_compressed()
    kind = request.mimetype
    if kind == "application/x-www-form-urlencoded":
        charset = request.mimetype_params.get("charset", "utf-8").lower()
        if charset not in _CHARSETS:
            raise UnsupportedMediaType(f"Forms in the charset {charset!r} are not read here.")
        yield from _decode_form(request.get_data(), charset, "form")
    elif kind == "application/json":
        yield from _decode_json(request.get_data())
    elif kind == "multipart/form-data":
        for name, value in request.form.items(multi=True):
            if name is None:  # a part without a name, whatever the type hints say
                raise BadInput({"form": ["Holds a part without a name."]})
            if "\ufffd" in name + value:  # Werkzeug's mark for what it could not decode
                raise BadInput({"form": ["Is not valid in its charset."]})
            yield name, value
    elif request.get_data(cache=True):
        raise UnsupportedMediaType(
            "Send parameters as application/x-www-form-urlencoded, multipart/form-data or"
            " application/json."
        )


def _refuse_compressed() -> None:
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        coding = "gzip" if request.get_data(cache=True).startswith(_GZIP) else ""
    if coding:
        # RFC 9110 15.5.16: the header says which codings would do.
        raise UnsupportedMediaType(
            f"The body is compressed ({coding[:40]!r}): send it as it is, without"
            " Content-Encoding.",
            response=None,
        )


def _decode_form(encoded: bytes, charset: str, where: str) -> Iterable[tuple[str, str]]:
    # Werkzeug's own reading of a form is always UTF-8, with replacement marks for what is not.
    try:
        return parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            encoding=charset,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except UnicodeError:
        raise BadInput({where: ["Is not valid in its charset."]}) from None
    except ValueError:
        raise BadInput({where: ["Holds too many parameters."]}) from None


def _decode_json(encoded: bytes) -> Iterable[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    repeated: dict[str, list[str]] = {}

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal pairs
        pairs = found  # the outermost object is the last one to be closed
        names = [name for name, _value in found]
        for name, number in Counter(names).items():
            if number > 1:  # RFC 8259 4: readers differ in which one they take
                repeated.setdefault(name, [_REPEATED])
        return dict(found)

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        # Python reads NaN and Infinity, which JSON has not, and nests as deep as its stack.
        body = json.loads(
            encoded, object_pairs_hook=keep, parse_constant=refuse, parse_float=Decimal
        )
    except (ValueError, RecursionError):
        raise BadInput({"body": ["Is not valid JSON."]}) from None
    if repeated:
        raise BadInput({_ALIASES.get(name, name): said for name, said in repeated.items()})
    if not isinstance(body, dict):
        raise BadInput({"body": ["Must be a JSON object."]})
    return pairs
