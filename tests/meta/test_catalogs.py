"""Every string of a page, mail or error has its French; the build compiles it by itself."""

import gettext
import shutil
from pathlib import Path

import pytest

import build_catalogs

ROOT = Path(__file__).resolve().parents[2]
CATALOG = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

msgid "Stop"
msgstr "Arrêter"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one page and one module that say "Stop"."""
    catalog = tmp_path / "clinic" / "locale" / "fr" / "LC_MESSAGES" / "django.po"
    catalog.parent.mkdir(parents=True)
    catalog.write_text(CATALOG)
    page = tmp_path / "clinic" / "templates" / "page.html"
    page.parent.mkdir()
    page.write_text("{% load i18n %}<button>{% translate 'Stop' %}</button>")
    (tmp_path / "clinic" / "actions.py").write_text("raise ValueError(_('Stop'))\n")
    return tmp_path


def test_every_string_has_its_french() -> None:
    assert build_catalogs.catalogs(ROOT), "there is no catalog in clinic/locale"
    assert build_catalogs.missing(ROOT) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("templates/page.html", "{% load i18n %}{% blocktranslate %}Go on{% endblocktranslate %}"),
        ("actions.py", "gettext_lazy('Go on')\n"),
        ("actions.py", "ngettext('Go on', 'Go on %(n)s', n)\n"),
        ("actions.py", "pgettext('infusion', 'Go on')\n"),
    ],
)
def test_a_string_without_french_is_found(project: Path, file: str, text: str) -> None:
    assert build_catalogs.missing(project) == []
    (project / "clinic" / file).write_text(text)
    (line,) = build_catalogs.missing(project)
    assert "Go on" in line
    assert file in line


@pytest.mark.parametrize("translation", ['msgstr ""', '#, fuzzy\nmsgid "Stop"\nmsgstr "Stop"'])
def test_a_string_left_open_or_in_doubt_is_found(project: Path, translation: str) -> None:
    (catalog,) = build_catalogs.catalogs(project)
    if translation.startswith("#"):
        text = CATALOG.replace('msgid "Stop"\nmsgstr "Arrêter"', translation)
    else:
        text = CATALOG.replace('msgstr "Arrêter"', translation)
    catalog.write_text(text)
    assert len(build_catalogs.missing(project)) == 1


def test_the_build_compiles_what_a_page_then_says(project: Path) -> None:
    build_catalogs.compile_all(project)
    locale = project / "clinic" / "locale"
    assert gettext.translation("django", locale, ["fr"]).gettext("Stop") == "Arrêter"


def test_a_project_without_catalogs_builds_too(project: Path) -> None:
    shutil.rmtree(project / "clinic" / "locale")
    build_catalogs.compile_all(project)


def test_new_strings_are_taken_up_and_old_ones_let_go_of(project: Path) -> None:
    (project / "clinic" / "actions.py").write_text("_('Go on')\n")
    (project / "clinic" / "templates" / "page.html").unlink()
    build_catalogs.take_up(project)
    (catalog,) = build_catalogs.catalogs(project)
    first = catalog.read_text()
    assert 'msgid "Go on"' in first
    assert "Stop" not in first
    build_catalogs.take_up(project)
    assert catalog.read_text() == first
