"""Collect the texts of the pages for translators and compile what they wrote: `make words`.

Each language has a folder with its ``messages.po``. A new text comes in without a translation,
one that is gone is dropped; the pages read the ``messages.mo`` beside it, which is made here.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from smtpweb.web.api import openapi
from smtpweb.web.presentation import causes, labels

HERE = Path(__file__).parent
ROOT = HERE.parent

_KEYWORDS = DEFAULT_KEYWORDS | {
    "lazy_gettext": None,
    "Sentence": None,
    "MailboxError": None,
    "OptionError": None,
}
_HEADER = """\
# The texts of smtpweb's pages. `make words` adds what is new in the pages and compiles this file.
msgid ""
msgstr ""
"Language: {language}\\n"
"Plural-Forms: {plural}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""

_Found = Iterator[tuple[int, None, str, list[str]]]


def template() -> Catalog:
    """All texts of the pages, in English."""
    found = Catalog()
    for pattern, method in _METHODS:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            options = {"trimmed": "true"} if method == "jinja2" else {}
            for _, text, _, context in extract_from_file(
                method, path, keywords=_KEYWORDS, options=options
            ):
                found.add(text, locations=[(name, 0)], context=context)
    for module in (causes, labels, openapi):
        for text in filter(None, module.texts()):
            found.add(text, locations=[(f"{module.__name__.replace('.', '/')}.py", 0)])
    return found


def files() -> list[Path]:
    """The file of each language."""
    return sorted(HERE.glob("*/LC_MESSAGES/messages.po"))


def read(path: Path) -> Catalog:
    """What the translators of a language wrote."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def update(path: Path, wanted: Catalog) -> Catalog:
    """Bring the file of a language to what the pages say now, and compile it."""
    catalog = read(path)
    catalog.update(wanted, no_fuzzy_matching=True)
    with path.open("wb") as file:
        header = _HEADER.format(language=catalog.locale, plural=catalog.plural_forms)
        file.write(header.encode())
        write_po(file, catalog, width=100, omit_header=True, ignore_obsolete=True)
    # In the compiled file too the same texts give the same bytes.
    catalog.creation_date = catalog.revision_date = datetime(2000, 1, 1, tzinfo=UTC)
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalog)
    return catalog


def lacking(catalog: Catalog) -> list[str]:
    """The texts without a translation."""
    return [
        str(message.id)
        for message in catalog
        if message.id
        and not all([message.string] if isinstance(message.id, str) else message.string or [""])
    ]


def _causes(file: IO[bytes], *_: Any, **__: Any) -> _Found:
    """What a person is told of each cause of a failed check; facts stand in braces."""
    for entry in tomllib.loads(file.read().decode()).get("cause", ()):
        for text in (entry["title"], entry["meaning"], *entry["steps"]):
            yield 0, None, text, []


def _providers(file: IO[bytes], *_: Any, **__: Any) -> _Found:
    """What a person is told of changes at a provider."""
    for entry in tomllib.loads(file.read().decode())["provider"]:
        for notice in entry.get("notices", ()):
            yield 0, None, notice["text"], []


_METHODS: tuple[tuple[str, Any], ...] = (
    ("smtpweb/**/*.py", "python"),
    ("templates/**/*.html", "jinja2"),
    ("smtpweb/mailcheck/diagnosis/causes/*.toml", _causes),
    ("smtpweb/mailcheck/diagnosis/providers.toml", _providers),
)


def main() -> None:
    """Update every language, and say what is left to translate."""
    wanted = template()
    for path in files():
        catalog = update(path, wanted)
        missing = lacking(catalog)
        print(f"{catalog.locale}: {len(catalog)} texts, {len(missing)} of them to translate")
        for text in missing[:20]:
            print(f"  {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
