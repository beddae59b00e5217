"""The version is stated once, and every command and page shows it."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from processes.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
ROOMS = [
    "app",
    "bulk",
    "corpora",
    "dictionary",
    "engine",
    "evaluation",
    "models",
    "poses",
    "search",
    "training",
    "video",
]


@pytest.mark.parametrize("room", ROOMS)
def test_commands_print_it(room: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        import_module(f"{room}.__main__").main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"signclip {VERSION}\n"


def test_every_command_line_is_among_them() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__main__.py")} - {"benchmarks"} == set(ROOMS)


def test_packaging_reads_it_from_the_code() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["dynamic"] == ["version"]
    assert settings["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "processes.version.VERSION"}


def test_the_changelog_has_its_section() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(VERSION)} - \d{{4}}-\d\d-\d\d", headings[1])
