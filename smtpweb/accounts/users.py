"""Users: who they are and how they sign in."""

from __future__ import annotations

import ipaddress
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from zxcvbn import zxcvbn

from .. import validators
from ..database.models import ApiToken, BrowserSession, FailedLogin, Installation, User
from ..database.secret_box import digest_of
from ..database.session import db, fetch, now, writing
from ..errors import BadInput, CredentialsNotValid, NotFound, Sentence, TooMany

THROTTLE_WINDOW = timedelta(minutes=5)
FAILURES_PER_ACCOUNT = 10  # per account and network
FAILURES_PER_NETWORK = 100

# OWASP's minimum for Argon2id. The library's default takes 64 MiB a hash, so that a burst of
# logins would take the machine down.
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_hashing = threading.BoundedSemaphore((os.cpu_count() or 1) + 1)
# Verified where the user is unknown, so that the answer takes as long as for a known one.
_DUMMY_HASH = _hasher.hash(secrets.token_urlsafe(16))


# --- users ---------------------------------------------------------------------------------


def create_user(name: str, email: str, password: str, *, is_admin: bool = False) -> User:
    """Add a user; raises :class:`BadInput`."""
    with writing():
        return _add_user(name, email, password, is_admin=is_admin)


def create_first_user(name: str, email: str, password: str) -> User:
    """Add the administrator of a fresh installation; raises :class:`CredentialsNotValid` later."""
    with writing() as session:
        # The row lock serialises two visitors that set up at the same moment.
        session.execute(select(Installation).with_for_update())
        if session.scalar(select(func.count()).select_from(User)):
            raise CredentialsNotValid(Sentence("This installation has its first account already."))
        return _add_user(name, email, password, is_admin=True)


def _add_user(name: str, email: str, password: str, *, is_admin: bool) -> User:
    accepted = validators.accept(name=(validators.user_name, name), email=(validators.email, email))
    name = accepted["name"]
    user = User(
        name=name,
        name_key=name.casefold(),
        email=accepted["email"],
        password_hash=_hash(password, name),
        is_admin=is_admin,
    )
    db.session.add(user)
    _flush_name()
    return user


def find_user(name: str) -> User:
    """The user of this name; raises :class:`NotFound`."""
    user: User | None = db.session.scalar(
        select(User).where(User.name_key == name.strip().casefold())
    )
    if user is None:
        raise NotFound("User")
    return user


def set_password(user_id: str, password: str, *, keep_personal: bool = False) -> None:
    """Set a new password. All sessions and login tokens end, and personal tokens unless kept."""
    with writing() as session:
        user = session.get_one(User, user_id, with_for_update=True, populate_existing=True)
        user.password_hash = _hash(password, user.name)
        user.modified = now()
        session.execute(delete(BrowserSession).where(BrowserSession.user_id == user_id))
        tokens = delete(ApiToken).where(ApiToken.user_id == user_id)
        if keep_personal:
            tokens = tokens.where(ApiToken.personal.is_(False))
        session.execute(tokens)


def change_password(user: User, old: str, new: str, network: str, *, keep_personal: bool) -> None:
    """Set a new password for somebody who knows the old one; guesses are throttled."""
    confirm(user, "old_password", old, network)
    set_password(user.id, new, keep_personal=keep_personal)


def change_profile(user: User, name: str, email: str, password: str, network: str) -> None:
    """Set name and address for somebody who knows the password; raises :class:`BadInput`."""
    accepted = validators.accept(name=(validators.user_name, name), email=(validators.email, email))
    confirm(user, "present_password", password, network)
    with writing() as session:
        changed = session.get_one(User, user.id, with_for_update=True, populate_existing=True)
        changed.name, changed.name_key = accepted["name"], accepted["name"].casefold()
        changed.email, changed.modified = accepted["email"], now()
        _flush_name()


def change_language(user: User, language: str | None) -> None:
    """Set the language of the user's pages; None: what the browser asks for."""
    if language is not None:
        validators.accept(language=(validators.language, language))
    with writing() as session:
        changed = session.get_one(User, user.id, with_for_update=True, populate_existing=True)
        changed.language = language


def confirm(user: User, field: str, password: str, network: str) -> None:
    """Refuse who does not know the password of the session's own user; guesses are throttled."""
    if sign_in(user.name, password, network) is None:
        raise BadInput({field: [Sentence("This is not your present password.")]})


def _flush_name() -> None:
    try:
        db.session.flush()
    except IntegrityError:
        raise BadInput({"name": [Sentence("This name is taken.")]}) from None


def _hash(password: str, name: str) -> str:
    if problem := password_problem(password, name):
        raise BadInput({"password": [problem]})
    with _place_to_hash():
        return _hasher.hash(password)


def password_problem(password: str, name: str = "") -> str | None:
    """Why this password is not accepted for an account, or None (ASVS 6.2)."""
    try:
        validators.text(password, most=1024)
    except ValueError as error:
        told: str = error.args[0]
        return told
    if len(password) < 10:
        return Sentence("Must have at least 10 characters.")
    # It knows the lists of leaked passwords; beyond 72 characters it would only be slow.
    strength = zxcvbn(password[:72], user_inputs=[name, "smtpweb"])
    if strength["score"] < 2:
        return Sentence(
            "This password is among the first that are tried: choose another,"
            " such as four words that have nothing to do with each other."
        )
    return None


@contextmanager
def _place_to_hash() -> Iterator[None]:
    """Hashing takes 20 MiB and a core: more at once than cores only makes all of them late."""
    if not _hashing.acquire(timeout=3):
        raise TooMany(Sentence("Too many logins at this moment."), retry_after=2)
    try:
        yield
    finally:
        _hashing.release()


# --- signing in ----------------------------------------------------------------------------


def network_of(address: str | None) -> str:
    """The network that failed logins are counted for: a /24, or a /64 of IPv6."""
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def sign_in(name: str, password: str, network: str) -> User | None:
    """The user with this name and password, or None; raises :class:`TooMany`.

    Takes as long for an unknown name as for a known one. Failures are counted in the database,
    so that they hold across workers and restarts.
    """
    account = digest_of(name.strip().casefold())
    refuse_guessing(account, network)
    try:
        user = db.session.scalar(
            select(User).where(User.name_key == validators.user_name(name).casefold())
        )
    except ValueError:
        user = None  # a name that cannot exist, such as one with a NUL
    db.session.commit()  # gives the connection back while we hash
    with _place_to_hash():
        try:
            _hasher.verify(
                user.password_hash if user else _DUMMY_HASH,
                password.encode(errors="surrogatepass"),
            )
            known = user is not None
        except (VerificationError, InvalidHashError):
            known = False
    if not known:
        count_failure(account, network)
    # Again, as others may have failed while we were hashing: many guesses sent at once must
    # tell no more than the same guesses one after the other.
    refuse_guessing(account, network, ours=0 if known else 1)
    return user if known else None


def refuse_guessing(account: str, network: str, *, ours: int = 0) -> None:
    """Raise :class:`TooMany` where too many tries have failed in the last minutes.

    ``ours``: how many of those that are counted already are not to be held against us.
    """
    recent = FailedLogin.at > now() - THROTTLE_WINDOW
    here = FailedLogin.network == network
    of_account, of_network = fetch(
        select(
            func.count().filter(FailedLogin.account == account),
            func.count(),
        ).where(recent, here)
    )[0]
    before_us = of_account - ours, of_network - ours
    if before_us[0] >= FAILURES_PER_ACCOUNT or before_us[1] >= FAILURES_PER_NETWORK:
        raise TooMany(
            Sentence("Too many failed logins: wait some minutes, then try again."),
            retry_after=int(THROTTLE_WINDOW.total_seconds()),
        )


def count_failure(account: str, network: str) -> None:
    """Keep a failed try; forget those that count no more."""
    with writing() as session:
        session.execute(delete(FailedLogin).where(FailedLogin.at < now() - THROTTLE_WINDOW))
        session.add(FailedLogin(account=account, network=network))
