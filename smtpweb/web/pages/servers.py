"""The list of all SMTP servers of all apps."""

from __future__ import annotations

from flask import render_template, request

from ... import validators
from ...errors import BadInput, Sentence
from ...monitoring import servers
from ...monitoring.servers import Filter
from ...registry import overview
from ..http import auth
from ..presentation.sparkline import bar
from .blueprint import bp, page_number

PER_PAGE = 50
_CHOICES = {
    "state": servers.STATES,
    "auth": servers.AUTHENTICATION,
    "certificate": servers.CERTIFICATE,
    "sort": servers.SORTS,
}


@bp.get("/smtps")
def list_smtps() -> str:
    """List the servers of all apps that match the filter in the URL."""
    user, page = auth.user(), page_number()
    hosts = servers.hosts_of(user.id)
    sent = _sent()
    wanted = Filter(
        sent["q"], sent["state"], sent["provider"], sent["auth"], sent["certificate"], sent["sort"]
    )
    matching, total = servers.find(user.id, wanted, hosts, page, PER_PAGE)
    marks = overview.marks([smtp.id for smtp in matching])
    newest = overview.newest(marks)
    return render_template(
        "smtps/list.html",
        smtps=[(smtp, newest.get(smtp.id), bar(marks[smtp.id])) for smtp in matching],
        asked=sent,
        address={
            name: value
            for name, value in sent.items()
            if value and (name, value) != ("sort", servers.SORTS[0])
        },
        providers=servers.providers_of(hosts),
        total=total,
        page=page,
        pages=-(-total // PER_PAGE),
        registered=len(hosts),
    )


def _sent() -> dict[str, str]:
    """Read the filter from the query string; raise :class:`BadInput`."""
    errors: dict[str, list[str]] = {}
    sent = {"q": ""}
    try:
        sent["q"] = validators.text(request.args.get("q", "").strip(), most=100)
    except ValueError as error:
        errors["q"] = [error.args[0]]
    for name, known in _CHOICES.items():
        sent[name] = request.args.get(name) or known[0]
        if sent[name] not in known:
            words = ", ".join(filter(None, known))
            errors[name] = [Sentence("Must be one of: %(words)s.", words=words)]
    # A provider of which the user has no server any more is valid, and matches nothing.
    sent["provider"] = request.args.get("provider", "")
    if sent["provider"] not in ("", servers.OTHER, *servers.known_providers()):
        errors["provider"] = [Sentence("Unknown provider.")]
    if errors:
        raise BadInput(errors)
    return sent
