"""What is written beside metrics: equal data have equal digests, and other data have others."""

import stat
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from corpora.examples import Example
from evaluation.provenance import describe_examples, describe_software, read_training_record
from processes.version import VERSION


@pytest.fixture
def examples(tmp_path):
    (tmp_path / "a.pose").write_bytes(b"1234")
    return [
        Example("a", tmp_path / "a.pose", "house", "house", "test", "en", "ase"),
        Example("b", tmp_path, "A", "A", ""),
    ]


def test_the_digest_follows_the_data_and_not_its_place(examples, tmp_path):
    before = describe_examples(examples)
    assert before["clips"] == 2
    moved = tmp_path / "elsewhere" / "b.pose"
    moved.parent.mkdir()
    moved.write_bytes(b"abcd")
    assert describe_examples([replace(examples[0], path=moved), examples[1]]) == before


@pytest.mark.parametrize("change", [{"text": "sun"}, {"sign_language": "gsg"}, {"start_s": 0.5}, {"split": "val"}])
def test_another_row_is_another_digest(examples, change):
    changed = [replace(examples[0], **change), examples[1]]
    assert describe_examples(changed)["sha256"] != describe_examples(examples)["sha256"]


def test_another_file_or_order_is_another_digest(examples):
    before = describe_examples(examples)["sha256"]
    assert describe_examples(examples[::-1])["sha256"] != before
    examples[0].path.write_bytes(b"12345")
    assert describe_examples(examples)["sha256"] != before


def test_a_folder_has_no_size_because_file_systems_differ(examples, monkeypatch):
    before = describe_examples(examples)["sha256"]
    sizes = iter(range(60, 1000, 20))  # as tmpfs counts what lies in a folder
    ask = Path.stat

    def count(path, **options):
        found = ask(path, **options)
        if not stat.S_ISDIR(found.st_mode):
            return found
        return SimpleNamespace(st_mode=found.st_mode, st_size=next(sizes))

    monkeypatch.setattr(Path, "stat", count)
    assert describe_examples(examples)["sha256"] == before
    assert describe_examples(examples)["sha256"] == before


def test_software_has_version_and_commit():
    software = describe_software()
    assert software["signclip"] == VERSION
    assert {"commit", "python", "torch", "numpy"} <= software.keys()


@pytest.mark.parametrize("content", [None, "[", "3"])
def test_a_folder_that_does_not_say_how_its_model_was_trained(tmp_path, content):
    if content is not None:
        (tmp_path / "training.yaml").write_text(content)
    assert read_training_record(tmp_path) is None
