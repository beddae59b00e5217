"""The demonstration's collection: the letters of 19 alphabets, stored by command."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from dataclasses import replace

import pytest

from dictionary import demo
from dictionary.__main__ import main
from dictionary.errors import ServiceError
from search.entries import check_entry_id
from search.opening import open_store
from search.settings import SearchSettings


def test_the_letters_are_those_of_19_languages():
    letters, skipped = demo.list_letters()
    languages = Counter(letter.sign_language for letter in letters)
    assert (len(letters), len(languages)) == (600, 19)
    assert {note.reason for note in skipped} == {"a copy of American Sign Language under another tag"}
    assert len({letter.id for letter in letters}) == 600
    for letter in letters:
        check_entry_id(letter.id)
    assert letters[0].path.is_file()


def test_the_command_stores_them_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    letters, skipped = demo.list_letters()
    chosen = [letter for letter in letters if letter.id in ("ase-A", "ase-B", "gsg-A", "gsg-B")]
    assert len(chosen) == 4
    monkeypatch.setattr("dictionary.__main__.list_letters", lambda: (chosen[:2], skipped))
    monkeypatch.setenv("SIGNCLIP_SEARCH_DIR", str(tmp_path))
    monkeypatch.setenv("SIGNCLIP_SEARCH_MAINTAIN_S", "0")
    assert main(["demo"]) == 0
    monkeypatch.setattr("dictionary.__main__.list_letters", lambda: (chosen, skipped))
    assert main(["demo"]) == 0
    assert "stored in alphabets, 2 were there, 0 failed" in capsys.readouterr().out
    store = open_store(SearchSettings(dir=str(tmp_path), maintain_s=0))
    columns = store.read_columns(demo.COLLECTION)
    assert list(columns.ids) == sorted(letter.id for letter in chosen)
    found = dict(zip(columns.ids, zip(columns.glosses, columns.sign_languages, strict=True), strict=True))
    assert found["ase-A"] == ("A", "ase")


class _Service(http.server.BaseHTTPRequestHandler):
    answers: list[int] = []

    def do_GET(self):
        self.send_response(self.answers.pop(0))
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_it_waits_until_the_service_is_ready(monkeypatch):
    monkeypatch.setattr(demo, "_PAUSE_S", 0.001)
    monkeypatch.setattr(_Service, "answers", [503, 503, 200])
    with http.server.HTTPServer(("127.0.0.1", 0), _Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        demo.wait_until_ready(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    assert _Service.answers == []
    monkeypatch.setattr(demo, "_READY_WITHIN_S", 0.003)
    with pytest.raises(ServiceError, match="not ready"):
        demo.wait_until_ready(f"http://127.0.0.1:{server.server_port}")


def test_it_uses_a_key_of_the_service(monkeypatch):
    monkeypatch.delenv("SIGNCLIP_API_KEYS", raising=False)
    assert demo.find_service_key() is None
    monkeypatch.setenv("SIGNCLIP_API_KEYS", " first-key, second-key")
    assert demo.find_service_key() == "first-key"


def test_what_fails_is_printed_because_the_folder_of_a_service_cannot_be_written(tmp_path, monkeypatch, capsys):
    letters, skipped = demo.list_letters()
    broken = tmp_path / "broken.pose"
    broken.write_bytes(b"no pose")
    chosen = [letters[0], replace(letters[1], path=broken)]
    monkeypatch.setattr("dictionary.__main__.list_letters", lambda: (chosen, skipped))
    monkeypatch.setenv("SIGNCLIP_SEARCH_DIR", str(tmp_path / "search"))
    monkeypatch.setenv("SIGNCLIP_SEARCH_MAINTAIN_S", "0")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["demo"]) == 1
    said = capsys.readouterr()
    assert "1 clips stored in alphabets, 0 were there, 1 failed" in said.out
    assert f"{letters[1].id}: " in said.err
    assert list((tmp_path / "here").iterdir()) == []
