"""Read the settings from the environment (``SMTPWEB_...``)."""

from __future__ import annotations

import os
import re
import secrets
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar, overload

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from .database import secret_box, servers
from .database.secret_box import SecretBox
from .errors import ConfigError
from .extensions import services
from .mailcheck import EgressPolicy, EgressRuleError
from .mailcheck.core.egress import Address
from .mailcheck.core.options import OptionError, parse_source_address

T = TypeVar("T")

# In a checkout, templates, migrations and the like are beside the package. A wheel has them inside
# it, and keeps its state in the directory that it is started from.
_BUNDLED = Path(__file__).resolve().parent / "project"
ROOT = _BUNDLED if _BUNDLED.is_dir() else _BUNDLED.parents[1]
HOME = Path.cwd() if _BUNDLED.is_dir() else ROOT
INSTANCE = HOME / "instance"
MIGRATIONS = ROOT / "migrations"

_CORES = os.cpu_count() or 1
WEBHOOK_PORTS = "443,80"
# Services for chat and pagers that use HTTP. Excluded are those that run programs, access files
# or use another protocol.
APPRISE_SCHEMAS = (
    "discord", "gchat", "gotify", "gotifys", "matrix", "matrixs", "mmost", "mmosts", "ntfy",
    "ntfys", "opsgenie", "pagerduty", "pover", "rocket", "rockets", "slack", "tgram", "webex",
    "workflow", "workflows", "wxteams", "zulip",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """All settings, read once. Secrets are kept out of ``repr``."""

    secret_key: str = field(repr=False)
    encryption_keys: tuple[str, ...] = field(repr=False)
    database_url: str = field(default=f"sqlite:///{INSTANCE / 'smtpweb.db'}", repr=False)
    redis_url: str | None = field(default=None, repr=False)
    queue_file: Path = INSTANCE / "queue.db"  # of the job engine, without Redis
    production: bool = False
    check_slots: int = 16
    check_timeout: int = 25
    checks_per_user: int = 30  # for this and the next four, 0 means no limit
    checks_minutes: int = 10
    tokens_per_user: int = 120  # requests to authorization servers within these minutes
    checks_at_once: int = 2
    streams_per_user: int = 4
    stream_slots: int = 8
    # A hash takes a core and 46 MiB: more threads than cores only slow each other down. The queue
    # is less than a second of work.
    hash_slots: int = _CORES + 1
    hash_queue: int = 4 * (_CORES + 1)
    explanations: int = 60
    explanations_minutes: int = 10
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    ca_file: Path | None = None
    ehlo_name: str | None = None
    # Addresses of this machine that users may choose to connect from
    source_addresses: tuple[Address, ...] = ()
    trusted_proxies: int = 0
    base_url: str | None = None
    blocklists: tuple[str, ...] = ()  # DNS zones that the operator's page asks about our address
    keep_checks: int = 90
    keep_days: int = 730
    demo_mailbox: Path | None = None
    webhook_egress: EgressPolicy = field(
        default_factory=lambda: EgressPolicy().for_webhooks(WEBHOOK_PORTS)
    )
    apprise_schemas: frozenset[str] = frozenset(APPRISE_SCHEMAS)
    max_apps: int = 0
    max_smtps: int = 0

    @cached_property
    def secret_box(self) -> SecretBox:
        """The box with the encryption keys, which are read once."""
        return SecretBox(self.encryption_keys)

    @property
    def secure_cookies(self) -> bool:
        """Whether cookies are sent over TLS only.

        True in production and behind a trusted proxy, unless the base URL is plain http.
        """
        if self.base_url:
            return self.base_url.startswith("https://")
        return self.production or self.trusted_proxies > 0


def settings() -> Settings:
    """The settings of the current application."""
    return services().settings


def load(environ: Mapping[str, str] | None = None, instance: Path = INSTANCE) -> Settings:
    """Read all settings; raises :class:`ConfigError`.

    Keys that are not set are read from files in ``instance``, see :func:`make_first_keys`.
    """
    source = _Source(os.environ if environ is None else environ)
    production = source.read("ENV", _one_of("development", "production"), "development")
    secret_key = source.read("SECRET_KEY", _long_enough)
    if secret_key is None:
        if production == "production":
            raise ConfigError("SMTPWEB_SECRET_KEY is required when SMTPWEB_ENV is production.")
        secret_key = _key_of(instance, "secret_key")
    keys = source.text("ENCRYPTION_KEYS") or _key_of(instance, "encryption_keys")
    encryption_keys = tuple(key.strip() for key in keys.split(",") if key.strip())
    database_url = source.read(
        "DATABASE_URL", _database_url, f"sqlite:///{instance / 'smtpweb.db'}"
    )
    redis_url = source.read("REDIS_URL", _redis_url)
    hash_slots = source.read("HASH_SLOTS", _whole(1, 1000), _CORES + 1)
    egress = _egress(source, database_url, redis_url)
    settings = Settings(
        secret_key=secret_key,
        encryption_keys=encryption_keys,
        database_url=database_url,
        redis_url=redis_url,
        queue_file=source.read("QUEUE_FILE", Path, _queue_file(database_url, instance)),
        production=production == "production",
        check_slots=source.read("CHECK_SLOTS", _whole(1, 1000), 16),
        check_timeout=source.read("CHECK_TIMEOUT", _whole(1, 300), 25),
        checks_per_user=source.read("CHECKS_PER_USER", _whole(0, 100_000), 30),
        checks_minutes=source.read("CHECKS_MINUTES", _whole(0, 1440), 10),
        tokens_per_user=source.read("TOKENS_PER_USER", _whole(0, 100_000), 120),
        checks_at_once=source.read("CHECKS_AT_ONCE", _whole(0, 1000), 2),
        streams_per_user=source.read("STREAMS_PER_USER", _whole(0, 1000), 4),
        stream_slots=source.read("STREAM_SLOTS", _whole(1, 1000), 8),
        hash_slots=hash_slots,
        hash_queue=source.read("HASH_QUEUE", _whole(0, 10_000), 4 * hash_slots),
        explanations=source.read("EXPLANATIONS", _whole(1, 100_000), 60),
        explanations_minutes=source.read("EXPLANATIONS_MINUTES", _whole(1, 1440), 10),
        egress=egress,
        ca_file=source.read("CA_FILE", _ca_file),
        ehlo_name=source.read("EHLO_NAME", _ehlo_name),
        source_addresses=source.read("SOURCE_ADDRESSES", _addresses, ()),
        trusted_proxies=source.read("TRUSTED_PROXIES", _whole(0, 10), 0),
        base_url=source.read("BASE_URL", _base_url),
        blocklists=source.read("BLOCKLISTS", _zones, ()),
        keep_checks=source.read("KEEP_CHECKS", _whole(0, 36500), 90),
        keep_days=source.read("KEEP_DAYS", _whole(0, 36500), 730),
        max_apps=source.read("MAX_APPS", _whole(0, 999_999), 0),
        max_smtps=source.read("MAX_SMTPS", _whole(0, 999_999), 0),
        demo_mailbox=source.read("DEMO_MAILBOX", Path),
        webhook_egress=_webhook_egress(source, egress),
        apprise_schemas=source.read(
            "APPRISE_SCHEMAS", _apprise_schemas, frozenset(APPRISE_SCHEMAS)
        ),
    )
    settings.secret_box  # noqa: B018 - raises where a key is malformed
    return settings


def make_first_keys(instance: Path = INSTANCE) -> None:
    """Create the keys that are missing in ``instance``, readable by this user only.

    Each file appears complete or not at all. Of several processes that start at once the first
    one wins: a second key would make everything sealed under the first unreadable.
    """
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, key in (
        ("secret_key", secrets.token_urlsafe(32)),
        ("encryption_keys", secret_box.new_key()),
    ):
        if (instance / name).exists():
            continue
        descriptor, draft = tempfile.mkstemp(dir=instance)  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(key + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, instance / name)
        except FileExistsError:
            continue
        finally:
            os.unlink(draft)


def web_port(environ: Mapping[str, str]) -> int:
    """The port that ``make run`` serves on, from ``PORT``; raises :class:`ConfigError`."""
    try:
        return _whole(1, 65535)(environ.get("PORT") or "8000")
    except ValueError as error:
        raise ConfigError(f"PORT {error}.") from None


class _Source:
    """Read ``SMTPWEB_NAME``, or the file that ``SMTPWEB_NAME_FILE`` names."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str) -> str | None:
        value = self.environ.get(f"SMTPWEB_{name}", "").strip()
        path = self.environ.get(f"SMTPWEB_{name}_FILE", "").strip()
        if path and value:
            raise ConfigError(f"SMTPWEB_{name} and SMTPWEB_{name}_FILE are both set: keep one.")
        if path:
            try:
                value = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"SMTPWEB_{name}_FILE cannot be read: {error}.") from None
        return value or None

    @overload
    def read(self, name: str, parse: Callable[[str], T]) -> T | None: ...
    @overload
    def read(self, name: str, parse: Callable[[str], T], default: T) -> T: ...
    def read(self, name: str, parse: Callable[[str], T], default: T | None = None) -> T | None:
        value = self.text(name)
        if value is None:
            return default
        try:
            return parse(value)
        except ValueError as error:
            raise ConfigError(f"SMTPWEB_{name} {error}.") from None


def _key_of(instance: Path, name: str) -> str:
    try:
        return (instance / name).read_text().strip()
    except OSError:
        raise ConfigError(
            f"SMTPWEB_{name.upper()} is not set and {instance / name} cannot be read:"
            " 'make run' creates it."
        ) from None


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {value!r}")
        return value

    return parse


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch("[0-9]{1,6}", value, re.ASCII) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}, not {value!r}")
        return int(value)

    return parse


def _long_enough(value: str) -> str:
    if len(value) < 16:
        raise ValueError("must have at least 16 characters")
    return value


def _database_url(value: str) -> str:
    try:
        url = make_url(value)
    except ArgumentError:  # its message holds the URL, and the URL a password
        raise ValueError("is not a database URL") from None
    if url.drivername == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("must name a file when it is SQLite")
        # Flask-SQLAlchemy would resolve a relative path against its instance folder.
        return url.set(database=str(HOME / url.database)).render_as_string(hide_password=False)
    if url.drivername != "postgresql+psycopg":
        raise ValueError("must start with sqlite:/// or postgresql+psycopg://")
    return value


def _queue_file(database_url: str, instance: Path) -> Path:
    """Return the default path of the queue: beside an SQLite database, else in ``instance``."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return instance / "queue.db"
    database = Path(url.database)
    return database.with_name(f"{database.stem}-queue.db")


def _redis_url(value: str) -> str:
    if not re.fullmatch(r"(rediss?|unix)://\S+", value):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return value


def _ca_file(value: str) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
    except ssl.SSLError:
        raise ValueError(
            f"must contain CA certificates in PEM format, but {value} contains none"
        ) from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error}") from None
    return Path(value)


def _ehlo_name(value: str) -> str:
    if not re.fullmatch(r"\[[0-9A-Fa-f:.IPv]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value):
        raise ValueError(f"must be a domain name or an address literal, not {value!r}")
    return value


def _addresses(value: str) -> tuple[Address, ...]:
    found = []
    for text in filter(None, map(str.strip, value.split(","))):
        try:
            address = parse_source_address(text)
        except OptionError:
            address = None
        if address is None:
            raise ValueError(f"must list IP addresses of this machine, not {text!r}")
        found.append(address)
    return tuple(found)


def _zones(value: str) -> tuple[str, ...]:
    zones = tuple(zone.strip().lower().rstrip(".") for zone in value.split(",") if zone.strip())
    for zone in zones:
        if not re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+", zone) or len(zone) > 150:
            raise ValueError(f"must list DNS zones such as bl.example.org, not {zone!r}")
    return zones


def _base_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
        raise ValueError(f"must be a URL such as https://smtps.example.com, not {value!r}")
    return value.rstrip("/")


def _egress(source: _Source, database_url: str, redis_url: str | None) -> EgressPolicy:
    """The egress policy; it refuses our own database, Redis and web port."""
    own = {("127.0.0.1", web_port(source.environ))}
    own |= servers.of_database(database_url, source.environ)
    if redis_url:
        own |= servers.of_redis(redis_url)
    try:
        return EgressPolicy.parse(
            source.text("EGRESS_ALLOW") or "",
            source.text("EGRESS_PORTS") or "",
            own=frozenset(own),
        )
    except EgressRuleError as error:
        raise ConfigError(str(error)) from None


def _webhook_egress(source: _Source, egress: EgressPolicy) -> EgressPolicy:
    """Return the egress policy of webhooks, chats and token requests: same networks, own ports."""
    try:
        return egress.for_webhooks(source.text("WEBHOOK_PORTS") or WEBHOOK_PORTS)
    except EgressRuleError as error:
        raise ConfigError(str(error)) from None


def _apprise_schemas(value: str) -> frozenset[str]:
    words = frozenset(word.strip().lower() for word in value.split(",") if word.strip())
    if words == {"none"}:
        return frozenset()
    for word in sorted(words):
        if not re.fullmatch("[a-z0-9]{1,20}", word):
            raise ValueError(f"must list schemas such as slack,ntfys, or be none, not {word!r}")
    return words
