"""What a command prints when it fails: a sentence with the file, and no number of the operating system."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import app.access.__main__ as keys
import bulk.__main__ as bulk
import corpora.__main__ as corpora
import dictionary.__main__ as dictionary
import evaluation.report as report
import poses.__main__ as poses
import training.__main__ as training
import video.__main__ as video
from processes.commands import print_error
from processes.os_errors import describe_error, describe_reason


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "/x: No such file or directory"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", b"/x"), "/x: No such file or directory"),
        (OSError(errno.EXDEV, "Invalid cross-device link", "/a", None, "/b"), "/a and /b: Invalid cross-device link"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EIO, "Input/output error", 7), "Input/output error"),
        (OSError("no answer"), "no answer"),
        (ValueError("a.xyz: the suffix must be .gif"), "a.xyz: the suffix must be .gif"),
    ],
)
def test_an_error_is_said_without_numbers(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert describe_error(error) == said
    print_error(error)
    assert capsys.readouterr().err == f"error: {said}\n"


def test_the_reason_alone_names_no_file() -> None:
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")
    assert describe_reason(error) == "No such file or directory"
    assert describe_reason(OSError("no answer")) == "no answer"
    assert describe_reason(ValueError("no number")) == "no number"


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (poses.main, ["inspect", "{missing}"]),
        (video.main, ["view", "{missing}", "--out", "a.gif"]),
        (report.main, ["{missing}", "--out", "report"]),
        (bulk.main, ["{folder}", "--model", "fingerspelling", "--out", "{file}"]),
        (corpora.main, ["stats", "manifest", "{missing}"]),
        (keys.main, ["--file", "{folder}", "list"]),
        (training.main, ["{missing}.yaml"]),
        (dictionary.main, ["calibrate", "fingerspelling", "{folder}", "--texts", "{missing}"]),
    ],
)
def test_commands_name_the_file_and_no_number(main, arguments, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.touch()
    folder.mkdir()
    (folder / "clip.pose").touch()
    places = {"missing": tmp_path / "missing", "file": file, "folder": folder}
    assert main([word.format(**places) for word in arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Errno" not in said
    assert os.fspath(tmp_path) in said


@pytest.mark.parametrize("command", [["list"], ["revoke", "alice"]])
def test_a_keys_file_that_is_not_there_is_not_made_by_looking_at_it(command, tmp_path: Path, capsys) -> None:
    file = tmp_path / "new" / "keys"
    assert keys.main(["--file", str(file), *command]) == 1
    assert f"{file} is not there; signclip keys add NAME makes it" in capsys.readouterr().err
    assert not file.parent.exists()
    assert keys.main(["--file", str(file), "add", "alice"]) == 0
    assert keys.main(["--file", str(file), "revoke", "alice"]) == 0
    capsys.readouterr()
    assert keys.main(["--file", str(file), "list"]) == 0
    assert f"there is no key in {file}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (bulk.main, ["{missing}", "--model", "fingerspelling", "--out", "{folder}", "--sign-language", "klingon"]),
        (dictionary.main, ["index", "{missing}", "signs", "--sign-language", "klingon"]),
    ],
)
def test_a_language_that_no_model_knows_is_warned_of(main, arguments, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SIGNCLIP_SEARCH_DIR", str(tmp_path / "search"))
    places = {"missing": tmp_path / "missing", "folder": tmp_path / "out"}
    words = [word.format(**places) for word in arguments]
    assert main(words) == 1
    assert "warning: --sign-language: there is no sign language 'klingon'" in capsys.readouterr().err
    assert main([*words[:-1], "asl"]) == 1
    assert "warning" not in capsys.readouterr().err
