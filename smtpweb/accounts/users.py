"""Users: who they are and how they sign in."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from zxcvbn import zxcvbn

from .. import validators
from ..database.models import ApiToken, BrowserSession, FailedLogin, Installation, User
from ..database.secret_box import digest_of
from ..database.session import db, fetch, note, now, writing
from ..errors import BadInput, CredentialsNotValid, NotFound, Sentence, TooMany
from . import hashing

THROTTLE_WINDOW = timedelta(minutes=5)
FAILURES_PER_ACCOUNT = 10  # per account and network
FAILURES_PER_NETWORK = 100

# An address as it stands in REMOTE_ADDR or X-Forwarded-For: bare, or with a port
_ADDRESS = re.compile(
    r"\[([0-9a-f:.]+(?:%[\w.-]+)?)\](?::[0-9]{1,5})?"
    r"|([0-9.]+)(?::[0-9]{1,5})?"
    r"|([0-9a-f:.]+(?:%[\w.-]+)?)",
    re.ASCII | re.IGNORECASE,
)


# --- users ---------------------------------------------------------------------------------


def create_user(name: str, email: str, password: str, *, is_admin: bool = False) -> User:
    """Add a user; raises :class:`BadInput`."""
    user = _new_user(name, email, password, is_admin=is_admin)
    with writing():
        return _add_user(user)


def create_first_user(name: str, email: str, password: str) -> User:
    """Add the administrator of a fresh installation; raises :class:`CredentialsNotValid` later."""
    user = _new_user(name, email, password, is_admin=True)
    with writing() as session:
        # The row lock serialises two visitors that set up at the same moment.
        session.execute(select(Installation).with_for_update())
        if session.scalar(select(func.count()).select_from(User)):
            raise CredentialsNotValid(Sentence("This installation has its first account already."))
        return _add_user(user)


def _new_user(name: str, email: str, password: str, *, is_admin: bool) -> User:
    """The row of a new user: made before the transaction, which must not wait for the hash."""
    accepted = validators.accept(name=(validators.user_name, name), email=(validators.email, email))
    name = accepted["name"]
    return User(
        name=name,
        name_key=validators.name_key(name),
        email=accepted["email"],
        password_hash=_hash(password, name),
        is_admin=is_admin,
    )


def _add_user(user: User) -> User:
    db.session.add(user)
    _flush_name()
    return user


def find_user(name: str) -> User:
    """The user of this name; raises :class:`NotFound`."""
    user = _user_named(name)
    if user is None:
        raise NotFound("User")
    return user


def _user_named(name: str) -> User | None:
    """The user of this name, or None.

    A few old names became equal when they began to be compared by NFKC: they kept the key that
    they had, so that each of them is still found by the name as it was.
    """
    try:
        as_typed = validators.text(name.strip(), most=100).casefold()
    except ValueError:
        return None  # a name that cannot exist, such as one with a NUL
    found = select(User).where(User.name_key.in_([as_typed, validators.name_key(name)]))
    user: User | None = db.session.scalar(found.order_by((User.name_key == as_typed).desc()))
    return user


def set_password(user_id: str, password: str, *, keep_personal: bool = False) -> None:
    """Set a new password. All sessions and login tokens end, and personal tokens unless kept."""
    # Before the transaction: no writer should wait for a hash
    name = db.session.get_one(User, user_id).name
    db.session.commit()
    hashed = _hash(password, name)
    with writing() as session:
        user = session.get_one(User, user_id, with_for_update=True, populate_existing=True)
        user.password_hash = hashed
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
        changed.name, changed.name_key = accepted["name"], validators.name_key(accepted["name"])
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
    return hashing.hash_of(password)


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


# --- signing in ----------------------------------------------------------------------------


def network_of(address: str | None) -> str:
    """The network that failed logins are counted for: a /24, or a /64 of IPv6.

    Some proxies add the port. Whatever is no address gets no count of its own: all of them
    together are one network, ``unknown``.
    """
    found = _ADDRESS.fullmatch((address or "").strip())
    try:
        ip = ipaddress.ip_address((found[1] or found[2] or found[3]) if found else "")
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        # The same client, as a socket for both families shows it
        ip = ip.ipv4_mapped or ipaddress.IPv6Address(int(ip))  # without its zone
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def sign_in(name: str, password: str, network: str) -> User | None:
    """The user with this name and password, or None; raises :class:`TooMany`.

    Takes as long for an unknown name as for a known one. Failures are counted in the database,
    so that they hold across workers and restarts.
    """
    account = digest_of(validators.name_key(name))
    refuse_guessing(account, network)
    user = _user_named(name)
    hashed = user.password_hash if user else hashing.DUMMY_HASH
    db.session.commit()  # gives the connection back while we hash
    known = hashing.matches(hashed, password) and user is not None
    if not known:
        count_failure(account, network)
    # Again, as others may have failed while we were hashing: many guesses sent at once must
    # tell no more than the same guesses one after the other.
    refuse_guessing(account, network, ours=0 if known else 1)
    if user is None or not known:
        return None
    if hashing.is_outdated(hashed):
        _hash_again(user, hashed, password)
    return user


def _hash_again(user: User, outdated: str, password: str) -> None:
    """Replace a hash of old parameters by one of the present ones; signing in needs it not."""
    try:
        fresh = hashing.hash_of(password)
    except TooMany:
        return
    note(
        update(User)
        .where(User.id == user.id, User.password_hash == outdated)
        .values(password_hash=fresh)
    )


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


def name_of(user_id: str) -> str | None:
    """The name of an account, if there is one with this id."""
    name: str | None = db.session.scalar(select(User.name).where(User.id == user_id))
    return name
