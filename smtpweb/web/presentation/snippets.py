"""Code and configuration that send through an SMTP server, with its settings filled in.

The texts are in ``templates/snippets``. Whatever a template inserts is written as a literal of its
language, so no value can end its string. Secrets are never inserted: a snippet reads them from
environment variables, or shows a placeholder where its format cannot.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formataddr
from ipaddress import ip_address
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...config import ROOT
from ...errors import Sentence
from ...mailcheck import Encryption
from .quoting import LANGUAGES, Language, Unwritable

# Where the settings lack an address, a snippet shows this one.
EXAMPLE_FROM = "you@example.com"


@dataclass(frozen=True, slots=True)
class Variable:
    """The name of an environment variable that holds a secret."""

    name: str


@dataclass(frozen=True, slots=True)
class Values:
    """The settings to fill in; ``username`` is None if it is as secret as the password.

    ``oauth``: it signs in with access tokens.
    """

    host: str
    port: int
    encryption: Encryption
    auth: bool
    username: str | None
    mail_from: str
    from_name: str
    mail_to: str
    oauth: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to send: its name, the language of its snippet, and the file that holds it.

    ``oauth``: it can sign in with an access token (XOAUTH2).
    """

    id: str
    name: str
    group: str
    language: str
    file: str
    refuses: tuple[Callable[[Values], Sentence | None], ...] = ()
    oauth: bool = False


@dataclass(frozen=True, slots=True)
class Snippet:
    """A filled-in recipe; ``refusal`` says why there is no ``text``."""

    recipe: Recipe
    text: str
    refusal: Sentence | None = None


def _no_colon(values: Values) -> Sentence | None:
    if values.auth and ":" in (values.username or ""):
        return Sentence("This format cannot hold a user name that contains a colon.")
    return None


def _only_ascii(values: Values) -> Sentence | None:
    if values.auth and not (values.username or "").isascii():
        return Sentence("Python’s smtplib only accepts user names in ASCII.")
    return None


def _no_spaces_around(values: Values) -> Sentence | None:
    name = values.username or ""
    if values.auth and name != name.strip():
        return Sentence("This format cannot hold a user name that starts or ends with a space.")
    return None


def _no_login_in_clear(values: Values) -> Sentence | None:
    local = values.host in ("localhost", "127.0.0.1", "::1")
    if values.auth and values.encryption is Encryption.NONE and not local:
        return Sentence("Go’s net/smtp refuses to send a password without TLS.")
    return None


RECIPES = (
    Recipe("curl", "curl", "", "shell", "", (_no_colon,), oauth=True),
    Recipe("smtplib", "smtplib", "Python", "python", "send.py", (_only_ascii,), oauth=True),
    Recipe("django", "Django", "Python", "python", "settings.py", (_only_ascii,)),
    Recipe("flask-mail", "Flask-Mail", "Python", "python", "app.py", (_only_ascii,)),
    Recipe("nodemailer", "Nodemailer", "Node.js", "javascript", "send.mjs", oauth=True),
    Recipe("phpmailer", "PHPMailer", "PHP", "php", "send.php", oauth=True),
    Recipe("symfony", "Symfony", "PHP", "dotenv", ".env.local"),
    Recipe("laravel", "Laravel", "PHP", "dotenv", ".env"),
    Recipe("jakarta", "Jakarta Mail", "Java", "java", "Send.java", oauth=True),
    Recipe("spring", "Spring Boot", "Java", "spring", "application.properties"),
    Recipe("rails", "Ruby on Rails", "Ruby", "ruby", "config/environments/production.rb"),
    Recipe("go", "net/smtp", "Go", "go", "main.go", (_no_login_in_clear,)),
    Recipe("mailkit", "MailKit", ".NET", "c_sharp", "Program.cs", oauth=True),
    Recipe("msmtp", "msmtp", "Unix", "msmtp", "~/.msmtprc"),
    Recipe("postfix", "Postfix", "Unix", "shell", "", (_no_colon, _no_spaces_around)),
)

# How an app fetches its list of SMTP servers from the API
LIST_RECIPES = (
    Recipe("list-curl", "curl", "", "shell", ""),
    Recipe("list-python", "Python", "", "python", "servers.py"),
    Recipe("list-node", "Node.js", "", "javascript", "servers.mjs"),
    Recipe("list-php", "PHP", "", "php", "servers.php"),
    Recipe("list-java", "Java", "", "java", "Servers.java"),
)


# How a program fetches an access token for an SMTP server that signs in with OAuth
TOKEN_RECIPE = Recipe("token-curl", "curl", "", "shell", "")


def recipe(known: tuple[Recipe, ...], recipe_id: str) -> Recipe:
    """Return the recipe with this id, or the first one."""
    return next((one for one in known if one.id == recipe_id), known[0])


def for_server(chosen: Recipe, values: Values) -> Snippet:
    """Fill in the settings of an SMTP server."""
    for refuses in chosen.refuses:
        if refusal := refuses(values):
            return Snippet(chosen, "", refusal)
    if values.oauth and not chosen.oauth:
        refusal = Sentence(
            "%(program)s has no setting for access tokens (XOAUTH2), which this SMTP server needs."
            " Choose one that has, such as smtplib, Nodemailer, PHPMailer, Jakarta Mail, MailKit or"
            " curl.",
            program=chosen.name,
        )
        return Snippet(chosen, "", refusal)
    username = Variable("SMTP_USERNAME") if values.username is None else values.username
    host = f"[{values.host}]" if _is_ipv6(values.host) else values.host
    place = f"{host}:{values.port}"
    return _filled(
        chosen,
        {
            "host": values.host,
            "host_in_url": host,
            "port": values.port,
            "place": place,
            "nexthop": f"[{values.host}]:{values.port}",
            "url": f"smtp{'s' if values.encryption is Encryption.IMPLICIT else ''}://{place}",
            "starttls": values.encryption is Encryption.STARTTLS,
            "implicit": values.encryption is Encryption.IMPLICIT,
            "plain": values.encryption is Encryption.NONE,
            "auth": values.auth,
            "username": username,
            "username_hidden": values.username is None,
            "username_in_url": quote(values.username or "YOUR_SMTP_USERNAME", safe=""),
            "username_and_colon": f"{values.username}:",
            "password": Variable("SMTP_PASSWORD"),
            "oauth": values.auth and values.oauth,
            "access_token": Variable("SMTP_ACCESS_TOKEN"),
            "mail_from": values.mail_from or EXAMPLE_FROM,
            "from_name": values.from_name,
            "mailbox": _mailbox(values.from_name, values.mail_from or EXAMPLE_FROM),
            "from_header": f"From: {_encoded(values.from_name, values.mail_from or EXAMPLE_FROM)}",
            "mail_to": values.mail_to,
            "to_header": f"To: {values.mail_to}",
        },
    )


def for_list(chosen: Recipe, base_url: str, app_id: str) -> Snippet:
    """Fill in the address of this installation and the id of an app."""
    url = f"{base_url}/private/smtps/findByApp?{urlencode({'idapp': app_id})}"
    return _filled(chosen, {"url": url, "token": Variable("SMTPWEB_TOKEN")})


def for_token(base_url: str, smtp_id: str) -> Snippet:
    """Fill in the address of this installation and the id of an SMTP server."""
    url = f"{base_url}/private/smtps/token?{urlencode({'idsmtp': smtp_id})}"
    return _filled(TOKEN_RECIPE, {"url": url})


def _filled(chosen: Recipe, context: dict[str, object]) -> Snippet:
    template = _environment(chosen.language).get_template(f"{chosen.id}.txt")
    try:
        return Snippet(chosen, template.render(context).rstrip("\n"))
    except Unwritable as error:
        return Snippet(chosen, "", error.args[0])


@functools.cache
def _environment(name: str) -> Environment:
    """Return an environment whose templates insert literals of this language, and nothing else."""
    language = LANGUAGES[name]
    return Environment(  # noqa: S701 - not HTML: the page escapes the result
        loader=FileSystemLoader(ROOT / "templates" / "snippets"),
        finalize=functools.partial(_literal, language),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _literal(language: Language, value: object) -> str:
    if isinstance(value, Variable):
        return language.read_variable(value.name)
    if isinstance(value, str):
        return language.quote(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"{value!r} has no literal")


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


_SPECIAL = re.compile(r'["\\]')


def _mailbox(name: str, address: str) -> str:
    """Return a name and an address as people write them, for libraries that encode the name."""
    escaped = _SPECIAL.sub(r"\\\g<0>", name)
    return f'"{escaped}" <{address}>' if name else address


def _encoded(name: str, address: str) -> str:
    """Return a name and an address as they stand in a message (RFC 2047)."""
    if not address.isascii():  # then the whole message is in UTF-8 (RFC 6532)
        return _mailbox(name, address)
    return formataddr((name, address))
