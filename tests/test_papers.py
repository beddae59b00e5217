"""What the pages for people name is there: files, links, modules, targets of make."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [path for pattern in ("*.md", "docs/*.md", "weights/**/README.md") for path in sorted(ROOT.glob(pattern))]
# Names in these folders are names of this repository's files, but for what commands write there.
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"data", "runs", "weights", ".venv"}
WRITTEN = {"app/playground/vendor/", "benchmarks/results/", "deploy/keys/keys", "poses/failures.csv"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_it_names_are_there(page: Path) -> None:
    quoted = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    named = {name for name in quoted if "/" in name and name.partition("/")[0] in FOLDERS} - WRITTEN
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_files_the_notice_names_are_there() -> None:
    headings = re.findall(r"^(?=\w+/)(\S.*)$", (ROOT / "NOTICE").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) >= 6
    for pattern in (pattern for heading in headings for pattern in heading.split(", ")):
        assert list(ROOT.glob(pattern)), pattern


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_it_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module in set(re.findall(r"python -m ([\w.]+)", text)):
        assert find_spec(module) is not None, module
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_room_is_in_the_table_of_rooms() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE))
    assert named == {path.parent.name for path in ROOT.glob("*/__init__.py")}
