"""Users: accounts, passwords, and signing in."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError

from .. import validators
from ..database.models import (
    AlarmChannel,
    ApiToken,
    BrowserSession,
    FailedLogin,
    Installation,
    User,
)
from ..database.secret_box import digest_of
from ..database.session import db, fetch, note, now, writing
from ..errors import BadInput, CredentialsNotValid, NotFound, Sentence, TooMany
from ..validators import USUAL_EVENTS
from . import hashing

THROTTLE_WINDOW = timedelta(minutes=5)
FAILURES_PER_ACCOUNT = 10  # per account and network
FAILURES_PER_NETWORK = 100

# An address as in REMOTE_ADDR or X-Forwarded-For, with or without a port
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
    """Add the first account, an administrator.

    Raises :class:`CredentialsNotValid` if there is an account already.
    """
    user = _new_user(name, email, password, is_admin=True)
    with writing() as session:
        # The row lock serialises two visitors who set up at the same moment.
        session.execute(select(Installation).with_for_update())
        if session.scalar(select(func.count()).select_from(User)):
            raise CredentialsNotValid(Sentence("The first account has already been created."))
        return _add_user(user)


def _new_user(name: str, email: str, password: str, *, is_admin: bool) -> User:
    """A new user, to be built before the transaction: no writer should wait for the hash."""
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
    # By default, alarms go to the address of the account.
    db.session.add(AlarmChannel(user_id=user.id, kind="email", events=USUAL_EVENTS))
    return user


def find_user(name: str) -> User:
    """The user of this name; raises :class:`NotFound`."""
    user = _user_named(name)
    if user is None:
        raise NotFound("User")
    return user


def _user_named(name: str) -> User | None:
    """The user of this name, or None.

    Migration 0003 began to compare names by NFKC, which made a few old names equal. These kept
    their old key, so that each of them is still found by its name as it was typed.
    """
    try:
        as_typed = validators.text(name.strip(), most=100).casefold()
    except ValueError:
        return None  # a name that no account can have, such as one with a NUL
    same_name = select(User).where(User.name_key.in_([as_typed, validators.name_key(name)]))
    user: User | None = db.session.scalar(same_name.order_by((User.name_key == as_typed).desc()))
    return user


def set_password(user_id: str, password: str, *, keep_personal: bool = False) -> None:
    """Set a new password; ends all sessions and login tokens, and personal tokens unless kept."""
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
    """Set a new password for a user who knows the old one; raises as :func:`confirm` does."""
    confirm(user, "old_password", old, network)
    set_password(user.id, new, keep_personal=keep_personal)


def change_profile(user: User, name: str, email: str, password: str, network: str) -> None:
    """Set name and email address for a user who knows the password; raises :class:`BadInput`."""
    accepted = validators.accept(name=(validators.user_name, name), email=(validators.email, email))
    confirm(user, "present_password", password, network)
    with writing() as session:
        changed = session.get_one(User, user.id, with_for_update=True, populate_existing=True)
        changed.name, changed.name_key = accepted["name"], validators.name_key(accepted["name"])
        changed.email, changed.modified = accepted["email"], now()
        _flush_name()


def change_language(user: User, language: str | None) -> None:
    """Set the language of the user's pages; None: the browser decides."""
    if language is not None:
        validators.accept(language=(validators.language, language))
    with writing() as session:
        changed = session.get_one(User, user.id, with_for_update=True, populate_existing=True)
        changed.language = language


def confirm(user: User, field: str, password: str, network: str) -> None:
    """Raise :class:`BadInput` for ``field`` unless this is the user's password.

    Guesses are throttled: raises :class:`TooMany` as :func:`sign_in` does.
    """
    if sign_in(user.name, password, network) is None:
        raise BadInput({field: [Sentence("This is not your current password.")]})


def _flush_name() -> None:
    try:
        db.session.flush()
    except IntegrityError:
        raise BadInput({"name": [Sentence("This name is already taken.")]}) from None


def _hash(password: str, name: str) -> str:
    if problem := password_problem(password, name):
        raise BadInput({"password": [problem]})
    return hashing.hash_of(password)


def password_problem(password: str, name: str = "") -> str | None:
    """Why this password is not accepted for an account, or None (OWASP ASVS 5.0, 6.2)."""
    try:
        validators.text(password, most=1024)
    except ValueError as error:
        problem: str = error.args[0]
        return problem
    if len(password) < 10:
        return Sentence("Must have at least 10 characters.")
    # zxcvbn knows the lists of leaked passwords; beyond 72 characters it only gets slow.
    from zxcvbn import zxcvbn  # its lists of words are only needed for a new password

    strength = zxcvbn(password[:72], user_inputs=[name, "smtpweb"])
    if strength["score"] < 2:
        return Sentence(
            "This password is too easy to guess. Choose another, such as four unrelated words."
        )
    return None


# --- signing in ----------------------------------------------------------------------------


def network_of(address: str | None) -> str:
    """The network that failed sign-ins are counted for: a /24, or a /64 of IPv6.

    Some proxies add the port. Values that are not an address all count as one network,
    ``unknown``.
    """
    match = _ADDRESS.fullmatch((address or "").strip())
    try:
        ip = ipaddress.ip_address((match[1] or match[2] or match[3]) if match else "")
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        # A dual-stack socket shows an IPv4 client as ::ffff:a.b.c.d; int() drops the zone
        ip = ip.ipv4_mapped or ipaddress.IPv6Address(int(ip))
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 64), strict=False))


def sign_in(name: str, password: str, network: str) -> User | None:
    """The user with this name and password, or None; raises :class:`TooMany`.

    An unknown name takes as long as a known one. Failures are counted in the database, so the
    limit holds across workers and restarts.
    """
    account = digest_of(validators.name_key(name))
    refuse_guessing(account, network)
    user = _user_named(name)
    hashed = user.password_hash if user else hashing.DUMMY_HASH
    db.session.commit()  # returns the connection to the pool while we hash
    correct = hashing.matches(hashed, password) and user is not None
    if not correct:
        count_failure(account, network)
    # Again, because others may have failed while we were hashing: guesses sent all at once must
    # not reveal more than the same guesses one after the other.
    refuse_guessing(account, network, own=0 if correct else 1)
    if user is None or not correct:
        return None
    if hashing.is_outdated(hashed):
        _hash_again(user, hashed, password)
    return user


def _hash_again(user: User, outdated: str, password: str) -> None:
    """Replace a hash that has outdated parameters; skipped if the queue of hashes is full."""
    try:
        new_hash = hashing.hash_of(password)
    except TooMany:
        return
    note(
        update(User)
        .where(User.id == user.id, User.password_hash == outdated)
        .values(password_hash=new_hash)
    )


def refuse_guessing(account: str, network: str, *, own: int = 0) -> None:
    """Raise :class:`TooMany` if too many attempts failed in the last minutes.

    ``own``: how many of the counted failures are this request's own and are left out.
    """
    recent = FailedLogin.at > now() - THROTTLE_WINDOW
    same_network = FailedLogin.network == network
    of_account, of_network = fetch(
        select(
            func.count().filter(FailedLogin.account == account),
            func.count(),
        ).where(recent, same_network)
    )[0]
    if of_account - own >= FAILURES_PER_ACCOUNT or of_network - own >= FAILURES_PER_NETWORK:
        raise TooMany(
            Sentence("Too many failed sign-ins. Wait a few minutes, then try again."),
            retry_after=int(THROTTLE_WINDOW.total_seconds()),
        )


def count_failure(account: str, network: str) -> None:
    """Record a failed attempt and delete those that no longer count."""
    with writing() as session:
        session.execute(delete(FailedLogin).where(FailedLogin.at < now() - THROTTLE_WINDOW))
        session.add(FailedLogin(account=account, network=network))


def name_of(user_id: str) -> str | None:
    """Return the name of the account with this id, or None."""
    name: str | None = db.session.scalar(select(User.name).where(User.id == user_id))
    return name
