"""What the pages say is there: commands, variables, files, links; what is there has its page."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from kap import cli

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
INDEX = ROOT / "docs" / "README.md"
DECISIONS = ROOT / "docs" / "decisions"
FRAGMENTS = ROOT / "changelog.d"
# The front doors: what they name must be there today.
FRONT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SAFETY.md", "SECURITY.md")]
HEADINGS = ("Context", "Decision", "Consequences", "Refused")
READERS = ("For clinic staff", "For developers")

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`([^`\n]+)`")
NAMED_FILE = re.compile(r"^[\w.-]+(?:/[\w.@-]+)*/[\w-]+\.(?:py|toml|md|json|js|css|txt)$|^[\w-]+/$")
READ_VARIABLE = re.compile(r"(?:text|flag|choice|environ\.get)\(\s*\"([A-Z_]+)\"")
DEPENDENCY = re.compile(r"^[\w-]+")


def pages() -> list[Path]:
    """Return every page of the repository that a reader may open."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *FRAGMENTS.glob("*.md")]


def shell_lines(text: str) -> list[str]:
    """Return what a page says to type: indented lines and code in backticks."""
    indented = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return [line.split("#")[0].strip() for line in [*indented, *CODE.findall(text)]]


def called(text: str, program: str) -> set[str]:
    """Return the commands of `program` (make, kap, clinic) that a page says to type."""
    calls = re.compile(rf"^(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?{program} ([a-z][\w-]*)")
    return {match[1] for line in shell_lines(text) if (match := calls.match(line))}


def is_kap_command(name: str) -> bool:
    try:
        cli.main([name, "--help"])
    except SystemExit as ended:
        return ended.code == 0
    return False


# -- commands --------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", FRONT, ids=lambda page: page.name)
def test_each_command_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert called(text, "make") <= targets
    # What `clinic.commands` answers by itself, before there are settings.
    assert called(text, "clinic") <= {"roles-sql", *get_commands()}
    assert {name for name in called(text, "kap") if not is_kap_command(name)} == set()


def test_a_command_that_is_not_there_would_be_found() -> None:
    text = "    PORT=1 make nonsense  # does it\nor `.venv/bin/clinic nothing` and `kap nowhere`"
    assert called(text, "make") == {"nonsense"}
    assert called(text, "clinic") == {"nothing"}
    assert called(text, "kap") == {"nowhere"}
    assert not is_kap_command("nowhere")
    assert called(README.read_text(), "make") >= {"demo", "test"}


def test_the_first_answer_is_the_one_that_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    lines = shell_lines(README.read_text())
    asked = next(line for line in lines if line.startswith(".venv/bin/kap screen"))
    printed = next(line for line in lines if line.startswith("SCREENING")).removesuffix("...")
    assert cli.main(asked.split()[1:]) == 0
    assert capsys.readouterr().out.startswith(printed)


# -- the environment -------------------------------------------------------------------------------


def variables_read() -> set[str]:
    """Return the variables that the program reads."""
    sources = [path.read_text() for path in (ROOT / "clinic").rglob("*.py")]
    return {name for source in sources for name in READ_VARIABLE.findall(source)}


def variables_told(text: str) -> set[str]:
    """Return the variables of a page's table."""
    return set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE))


def test_each_variable_is_in_the_readme_and_each_one_there_is_read() -> None:
    told, read = variables_told(README.read_text()), variables_read()
    assert {"not told": read - told, "not read": told - read} == {
        "not told": set(),
        "not read": set(),
    }


def test_a_variable_nobody_reads_would_be_found() -> None:
    assert variables_told("| `NO_SUCH_THING` | 1 | nothing |") == {"NO_SUCH_THING"}
    assert "NO_SUCH_THING" not in variables_read()
    assert {"PORT", "DATABASE_URL", "CLINIC_MODE", "DEBUG"} <= variables_read()


# -- links and files -------------------------------------------------------------------------------


def linked(page: Path) -> Iterator[Path]:
    """Yield what a page links to inside the repository."""
    for target in LINK.findall(page.read_text()):
        yield (page.parent / target).resolve()


def is_of_the_tour(path: Path) -> bool:
    return path.parent == ROOT / "docs" / "tour"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    dead = {str(path) for path in linked(page) if not path.exists() and not is_of_the_tour(path)}
    assert dead == set()


def test_the_tour_has_a_picture_of_each_step() -> None:
    pictures = [path for path in linked(README) if is_of_the_tour(path)]
    assert [path.name[0] for path in pictures] == [str(step) for step in range(1, 10)]
    assert {path.name for path in pictures if not path.exists()} == set(), "run `make tour`"


def test_a_dead_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[here](no/such.md#part), [there](https://example.org/x), ![it](pic.png)")
    assert list(linked(page)) == [tmp_path / "no" / "such.md", tmp_path / "pic.png"]


def reached(start: Path) -> set[Path]:
    """Return every page that a reader comes to from `start`."""
    seen, ahead = {start}, [start]
    while ahead:
        for path in linked(ahead.pop()):
            found = path / "README.md" if path.is_dir() else path
            if found.suffix == ".md" and found.is_file() and found not in seen:
                seen.add(found)
                ahead.append(found)
    return seen


def test_a_reader_comes_to_every_page_from_the_readme() -> None:
    public = {page for page in pages() if page.parent != FRAGMENTS}
    assert {str(page.relative_to(ROOT)) for page in public - reached(README)} == set()


def test_a_page_that_nobody_links_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("[b](b.md)")
    (tmp_path / "b.md").write_text("the end")
    (tmp_path / "c.md").write_text("alone")
    assert reached(tmp_path / "a.md") == {tmp_path / "a.md", tmp_path / "b.md"}


def files_named(text: str) -> set[str]:
    """Return the files and folders that a page names in backticks."""
    return {name for name in CODE.findall(text) if NAMED_FILE.match(name)}


def is_there(name: str) -> bool:
    """Return whether a file is there; `var/` and `.venv/` are made by the program."""
    return (ROOT / name).exists() or name in {"var/", ".venv/"}


@pytest.mark.parametrize("page", FRONT, ids=lambda page: page.name)
def test_each_file_that_a_front_page_names_is_there(page: Path) -> None:
    assert {name for name in files_named(page.read_text()) if not is_there(name)} == set()


def test_a_file_that_is_not_there_would_be_found() -> None:
    assert files_named("`kap/none.py`, `kap.none`, `clinic/` and `a b/c.py`") == {
        "kap/none.py",
        "clinic/",
    }
    assert not is_there("kap/none.py")


# -- decisions -------------------------------------------------------------------------------------


def missing_headings(text: str) -> list[str]:
    """Return the parts that a page of decision lacks."""
    return [name for name in HEADINGS if not re.search(rf"^\*\*{name}\.\*\* ", text, re.MULTILINE)]


def decisions() -> list[Path]:
    return [page for page in sorted(DECISIONS.glob("*.md")) if page.name != "README.md"]


@pytest.mark.parametrize("page", decisions(), ids=lambda page: page.stem)
def test_each_decision_has_its_four_parts_and_its_row(page: Path) -> None:
    assert re.match(r"\d{4}-\d\d-\d\d-[a-z0-9-]+$", page.stem)
    assert missing_headings(page.read_text()) == []
    assert f"](decisions/{page.name})" in INDEX.read_text()


def test_a_decision_without_reasons_would_be_found() -> None:
    assert missing_headings("**Context.** a\n\n**Decision.** b") == ["Consequences", "Refused"]
    assert len(decisions()) > 20


def dependencies() -> set[str]:
    """Return every package that an installation or a developer gets."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [project["dependencies"], *project["optional-dependencies"].values()]
    return {match[0] for group in listed for line in group if (match := DEPENDENCY.match(line))}


def unexplained(packages: set[str], text: str) -> set[str]:
    """Return the packages that `text` does not name."""
    return {name for name in packages if not re.search(rf"(?<![\w-]){name}(?![\w])", text, re.I)}


def test_each_package_is_there_for_a_reason_that_is_written_down() -> None:
    assert unexplained(dependencies(), "\n".join(page.read_text() for page in decisions())) == set()


def test_a_package_without_a_reason_would_be_found() -> None:
    assert unexplained({"numpy", "leftpad"}, "We take NumPy because") == {"leftpad"}
    assert "numpy" in dependencies()


# -- wording ---------------------------------------------------------------------------------------

# What nobody may say of it; in quotation marks it is spoken about, not claimed.
CLAIMS = re.compile(
    r"approved|certified(?! (?:bedside )?monitor)|medical[- ]grade|compliant with|no data loss"
    r"|is (?:completely |fully )?safe\b",
    re.IGNORECASE,
)
QUOTED = re.compile(r"\"[^\"\n]*\"")


def claims(text: str) -> list[str]:
    """Return what a page claims and nobody has tested."""
    return CLAIMS.findall(QUOTED.sub("", text))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_claims_what_nobody_has_tested(page: Path) -> None:
    assert claims(page.read_text()) == []


def test_a_claim_would_be_found() -> None:
    assert claims("It is safe, approved and certified.") == ["is safe", "approved", "certified"]
    assert claims('not a substitute for a certified monitor; never say "approved"') == []


def test_the_first_page_says_what_it_is_not() -> None:
    said = " ".join(README.read_text().split())
    assert "Not licensed as a medical device; not a substitute for a certified monitor" in said
    assert "protocols ship unsigned" in said
    assert "nothing in this repository has been reviewed by a clinician" in said


# -- what changed ----------------------------------------------------------------------------------


def readers(text: str) -> list[str]:
    """Return the headings of a changelog fragment."""
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def fragments() -> list[Path]:
    return [page for page in sorted(FRAGMENTS.glob("*.md")) if page.name != "README.md"]


@pytest.mark.parametrize("page", fragments(), ids=lambda page: page.stem)
def test_a_fragment_speaks_to_clinic_staff_first(page: Path) -> None:
    assert tuple(readers(page.read_text())) == READERS


def test_a_fragment_for_developers_alone_would_be_found() -> None:
    assert tuple(readers("## For developers\n\n* x")) != READERS
