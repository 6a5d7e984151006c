"""Snippets do what they say: they are run, or parsed, with ordinary and with nasty settings."""

from __future__ import annotations

import ast
import base64
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from email import message_from_bytes, policy
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from smtpweb.mailcheck import Encryption
from smtpweb.web.presentation import snippets
from smtpweb.web.presentation.snippets import LIST_RECIPES, RECIPES, Values
from tests.conftest import cannot_run
from tests.support import interpreters
from tests.support.fake_smtp import FakeServer, fake_smtp

NAMES = [recipe.id for recipe in RECIPES]
USER = "shop'\"\\$x`#{1} ${Y}@example.com"
NASTY = Values(
    "smtp.example.com", 587, Encryption.STARTTLS, True, USER, "shop@example.com",
    "Zoë's \"<shop>\" \\ $x #{1} ${Y}", "o'neil+test@example.com",
)  # fmt: skip


def values(**changes: Any) -> Values:
    return Values(**({name: getattr(NASTY, name) for name in Values.__slots__} | changes))


def text(recipe_id: str, settings: Values = NASTY) -> str:
    snippet = snippets.for_server(snippets.recipe(RECIPES, recipe_id), settings)
    assert snippet.refusal is None
    return snippet.text


# --- what each snippet configures, read by its own language ----------------------------------


def executed(source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("SMTP_PASSWORD", "s3cret")
    monkeypatch.setenv("SMTP_USERNAME", "hidden")
    scope: dict[str, Any] = {"__name__": "settings"}
    exec(compile(source, "snippet", "exec"), scope)
    return scope


@pytest.mark.parametrize("encryption", Encryption)
def test_django_snippet_configures_the_server(
    encryption: Encryption, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = executed(text("django", values(encryption=encryption)), monkeypatch)
    assert (scope["EMAIL_HOST"], scope["EMAIL_PORT"]) == (NASTY.host, NASTY.port)
    assert (scope["EMAIL_HOST_USER"], scope["EMAIL_HOST_PASSWORD"]) == (USER, "s3cret")
    assert scope.get("EMAIL_USE_TLS", False) == (encryption is Encryption.STARTTLS)
    assert scope.get("EMAIL_USE_SSL", False) == (encryption is Encryption.IMPLICIT)
    assert NASTY.mail_from in scope["DEFAULT_FROM_EMAIL"]


def test_flask_mail_snippet_configures_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("flask_mail")
    module.Mail = lambda app: app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flask_mail", module)
    config = executed(text("flask-mail"), monkeypatch)["app"].config
    assert config["MAIL_SERVER"] == NASTY.host
    assert config["MAIL_USE_TLS"] is True
    assert (config["MAIL_USERNAME"], config["MAIL_PASSWORD"]) == (USER, "s3cret")
    assert config["MAIL_DEFAULT_SENDER"] == (NASTY.from_name, NASTY.mail_from)


def test_nodemailer_snippet_configures_the_server(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "nodemailer"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "main": "index.js"}')
    (package / "index.js").write_text(
        "export default { createTransport: (options) => ({"
        " sendMail: (mail) => console.log(JSON.stringify([options, mail])) }) };"
    )
    (tmp_path / "send.mjs").write_text(text("nodemailer"))
    options, mail = json.loads(
        interpreters.run("node", str(tmp_path / "send.mjs"), SMTP_PASSWORD="s3cret")
    )
    assert (options["host"], options["port"]) == (NASTY.host, NASTY.port)
    assert (options["secure"], options["requireTLS"]) == (False, True)
    assert options["auth"] == {"user": USER, "pass": "s3cret"}
    assert mail["from"] == {"name": NASTY.from_name, "address": NASTY.mail_from}


def test_phpmailer_snippet_configures_the_server(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "autoload.php").write_text(
        "<?php namespace PHPMailer\\PHPMailer;"
        " #[\\AllowDynamicProperties] class PHPMailer {"
        " const ENCRYPTION_STARTTLS = 'tls'; const ENCRYPTION_SMTPS = 'ssl';"
        " const CHARSET_UTF8 = 'utf-8';"
        " function __construct($throws) {} function isSMTP() {}"
        " function setFrom($a, $n) { $this->from = [$a, $n]; }"
        " function addAddress($a) { $this->to = $a; }"
        " function send() { echo json_encode($this); } }"
    )
    (tmp_path / "send.php").write_text(text("phpmailer"))
    done = json.loads(
        interpreters.run(
            "php", "-d", f"include_path={tmp_path}", str(tmp_path / "send.php"),
            SMTP_PASSWORD="s3cret",
        )
    )  # fmt: skip
    assert (done["Host"], done["Port"], done["SMTPSecure"]) == (NASTY.host, NASTY.port, "tls")
    assert (done["Username"], done["Password"]) == (USER, "s3cret")
    assert done["from"] == [NASTY.mail_from, NASTY.from_name]
    assert done["to"] == NASTY.mail_to


def test_rails_snippet_configures_the_server() -> None:
    prelude = """
      require "json"
      class Mailer
        attr_accessor :delivery_method, :raise_delivery_errors, :default_options, :smtp_settings
      end
      class Config; def action_mailer = (@mailer ||= Mailer.new); end
      class Application
        def configure(&block) = instance_eval(&block)
        def config = (@config ||= Config.new)
      end
      module Rails; def self.application = (@application ||= Application.new); end
    """
    shown = "\nputs Rails.application.config.action_mailer.instance_variables.to_h { |name|"
    shown += " [name, Rails.application.config.action_mailer.instance_variable_get(name)] }.to_json"
    done = json.loads(
        interpreters.run("ruby", stdin=prelude + text("rails") + shown, SMTP_PASSWORD="s3cret")
    )
    smtp = done["@smtp_settings"]
    assert (smtp["address"], smtp["port"], smtp["enable_starttls"]) == (NASTY.host, 587, True)
    assert (smtp["user_name"], smtp["password"]) == (USER, "s3cret")
    assert NASTY.mail_from in done["@default_options"]["from"]


def test_jakarta_snippet_is_java_and_holds_the_values() -> None:
    for encryption in Encryption:
        found = interpreters.java_literals(text("jakarta", values(encryption=encryption)))
        assert {NASTY.host, "587", USER, NASTY.mail_from, NASTY.from_name, NASTY.mail_to} <= set(
            found
        )


def test_spring_snippet_is_a_properties_file() -> None:
    found = interpreters.properties(text("spring"))
    assert found["spring.mail.host"] == NASTY.host
    assert found["spring.mail.port"] == "587"
    assert found["spring.mail.username"].replace("${literal.dollar:$}", "$") == USER
    assert found["spring.mail.password"] == "${SMTP_PASSWORD}"
    assert found["spring.mail.properties.mail.smtp.starttls.required"] == "true"


def test_msmtp_snippet_configures_the_server(tmp_path: Path) -> None:
    found = interpreters.msmtp_settings(text("msmtp"), tmp_path)
    assert (found["host"], found["port"], found["user"]) == (NASTY.host, "587", USER)
    assert (found["tls"], found["tls_starttls"], found["tls_certcheck"]) == ("on", "on", "on")
    assert found["from"] == NASTY.mail_from
    found = interpreters.msmtp_settings(
        text("msmtp", values(encryption=Encryption.IMPLICIT, auth=False)), tmp_path
    )
    assert (found["tls"], found["tls_starttls"], found["auth"]) == ("on", "off", "none")


def test_symfony_snippet_is_a_url_of_the_server() -> None:
    (line,) = re.findall(r'^MAILER_DSN="(.*)"$', text("symfony"), re.MULTILINE)
    url = urlsplit(line)
    assert (url.scheme, url.hostname, url.port) == ("smtp", NASTY.host, NASTY.port)
    assert unquote(url.username or "") == USER
    assert "$" not in line  # or Symfony would expand it


def test_laravel_snippet_names_the_server() -> None:
    lines = dict(
        line.split("=", 1) for line in text("laravel").splitlines() if not line.startswith("#")
    )
    assert (lines["MAIL_SCHEME"], lines["MAIL_HOST"]) == ("smtp", f'"{NASTY.host}"')
    assert (
        lines["MAIL_USERNAME"] == '"' + re.sub(r'([\\"$])', lambda m: "\\" + m[1], str(USER)) + '"'
    )
    assert lines["MAIL_ENCRYPTION"] == "tls"


# --- what sends, sends ------------------------------------------------------------------------


def command_line(snippet: str, server: FakeServer, **variables: str) -> None:
    interpreters.run(
        "sh", "-c", snippet.replace("YOUR_SMTP_PASSWORD", "s3cret"),
        CURL_CA_BUNDLE=str(server.ca_file or ""), **variables,
    )  # fmt: skip


def python_program(snippet: str, server: FakeServer, **variables: str) -> None:
    interpreters.run(
        sys.executable, "-c", snippet, SSL_CERT_FILE=str(server.ca_file or ""),
        SMTP_PASSWORD="s3cret", **variables,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["", "starttls", "implicit"])
@pytest.mark.parametrize(
    ("recipe", "run"), [("curl", command_line), ("smtplib", python_program)], ids=["curl", "python"]
)
def test_sending_snippet_delivers_an_email(
    recipe: str, run: Callable[..., None], mode: str
) -> None:
    with fake_smtp(tls=mode, login=(USER, "s3cret"), capabilities=["8BITMIME"]) as server:
        settings = values(
            host="localhost" if mode else "127.0.0.1",
            port=server.port,
            encryption=Encryption(mode or "none"),
        )
        run(text(recipe, settings), server)
    ((sender, recipients, raw),) = server.mails
    assert (sender, recipients) == (NASTY.mail_from, [NASTY.mail_to])
    message = message_from_bytes(raw, policy=policy.default)
    (mailbox,) = message["From"].addresses
    assert (mailbox.display_name, mailbox.addr_spec) == (NASTY.from_name, NASTY.mail_from)
    assert message["Subject"] == "Test"
    assert "It works." in message.get_content()


def test_sending_snippet_without_authentication_sends_no_credentials() -> None:
    with fake_smtp() as server:
        settings = values(
            host="127.0.0.1", port=server.port, encryption=Encryption.NONE, auth=False
        )
        for recipe, run in (("curl", command_line), ("smtplib", python_program)):
            assert "PASSWORD" not in text(recipe, settings)
            run(text(recipe, settings), server)
    assert len(server.mails) == 2
    assert not [line for line in server.heard if line.startswith("AUTH")]


ACCESS_TOKEN = "ya29.an-access_token~+/="
WITH_OAUTH = [recipe.id for recipe in RECIPES if recipe.oauth]


def by_oauth(recipe_id: str, **changes: Any) -> str:
    return text(recipe_id, values(oauth=True, username="shop@example.com", **changes))


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "XOAUTH2 OAUTHBEARER"])
@pytest.mark.parametrize(
    ("recipe", "run"), [("curl", command_line), ("smtplib", python_program)], ids=["curl", "python"]
)
def test_sending_snippet_signs_in_with_an_access_token(
    recipe: str, run: Callable[..., None], mechanism: str
) -> None:
    login = ("shop@example.com", ACCESS_TOKEN)
    with fake_smtp(tls="starttls", token=login, mechanisms=mechanism) as server:
        snippet = by_oauth(recipe, host="localhost", port=server.port)
        assert "PASSWORD" not in snippet
        snippet = snippet.replace("YOUR_SMTP_ACCESS_TOKEN", ACCESS_TOKEN)
        run(snippet, server, SMTP_ACCESS_TOKEN=ACCESS_TOKEN)
    assert len(server.mails) == 1


def test_python_snippet_ends_with_the_refusal_of_a_token() -> None:
    with fake_smtp(tls="starttls", token=("shop@example.com", ACCESS_TOKEN)) as server:
        snippet = by_oauth("smtplib", host="localhost", port=server.port)
        with pytest.raises(AssertionError, match="SMTPAuthenticationError"):
            python_program(snippet, server, SMTP_ACCESS_TOKEN="expired")
    assert server.mails == []


def test_nodemailer_snippet_signs_in_with_an_access_token(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "nodemailer"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"type": "module", "main": "index.js"}')
    (package / "index.js").write_text(
        "export default { createTransport: (options) => ({"
        " sendMail: () => console.log(JSON.stringify(options)) }) };"
    )
    (tmp_path / "send.mjs").write_text(by_oauth("nodemailer"))
    shown = interpreters.run("node", str(tmp_path / "send.mjs"), SMTP_ACCESS_TOKEN=ACCESS_TOKEN)
    expected = {"type": "OAuth2", "user": "shop@example.com", "accessToken": ACCESS_TOKEN}
    assert json.loads(shown)["auth"] == expected


def test_phpmailer_snippet_signs_in_with_an_access_token(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "autoload.php").write_text(
        "<?php namespace PHPMailer\\PHPMailer;"
        " interface OAuthTokenProvider { public function getOauth64(); }"
        " #[\\AllowDynamicProperties] class PHPMailer {"
        " const ENCRYPTION_STARTTLS = 'tls'; const CHARSET_UTF8 = 'utf-8';"
        " function __construct($throws) {} function isSMTP() {}"
        " function setFrom($a, $n) {} function addAddress($a) {}"
        " function setOAuth(OAuthTokenProvider $one) { $this->answer = $one->getOauth64(); }"
        " function send() { echo json_encode($this); } }"
    )
    (tmp_path / "send.php").write_text(by_oauth("phpmailer"))
    done = json.loads(
        interpreters.run(
            "php", "-d", f"include_path={tmp_path}", str(tmp_path / "send.php"),
            SMTP_ACCESS_TOKEN=ACCESS_TOKEN,
        )
    )  # fmt: skip
    assert done["AuthType"] == "XOAUTH2"
    said = f"user=shop@example.com\x01auth=Bearer {ACCESS_TOKEN}\x01\x01"
    assert base64.b64decode(done["answer"]).decode() == said


def test_jakarta_snippet_signs_in_with_an_access_token() -> None:
    snippet = by_oauth("jakarta")
    found = interpreters.java_literals(snippet)
    assert {"mail.smtp.auth.mechanisms", "XOAUTH2", "SMTP_ACCESS_TOKEN"} <= set(found)
    assert "SMTP_PASSWORD" not in snippet


def test_mailkit_snippet_signs_in_with_an_access_token() -> None:
    snippet = by_oauth("mailkit")
    token = 'Environment.GetEnvironmentVariable("SMTP_ACCESS_TOKEN")'
    assert f'new SaslMechanismOAuth2("shop@example.com", {token})' in snippet


@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_snippet_for_a_token_is_shown_or_says_that_a_token_is_needed(
    recipe: snippets.Recipe,
) -> None:
    settings = values(oauth=True, username="shop@example.com")
    snippet = snippets.for_server(recipe, settings)
    if recipe.id in WITH_OAUTH:
        assert "SMTP_ACCESS_TOKEN" in snippet.text
        assert "SMTP_PASSWORD" not in snippet.text
    else:
        assert snippet.text == ""
        assert recipe.name in str(snippet.refusal)
        assert "access tokens" in str(snippet.refusal)
        for name in WITH_OAUTH:
            assert snippets.recipe(RECIPES, name).name in str(snippet.refusal)


def test_token_snippet_reads_the_access_token(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text(json.dumps({"accesstoken": ACCESS_TOKEN, "x": 1}))
    base = "https://smtps.example.com/x'y"
    snippet = snippets.for_token(base, "a" * 24).text
    asked = shlex.quote(f"{base}/private/smtps/token?idsmtp={'a' * 24}")
    assert asked in snippet
    snippet = snippet.replace(asked, f"file://{tmp_path}/answer")
    if shutil.which("jq") is None:
        cannot_run("jq is not installed")
    shown = interpreters.run("sh", "-c", snippet + '\nprintf %s "$SMTP_ACCESS_TOKEN"')
    assert shown == ACCESS_TOKEN


def test_postfix_snippet_sets_parameters_and_writes_the_credentials(tmp_path: Path) -> None:
    snippet = text("postfix").replace("/etc/postfix", str(tmp_path))
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    stubs = f'postconf() {{ command postconf -c {tmp_path} "$@"; }}\npostfix() {{ :; }}\n'
    interpreters.run("postconf", "-c", str(tmp_path))
    interpreters.run("sh", "-ec", stubs + snippet)
    shown = interpreters.run("postconf", "-c", str(tmp_path), "-n")
    found = dict(line.split(" = ", 1) for line in shown.splitlines() if " = " in line)
    assert found["relayhost"] == f"[{NASTY.host}]:587"
    assert found["smtp_tls_security_level"] == "secure"
    assert found["smtp_sasl_auth_enable"] == "yes"
    file = tmp_path / "sasl_passwd"
    assert file.read_text() == f"[{NASTY.host}]:587 {USER}:YOUR_SMTP_PASSWORD\n"
    assert file.stat().st_mode & 0o077 == 0


# --- all of them ------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_snippet_never_contains_a_secret_user_name_and_says_where_it_goes(
    recipe: snippets.Recipe,
) -> None:
    snippet = snippets.for_server(recipe, values(username=None))
    assert snippet.refusal is None
    assert re.search(r"SMTP_USERNAME", snippet.text)
    assert "None" not in re.sub(r"SecureSocketOptions\.None", "", snippet.text)


@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_snippet_is_written_for_every_mode(recipe: snippets.Recipe) -> None:
    written = set()
    for encryption, auth, name in product(Encryption, (True, False), ("", "Shop")):
        # On loopback, where every library sends a password without TLS
        settings = values(encryption=encryption, auth=auth, host="127.0.0.1", from_name=name)
        snippet = snippets.for_server(recipe, settings)
        assert snippet.refusal is None
        assert "127.0.0.1" in snippet.text
        assert not re.search(r"\n\n\n|\{%|\{\{(?!x)", snippet.text)
        written.add((encryption, auth, snippet.text))
    assert len({text for _encryption, _auth, text in written}) >= 6


@pytest.mark.parametrize("recipe", RECIPES, ids=NAMES)
def test_snippet_writes_an_ipv6_host_in_brackets_in_urls(recipe: snippets.Recipe) -> None:
    snippet = snippets.for_server(recipe, values(host="2001:db8::1"))
    assert "2001:db8::1" in snippet.text
    if recipe.id in ("curl", "symfony", "go", "phpmailer", "laravel", "postfix"):
        assert "[2001:db8::1]" in snippet.text


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("curl", {"username": "a:b"}),
        ("postfix", {"username": "a:b"}),
        ("postfix", {"username": " a"}),
        ("smtplib", {"username": "zoë"}),
        ("django", {"username": "zoë"}),
        ("flask-mail", {"username": "zoë"}),
        ("go", {"encryption": Encryption.NONE}),
    ],
)
def test_snippet_that_could_not_work_says_why(recipe: str, changes: dict[str, Any]) -> None:
    chosen = snippets.recipe(RECIPES, recipe)
    snippet = snippets.for_server(chosen, values(**changes))
    assert snippet.refusal
    assert not snippet.text
    assert snippets.for_server(chosen, values(auth=False, **changes)).refusal is None


def test_python_snippets_have_no_unused_import(tmp_path: Path) -> None:
    for recipe, auth, encryption in product(
        ("smtplib", "django", "flask-mail"), (True, False), Encryption
    ):
        source = text(recipe, values(auth=auth, encryption=encryption))
        ast.parse(source)
        file = tmp_path / "snippet.py"
        file.write_text(source + "\n")
        subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F", str(file)],
            check=True,
            capture_output=True,
        )


# --- the list ---------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", LIST_RECIPES, ids=[recipe.id for recipe in LIST_RECIPES])
def test_list_snippet_is_parsed_and_names_the_app(recipe: snippets.Recipe, tmp_path: Path) -> None:
    snippet = snippets.for_list(recipe, "https://smtps.example.com/x'y", "a" * 24).text
    assert f"idapp={'a' * 24}" in snippet
    assert "SMTPWEB_TOKEN" in snippet
    file = tmp_path / (recipe.file or "snippet.sh")
    file.write_text(snippet)
    if recipe.id == "list-python":
        ast.parse(snippet)
    elif recipe.id == "list-java":
        assert any(one.endswith("a" * 24) for one in interpreters.java_literals(snippet))
    else:
        check = {"list-node": ["node", "--check"], "list-php": ["php", "-l"]}
        interpreters.run(*check.get(recipe.id, ["sh", "-n"]), str(file))
