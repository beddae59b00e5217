"""The command `signclip`: every room's commands by one name, from any folder."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import signclip
from app.__main__ import find_option_fault, find_url, resolve_folders
from app.banner import write_banner
from app.settings import ServiceSettings
from models.catalog import load_catalog
from processes.version import VERSION

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    """The command line and the environment as they were."""
    monkeypatch.setattr(sys, "argv", ["signclip"])
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))


@pytest.mark.parametrize("name", signclip.COMMANDS)
def test_every_command_describes_itself_by_its_own_name(name, capsys):
    with pytest.raises(SystemExit) as ended:
        signclip.main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: signclip {name} ")


@pytest.mark.parametrize("name", signclip.COMMANDS)
def test_every_command_says_its_version(name, capsys):
    with pytest.raises(SystemExit) as ended:
        signclip.main([name, "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"signclip {VERSION}\n"


def test_every_room_with_a_command_is_among_them():
    rooms = {path.parent.name for path in ROOT.glob("*/__main__.py")} - {"benchmarks"}
    assert {command.module.removesuffix(".__main__") for command in signclip.COMMANDS.values()} >= rooms


@pytest.mark.parametrize("name", signclip.COMMANDS)
def test_ctrl_c_ends_every_command_with_a_word(name, capsys, monkeypatch):
    """Most of the time until a command begins goes into its imports, where no room can catch the signal."""

    def stop(module):
        raise KeyboardInterrupt

    monkeypatch.setattr(signclip, "import_module", stop)
    assert signclip.main([name]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_help_lists_them(capsys):
    assert signclip.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, command in signclip.COMMANDS.items():
        assert f"  {name} " in shown
        assert command.task in shown
    assert signclip.main([]) == 2


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--prot=3", "there is no option --prot; did you mean --port?"),
        ("--modle", "did you mean --model?"),
        ("--xyzzy", "there is no option --xyzzy\n"),
    ],
)
def test_an_option_that_neither_serve_nor_gunicorn_has_is_refused(option, said, capsys, monkeypatch):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("gunicorn was started"))
    with pytest.raises(SystemExit) as ended:
        signclip.main(["serve", option])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_options_of_gunicorn_are_handed_on():
    further = ["--graceful-timeout", "5", "--bind=localhost:80", "-k", "x"]
    assert find_option_fault(further, argparse.ArgumentParser()) is None


def test_version(capsys):
    assert signclip.main(["--version"]) == 0
    assert capsys.readouterr().out == f"signclip {VERSION}\n"


@pytest.mark.parametrize(("given", "hint"), [("serv", "did you mean serve?"), ("xyz", "--help lists them")])
def test_what_is_no_command_is_refused_with_a_hint(given, hint, capsys):
    assert signclip.main([given]) == 2
    assert hint in capsys.readouterr().err


def test_a_command_whose_room_is_left_out_says_so(monkeypatch, capsys):
    """As in the image, which has what the service runs on and nothing else."""
    monkeypatch.setattr(signclip, "find_spec", lambda room: None)
    assert signclip.main(["train", "experiment.yaml"]) == 2
    assert "training/" in capsys.readouterr().err


def test_arguments_and_status_are_the_command_s(tmp_path, monkeypatch, capsys):
    seen = []

    def main(arguments):
        seen.append((arguments, sys.argv[0], os.environ["PYTHONPATH"].split(os.pathsep)[0]))
        return 7

    monkeypatch.setattr(import_module("poses.__main__"), "main", main)
    assert signclip.main(["poses", "inspect", "--help"]) == 7
    assert seen == [(["inspect", "--help"], "signclip poses", str(ROOT))]


def test_python_m_names_itself_as_before(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/somewhere/poses/__main__.py"])
    with pytest.raises(SystemExit):
        import_module("poses.__main__").main(["--help"])
    assert capsys.readouterr().out.startswith("usage: python -m poses ")


def test_make_install_makes_a_command_that_works_in_any_folder(tmp_path):
    """The packages are those of this interpreter; the rest is as `make install` does it."""
    environment = tmp_path / ".venv"
    (environment / "bin").mkdir(parents=True)
    python = environment / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    command = ["make", "--silent", f"VENV={environment}", f"{environment}/bin/signclip"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    elsewhere = tmp_path / "app"  # of the same name as a room
    elsewhere.mkdir()
    (elsewhere / "__init__.py").write_text("raise RuntimeError('the wrong app')\n")
    (tmp_path / "here.pose").write_bytes((ROOT / "samples" / "ase_A.pose").read_bytes())
    done = subprocess.run(
        [str(environment / "bin" / "signclip"), "poses", "inspect", "here.pose"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "21" in done.stdout


def test_folders_of_settings_count_from_where_the_user_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment = {"SIGNCLIP_WEIGHTS_DIR": "mine", "SIGNCLIP_HOST": "mine"}
    resolve_folders(environment)
    assert environment == {"SIGNCLIP_WEIGHTS_DIR": str(tmp_path / "mine"), "SIGNCLIP_HOST": "mine"}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://localhost:3030"),
        ("::", "http://localhost:3030"),
        ("10.1.2.3", "http://10.1.2.3:3030"),
        ("::1", "http://[::1]:3030"),
    ],
)
def test_the_address_is_one_that_can_be_called(host, url):
    assert find_url(ServiceSettings(host=host)) == url


def test_wrong_settings_end_the_start_with_a_sentence(monkeypatch, capsys):
    monkeypatch.setenv("SIGNCLIP_PORT", "many")
    assert import_module("app.__main__").main([]) == 2
    assert "SIGNCLIP_PORT is 'many'" in capsys.readouterr().err


def test_the_banner_says_what_fits_the_model_and_the_keys():
    catalog = load_catalog()
    small = write_banner("http://h:1", catalog["fingerspelling"], version="9", needs_key=False)
    assert "signclip models download default" in small
    assert "http://h:1/ " in small
    assert "Bearer" not in small
    large = write_banner("http://h:1", catalog["default"], version="9", needs_key=True)
    assert "download" not in large
    assert "Bearer KEY" in large
    assert "41 sign languages" in large
