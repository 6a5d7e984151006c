"""Parse the parameters of a request under the names and types of QUEUEMAIL.DEV.

The published documents and the Java client spell some names differently: every spelling is
accepted. ``docs/api.md`` lists the differences and the reasons.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from ... import validators
from ...checking import verdict
from ...errors import BadInput
from ...mailcheck import Encryption
from ...registry import apps, fields, grants, smtps
from ...registry.fields import SPELLINGS, Field
from ...registry.idempotency import Once

T = TypeVar("T")

# The charsets accepted for forms; any other would have to be guessed.
_CHARSETS = frozenset(
    {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "iso-8859-15", "windows-1252"}
)
_MOST_PARAMETERS = 100
_MOST_DIGITS = 40  # of a JSON number; more digits exceed every limit
_REPEATED = "Was sent more than once."
_GZIP = b"\x1f\x8b"
KEY_HEADER = "Idempotency-Key"


class Sent:
    """The parameters of a request, each validated once by its rule; errors are collected.

    :meth:`done` raises them all in one :class:`BadInput`. A parameter that is empty or null counts
    as absent: the Java client sends nulls that way.
    """

    def __init__(self) -> None:
        self._faults: dict[str, list[str]] = {}
        self._values: dict[str, list[Any]] = {}  # by our name, with the values of all spellings
        spellings: set[str] = set()
        for spelling, value in _pairs():
            if value in ("", None):
                continue
            name = SPELLINGS.get(spelling, spelling)
            if spelling in spellings:
                self._fault(name, _REPEATED)
            spellings.add(spelling)
            self._values.setdefault(name, []).append(value)

    def _fault(self, name: str, message: str) -> None:
        self._faults.setdefault(name, []).append(message)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, rule: Callable[[str], T], *, required: bool = False) -> T | None:
        """Return the value of ``name`` parsed by ``rule``; None if absent or invalid."""
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
        """Return the idempotency key in ``Idempotency-Key``; None if absent or invalid."""
        sent = request.headers.get(KEY_HEADER)
        if sent is None:
            return None
        try:
            return Once(validators.idempotency_key(sent))
        except ValueError as error:
            self._fault(KEY_HEADER, str(error))
            return None

    def id(self, name: str, *, required: bool = True) -> str:
        """Return an id; "" if absent or invalid."""
        return self.text(name, validators.object_id, required=required) or ""

    def done(self) -> None:
        """Raise :class:`BadInput` if any parameter was invalid."""
        if self._faults:
            raise BadInput(self._faults)


def refuse_in_query(*names: str) -> None:
    """Raise :class:`BadInput` for parameters that must not be in a URL, which proxies log.

    In any case of their letters: a parameter that is not read is logged all the same.
    """
    in_query = {
        name.strip().casefold()
        for name, value in _decode_form(request.query_string, "utf-8", "query string")
        if value
    }
    faults = {
        name: [
            "Must not be sent in the query string, which proxies and servers log: send it as a form"
            " or as JSON."
        ]
        for name in names
        if name in in_query
    }
    if faults:
        raise BadInput(faults)


def _as_text(value: Any) -> str:
    """Return a form or JSON value as a form would send it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal) and value.adjusted() < _MOST_DIGITS:
        whole = int(value)
        if whole == value:  # 587.0: JSON does not distinguish integers from floats
            return str(whole)
    raise ValueError("Must be a string, a whole number, true or false.")


def _where_to_send(error: validators.PastedServer) -> str:
    """Return which parameters the parts of a pasted host belong in; never shows the password."""
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
    """Return the SMTP server settings sent to ``/private/smtps/save``."""
    return cast(smtps.SmtpChanges, _fields_sent(sent, fields.SMTP))


def oauth_changes(sent: Sent) -> grants.OauthChanges:
    """Return the OAuth settings sent to ``/private/smtps/save``."""
    return cast(grants.OauthChanges, _fields_sent(sent, fields.OAUTH))


def check_mode(text: str) -> str:
    """Accept a way to check; raise :class:`ValueError`."""
    if text not in (verdict.EMAIL, verdict.PROBE):
        raise ValueError("Must be email or probe.")
    return text


def app_changes(sent: Sent, *, edit: bool) -> apps.AppChanges:
    """Return the app settings sent to ``/private/apps/save``."""
    return cast(apps.AppChanges, _fields_sent(sent, fields.APP, edit=edit))


def _fields_sent(sent: Sent, table: Mapping[str, Field], *, edit: bool = False) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for field in fields.required_first(table):
        is_required = field.required and not edit
        if not is_required and field.name not in sent:  # most are not
            continue
        value = sent.text(field.name, field.rule, required=is_required)
        if value is not None:
            changes[field.name] = value
    return changes


def _pairs() -> Iterable[tuple[str, Any]]:
    yield from _decode_form(request.query_string, "utf-8", "query string")
    if request.method != "POST":
        return
    _refuse_compressed()
    kind = request.mimetype
    if kind == "application/x-www-form-urlencoded":
        charset = request.mimetype_params.get("charset", "utf-8").lower()
        if charset not in _CHARSETS:
            raise UnsupportedMediaType(f"Forms in the charset {charset!r} are not supported.")
        yield from _decode_form(request.get_data(), charset, "form")
    elif kind == "application/json":
        yield from _decode_json(request.get_data())
    elif kind == "multipart/form-data":
        for name, value in request.form.items(multi=True):
            if name is None:  # a part without a name, despite the type hints
                raise BadInput({"form": ["Contains a part without a name."]})
            if "\ufffd" in name + value:  # Werkzeug's replacement for undecodable bytes
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
        # RFC 9110 15.5.16: 415 covers codings too; Accept-Encoding would list those accepted.
        raise UnsupportedMediaType(
            f"The body is compressed ({coding[:40]!r}): send it as it is, without"
            " Content-Encoding.",
            response=None,
        )


def _decode_form(encoded: bytes, charset: str, where: str) -> Iterable[tuple[str, str]]:
    if not encoded:
        return ()
    # Werkzeug always decodes forms as UTF-8, with replacement characters for invalid bytes.
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
        raise BadInput({where: ["Contains too many parameters."]}) from None


def _decode_json(encoded: bytes) -> Iterable[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    repeated: dict[str, list[str]] = {}

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal pairs
        pairs = found  # the outermost object is closed last
        names = [name for name, _value in found]
        for name, number in Counter(names).items():
            if number > 1:  # RFC 8259 4: parsers differ in which one they use
                repeated.setdefault(name, [_REPEATED])
        return dict(found)

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        # Python accepts NaN and Infinity, which are not JSON, and nesting up to its stack depth.
        body = json.loads(
            encoded, object_pairs_hook=keep, parse_constant=refuse, parse_float=Decimal
        )
    except (ValueError, RecursionError):
        raise BadInput({"body": ["Is not valid JSON."]}) from None
    if repeated:
        raise BadInput({SPELLINGS.get(name, name): said for name, said in repeated.items()})
    if not isinstance(body, dict):
        raise BadInput({"body": ["Must be a JSON object."]})
    return pairs
