"""Guards on the project itself: rules for every route, template and document."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import tomllib

from flask import Flask
from jinja2 import nodes
from werkzeug.routing import Rule

import smtpweb
from smtpweb import errors
from smtpweb.config import ROOT
from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.diagnosis import catalogue
from smtpweb.providers import presets
from tests.support.databases import ONE_DATABASE
from tests.support.people import Person, Visitor

# What anybody may ask for. A new route that is not here must refuse a visitor.
PUBLIC = {
    "static", "bootstrap.static", "dark.rules",
    "api_login.login", "api_login_base.login",
    "login.set_up", "login.sign_in",
    "received.ask", "received.confirm",
    "explain.explain", "offers.show", "appearance.choose",
    "probes.healthz", "probes.readyz", "probes.metrics", "probes.description", "probes.docs",
}  # fmt: skip
UNKNOWN = "f" * 24


def routes(app: Flask) -> list[tuple[str, Rule]]:
    return [
        (method, rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "DELETE", "PATCH"})
    ]


def path_of(rule: Rule) -> str:
    return re.sub("<[^>]+>", UNKNOWN, re.sub("<int:[^>]+>", "1", rule.rule))


def is_of_the_api(rule: Rule) -> bool:
    """Whether a token is what lets somebody in there."""
    return "/private/" in rule.rule or rule.rule.endswith("/probe")


@ONE_DATABASE
def test_api_routes_refuse_those_without_a_good_token(app: Flask, visitor: Visitor) -> None:
    paths = [(m, path_of(r)) for m, r in routes(app) if is_of_the_api(r)]
    assert len(paths) == 44
    for method, path in paths:
        assert visitor.request(method, path).status_code == 401, path
        stranger = Visitor(app, "smw_stranger")
        assert stranger.request(method, path).status_code == 403, path


@ONE_DATABASE
def test_pages_send_a_visitor_to_the_login(app: Flask, alice: Person) -> None:
    app.config["WTF_CSRF_ENABLED"] = False  # so that the guard itself is what refuses
    client = app.test_client()
    seen = set()
    for method, rule in routes(app):
        if rule.endpoint in PUBLIC or is_of_the_api(rule):
            seen.add(rule.endpoint)
            continue
        reply = client.open(path_of(rule), method=method)
        assert reply.status_code in (302, 303), (rule.rule, reply.status_code)
        assert reply.location.split("?")[0] == "/login", rule.rule
    assert seen >= PUBLIC, "the list of public routes names one that is gone"


@ONE_DATABASE
def test_page_posts_need_their_csrf_token(app: Flask, alice: Person) -> None:
    client = app.test_client()
    for method, rule in routes(app):
        if method == "POST" and not re.search("/private/|/auth/", rule.rule):
            assert client.post(path_of(rule)).status_code == 400, rule.rule


@ONE_DATABASE
def test_get_routes_have_no_name_that_writes(app: Flask) -> None:
    for method, rule in routes(app):
        if method == "GET":
            assert not re.search(r"/(save|logout|revoke|check)$", rule.rule), rule.rule


@ONE_DATABASE
def test_replies_carry_the_protecting_headers(app: Flask, alice: Person) -> None:
    client = app.test_client()
    for path in ("/login", "/apps", "/nothing", "/private/nothing", "/healthz", "/docs"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        for part in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'",
                     "form-action 'self'", "script-src 'self'"):  # fmt: skip
            assert part in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


@ONE_DATABASE
def test_templates_compile_and_import_nothing_in_vain(app: Flask) -> None:
    paths = sorted((ROOT / "templates").rglob("*.html"))
    assert paths
    for path in paths:
        source = path.read_text()
        app.jinja_env.get_template(str(path.relative_to(ROOT / "templates")))
        tree = app.jinja_env.parse(source)
        names = [node.target for node in tree.find_all(nodes.Import)]
        for node in tree.find_all(nodes.FromImport):
            names += [name if isinstance(name, str) else name[1] for name in node.names]
        for name in names:
            assert len(re.findall(rf"\b{name}\b", source)) > 1, (path, name)


@ONE_DATABASE
def test_templates_take_from_modules_only_what_is_there(app: Flask) -> None:
    """Undefined names show only when their line is reached."""
    modules = {
        name: value for name, value in app.jinja_env.globals.items() if inspect.ismodule(value)
    }
    assert len(modules) > 5
    for path in (ROOT / "templates").rglob("*.html"):
        for node in app.jinja_env.parse(path.read_text()).find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.node.name in modules:
                assert hasattr(modules[node.node.name], node.attr), (path, node.attr)


def test_templates_trust_nothing_and_hold_no_script() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        source = path.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape", source), path
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", source), path
        assert not re.search(r"""(src|href)=["']https?://""", source) or "docs" in path.name, path


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


def test_lock_files_pin_hashes_and_name_no_index() -> None:
    for path in (ROOT / "requirements").glob("*.lock"):
        lock = path.read_text()
        assert not re.search(r"https?://|--(extra-)?index|--find-links", lock), path
        pins = re.findall(r"^([a-z0-9][^ ]*)", lock, re.MULTILINE)
        assert pins and all("==" in pin for pin in pins), path
        assert len(re.findall("--hash=sha256:", lock)) >= len(pins), path


def test_settings_are_all_in_the_readme() -> None:
    source = (ROOT / "smtpweb/config.py").read_text()
    names = set(re.findall(r'source\.(?:read|text)\(\s*"([A-Z_]+)"', source))
    assert len(names) >= 12
    readme = (ROOT / "README.md").read_text()
    for name in names:
        assert f"SMTPWEB_{name}" in readme, name


def test_api_errors_are_all_documented() -> None:
    documented = (ROOT / "docs/api.md").read_text()
    for error in errors.SmtpwebError.__subclasses__():
        if error.__module__ != errors.__name__:
            continue  # of the command line alone
        if error not in (errors.ConfigError, errors.EditConflict, errors.NotFound):
            assert error.title in documented, error
            assert error.code in documented, error
    for word in ("SMTP not found", "App not found", *Stage):
        assert word in documented, word


def test_modules_stay_small() -> None:
    """A module that has outgrown its docstring is split."""
    for name in tracked():
        if name.startswith("smtpweb/") and name.endswith(".py"):
            assert len((ROOT / name).read_text().splitlines()) <= 420, name


def test_package_docstring_lists_the_layers_of_the_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rows = [re.findall(r"``(\w+)``", line[:41]) for line in (smtpweb.__doc__ or "").splitlines()]
    listed = [name for row in rows for name in row]
    assert listed == [name for layer in layers for name in layer.split(" | ")]


def test_owner_of_an_app_is_named_in_one_module() -> None:
    """Sharing apps between people must become one change."""
    for name in tracked():
        if name.startswith("smtpweb/") and name.endswith(".py"):
            names_it = "App.user_id" in (ROOT / name).read_text()
            assert names_it == (name == "smtpweb/accounts/ownership.py"), name


def test_readme_figures_are_those_of_the_data() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    failures = [cause for cause in catalogue.causes() if cause.id != "SMTP_ACCEPTED"]
    assert re.findall(r"(\d+) causes of failure", readme) == [str(len(failures))]
    assert re.findall(r"presets of (\d+) providers", readme) == [str(len(presets.presets()))]


def test_readme_names_every_real_server_of_the_tests() -> None:
    readme = (ROOT / "README.md").read_text()
    line = readme.partition("tests/real:")[2].partition("docs/ ")[0].lower()
    servers = {
        path.stem.removesuffix("_process").removeprefix("full_")
        for path in (ROOT / "tests/real").glob("*.py")
        if not path.stem.startswith("test_") and "yield RealServer(" in path.read_text()
    }
    assert len(servers) == 7
    for name in servers:
        assert name in line, name


def test_port_of_the_environment_counts_for_make() -> None:
    for name in ("run", "demo"):
        for command, port in (
            (["make", "-n", name], "8123"),
            (["make", "-n", name, "PORT=8124"], "8124"),
        ):
            environment = os.environ | {"PORT": "8123"}
            printed = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
            )
            assert f"PORT='{port}' exec" in printed.stdout


def test_fuzzer_is_no_part_of_the_benchmarks() -> None:
    for path in (ROOT / "requirements").glob("*.lock"):
        assert ("atheris" in path.read_text()) is (path.stem == "fuzz"), path


def test_cached_functions_without_parameters_are_computed_once_for_all_threads() -> None:
    """With ``functools.cache`` all threads compute side by side: use ``once``."""
    found = []
    for path in sorted((ROOT / "smtpweb").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not ast.unparse(node.args):
                used = {ast.unparse(one).partition("(")[0] for one in node.decorator_list}
                if used & {"cache", "lru_cache", "functools.cache", "functools.lru_cache"}:
                    found.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert found == []
