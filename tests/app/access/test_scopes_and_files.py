"""Keys in a file: what a line says, what a key opens, and what happens when the file changes while the service runs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.access import keyring as keyring_module
from app.access.__main__ import main
from app.access.keyring import SCOPES, Key, Keyring, KeysError, digest_key, normalize_limit, read_keys, read_line
from app.access.keys import find_scope
from app.settings import load_settings
from processes.environment import build_environment
from processes.settings import SettingsError
from tests.engine.fakes import until

DIGEST = digest_key("right-key").hex()


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file at every request."""
    monkeypatch.setattr(keyring_module, "_LOOK_S", 0.0)


def test_a_line_says_who_what_and_how_much():
    key = read_line(f"alice {DIGEST} scopes=embed,search_read requests=10/second;600/minute items=1000/hour")
    assert key == Key(
        "alice", bytes.fromhex(DIGEST), frozenset({"embed", "search_read"}), "10/second;600/minute", "1000/hour"
    )
    assert read_line(key.write_line()) == key
    assert read_line(f"bob {DIGEST}").scopes == frozenset(SCOPES)
    assert key.opens("embed")
    assert not key.opens("search_write")
    assert read_line(f"root {DIGEST} scopes=admin").opens("search_write")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alice", "no SHA-256"),
        (f"{DIGEST}", "no SHA-256"),
        ("alice right-key", "no SHA-256"),
        (f"a/b {DIGEST}", "no name"),
        (f"alice {DIGEST.upper()}", "no SHA-256"),
        (f"alice {DIGEST} scopes=all", "all is no scope"),
        (f"alice {DIGEST} scopes=", "not one of"),
        (f"alice {DIGEST} scopes=embed scopes=admin", "each once"),
        (f"alice {DIGEST} requests=many", "no limit"),
        (f"alice {DIGEST} items=0/hour", "no limit"),
        (f"alice {DIGEST} colour=red", "not one of"),
    ],
)
def test_what_is_wrong_with_a_line_is_named_with_its_number(tmp_path, line, message):
    file = write(tmp_path / "keys", "# a comment", "", line)
    with pytest.raises(KeysError, match=message) as caught:
        read_keys(file)
    assert "line 3" in str(caught.value)


def test_a_file_without_keys_opens_nothing(tmp_path):
    for file in (write(tmp_path / "empty"), tmp_path / "absent", write(tmp_path / "comment", "# alice")):
        with pytest.raises(KeysError):
            Keyring([], file)
    with pytest.raises(KeysError, match="already"):
        Keyring([], write(tmp_path / "twice", f"a {DIGEST}", f"a {DIGEST}"))


def test_keys_come_and_go_without_a_restart_and_a_broken_file_changes_nothing(tmp_path, make_client, now, caplog):
    file = write(tmp_path / "keys", f"alice {DIGEST}")
    client = make_client(api_keys_file=file)

    def ask(key: str) -> int:
        return client.get("/api/models", headers={"X-API-Key": key}).status_code

    assert (ask("right-key"), ask("next-key")) == (200, 401)
    write(file, f"alice {DIGEST}", f"bob {digest_key('next-key').hex()}")
    assert (ask("right-key"), ask("next-key")) == (200, 200)
    for broken in ("bob", ""):
        write(file, f"bob {digest_key('next-key').hex()}", broken * 2)
        if broken:
            assert (ask("right-key"), ask("next-key")) == (200, 200)
            assert "the keys stay as they were" in caplog.text
    assert (ask("right-key"), ask("next-key")) == (401, 200)
    file.unlink()
    assert ask("next-key") == 200


@pytest.mark.parametrize(
    ("rule", "method", "scope"),
    [
        ("/api/embed/text", "POST", "embed"),
        ("/v1/models", "GET", "embed"),
        ("/api/collections/<name>", "GET", "search_read"),
        ("/api/collections/<name>", "DELETE", "search_write"),
        ("/api/collections/<name>/entries", "POST", "search_write"),
        ("/api/collections/<name>/entries:import", "POST", "search_write"),
        ("/api/collections/<name>/search", "POST", "search_read"),
        ("/api/collections/<name>/report", "POST", "search_read"),
        ("/api/collections/<name>/fit", "POST", "search_write"),
        ("/api/search", "POST", "search_read"),
        ("/metrics", "GET", "admin"),
    ],
)
def test_what_a_route_needs(rule, method, scope):
    assert find_scope(rule, method) == scope


def test_403_a_key_that_does_not_open_a_route(tmp_path, make_client, caplog):
    caplog.set_level(logging.INFO)
    client = make_client(api_keys_file=write(tmp_path / "keys", f"alice {DIGEST} scopes=embed"))
    headers = {"X-API-Key": "right-key"}
    assert client.post("/api/embed/text", json={"text": "sun"}, headers=headers).status_code == 200
    answer = client.get("/metrics", headers=headers)
    assert (answer.status_code, answer.json["code"]) == (403, "scope_missing")
    assert "'alice'" in answer.json["detail"]
    assert [record.key for record in caplog.records if record.name == "signclip.access"] == ["alice", "alice"]
    assert "right-key" not in caplog.text


def test_counters_name_the_key_and_never_show_it(tmp_path, make_client):
    client = make_client(api_keys_file=write(tmp_path / "keys", f"alice {DIGEST}"))
    headers = {"Authorization": "Bearer right-key"}
    client.post("/api/embed/text", json={"text": ["sun", "moon"]}, headers=headers)
    page = client.get("/metrics", headers=headers).text
    assert 'signclip_key_requests_total{key="alice",status="200"} 1.0' in page
    assert 'signclip_key_items_total{key="alice"} 2.0' in page
    assert "right-key" not in page
    assert DIGEST not in page


def test_many_wrong_keys_close_the_door_for_a_while(make_client):
    client = make_client(api_keys=(SecretStr("right-key"),))
    for number in range(20):
        assert client.get("/api/models", headers={"X-API-Key": f"guess-{number}"}).status_code == 401
    assert client.get("/api/models").status_code == 429
    answer = client.get("/api/models", headers={"X-API-Key": "right-key"})
    assert (answer.status_code, answer.json["code"]) == (429, "quota_exceeded")
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    other = client.get("/api/models", headers={"X-API-Key": "right-key"}, environ_base={"REMOTE_ADDR": "10.9.8.7"})
    assert other.status_code == 200


@pytest.mark.parametrize("value", ["", " ", ",", " , "])
@pytest.mark.parametrize(("name", "fault"), [("API_KEYS", "holds no key"), ("API_KEYS_FILE", "names no file")])
def test_keys_that_are_set_and_empty_are_no_open_door(monkeypatch, name, fault, value):
    monkeypatch.setenv(f"SIGNCLIP_{name}", value)
    with pytest.raises(SettingsError, match=f"SIGNCLIP_{name} is set and {fault}"):
        load_settings()


@pytest.mark.parametrize("value", ["schlüssel", "with blank", "eight\x7fbytes"])
def test_keys_that_no_header_carries_are_refused_and_not_shown(monkeypatch, value):
    monkeypatch.setenv("SIGNCLIP_API_KEYS", value)
    with pytest.raises(SettingsError, match="a header field cannot carry") as caught:
        load_settings()
    assert value not in str(caught.value)


def test_child_processes_do_not_get_the_keys(monkeypatch):
    monkeypatch.setenv("SIGNCLIP_API_KEYS", "right-key")
    monkeypatch.setenv("SIGNCLIP_RATE_STORE", "redis://:password@host")
    monkeypatch.setenv("SIGNCLIP_SEARCH_DIR", "postgresql://me:password@host/x")
    monkeypatch.setenv("PGPASSWORD", "password")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "password")
    monkeypatch.setenv("SIGNCLIP_THREADS", "3")
    found = build_environment(TMPDIR="/x")
    assert (found["TMPDIR"], found["SIGNCLIP_THREADS"]) == ("/x", "3")
    assert not [name for name, value in found.items() if "right-key" in value or "password" in value]


def test_the_command_adds_lists_and_revokes(tmp_path, capsys):
    file = tmp_path / "etc" / "keys"

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["--file", str(file), *arguments])
        return (status, *capsys.readouterr())

    status, key, _ = run("add", "alice", "--scopes", "embed", "--requests", "5/minute", "--items", "100/hour")
    assert status == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert key.strip() not in file.read_text()
    found = Keyring([], file).find(key.strip())
    assert found == Key("alice", digest_key(key.strip()), frozenset({"embed"}), "5/minute", "100/hour")
    assert run("add", "alice")[0] == 1
    assert run("add", "bob", "--scopes", "none")[0] == 1
    assert run("list")[1] == "alice scopes=embed requests=5/minute items=100/hour\n"
    assert run("revoke", "alice")[0] == 0
    assert run("revoke", "alice")[0] == 1
    assert run("list")[1] == ""
    assert main(["list"]) == 2


@pytest.mark.parametrize(
    ("given", "written"),
    [("10 per 5 minutes", "10/5minute"), ("600 / minute", "600/minute"), ("10/second; 600/hour", "10/second;600/hour")],
)
def test_a_limit_is_written_without_blanks_which_part_the_words_of_the_file(tmp_path, given, written):
    file = tmp_path / "keys"
    assert main(["--file", str(file), "add", "alice", "--requests", given, "--items", given]) == 0
    assert read_keys(file)["alice"].rate_limit == read_keys(file)["alice"].item_limit == written
    assert normalize_limit(written) == written


def test_a_wrong_limit_is_explained(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--file", str(tmp_path / "keys"), "add", "alice", "--requests", "many"])
    assert "'many' is no limit; write one as 600/minute" in capsys.readouterr().err


def test_no_route_of_collections_opens_by_the_scope_of_vectors(client):
    reading = {"/search", "/report"}
    rules = [rule for rule in client.application.url_map.iter_rules() if rule.rule.startswith("/api/collections")]
    assert len(rules) > 8
    for rule in rules:
        for method in (rule.methods or set()) - {"OPTIONS"}:
            reads = method in ("GET", "HEAD") or any(rule.rule.endswith(end) for end in reading)
            assert find_scope(rule.rule, method) == ("search_read" if reads else "search_write"), (rule.rule, method)


def test_the_command_keeps_the_owner_of_the_file_and_its_rights(tmp_path, capsys):
    # The service is another user than the one who changes the keys. It must still be able to read them.
    file = tmp_path / "keys"
    assert main(["--file", str(file), "add", "alice"]) == 0
    groups = [*os.getgroups(), *([10001] if os.geteuid() == 0 else [])]
    other = next((group for group in groups if group != file.stat().st_gid), None)
    if other is None:
        pytest.skip("this user is in one group alone")
    os.chown(file, -1, other)
    file.chmod(0o640)
    assert main(["--file", str(file), "add", "bob"]) == 0
    assert main(["--file", str(file), "revoke", "alice"]) == 0
    assert (file.stat().st_gid, file.stat().st_mode & 0o777) == (other, 0o640)
    assert list(read_keys(file)) == ["bob"]


def test_a_file_whose_rights_are_set_right_is_read(tmp_path, monkeypatch, now):
    file = write(tmp_path / "keys", f"alice {DIGEST}")
    keyring = Keyring([], file)

    def refuse(path: Path) -> None:
        raise KeysError(f"{path} cannot be read")

    with monkeypatch.context() as patched:
        patched.setattr(keyring_module, "read_keys", refuse)
        write(file, f"bob {digest_key('next-key').hex()}")
        assert keyring.find("next-key") is None

    def is_found_after_a_change_of_rights() -> bool:
        file.chmod(0o640)
        return keyring.find("next-key") is not None

    until(is_found_after_a_change_of_rights, patience_s=10)
    assert keyring.find("right-key") is None


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [("embed", (403, "scope_missing")), ("embed,search_read", (404, "collection_unknown"))],
)
@pytest.mark.parametrize("path", ["/api/classify", "/api/spot"])
def test_what_a_collection_holds_is_shown_to_keys_that_may_read_it(
    tmp_path, make_client, pose_base64, path, scopes, expected
):
    client = make_client(api_keys_file=write(tmp_path / "keys", f"alice {DIGEST} scopes={scopes}"))
    headers = {"X-API-Key": "right-key"}
    answer = client.post(path, json={"pose": pose_base64, "collection": "signs"}, headers=headers)
    assert (answer.status_code, answer.json["code"]) == expected
    labels = {"pose": pose_base64, "labels": ["house", "sun"]}
    assert client.post("/api/classify", json=labels, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [("embed,search_read", (403, "scope_missing")), ("search_write", (404, "collection_unknown"))],
)
def test_a_probe_is_kept_beside_a_collection_by_keys_that_may_change_it(tmp_path, make_client, scopes, expected):
    client = make_client(api_keys_file=write(tmp_path / "keys", f"alice {DIGEST} scopes={scopes}"))
    answer = client.post("/api/collections/signs/fit", headers={"X-API-Key": "right-key"})
    assert (answer.status_code, answer.json["code"]) == expected
