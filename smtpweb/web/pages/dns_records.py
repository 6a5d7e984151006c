"""The pages about DNS: the sender domain of an SMTP server, and our own address."""

from __future__ import annotations

from flask import abort, render_template

from ...checking import dns_records
from ...registry import smtps
from ..http import auth
from .blueprint import bp


@bp.get("/smtps/<id:smtp_id>/sender")
def show_sender_domain(smtp_id: str) -> str:
    """Show what DNS says about the sender domain; the server's page takes its card from here."""
    user_id = auth.user().id
    found = dns_records.of_sender(user_id, smtp_id)
    smtp = smtps.find(user_id, smtp_id)
    return render_template("smtps/sender.html", smtp=smtp, app=smtp.app, sender=found)


@bp.get("/operation/address")
def show_own_address() -> str:
    """Show how other mail servers see us; for administrators."""
    if not auth.user().is_admin:
        abort(404)
    return render_template("address.html", found=dns_records.of_our_address())
