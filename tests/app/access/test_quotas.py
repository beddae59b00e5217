"""Rate limits: exact across processes, by key or address, in requests and items; and whose word on that counts."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from limits import parse
from limits.errors import StorageError
from pydantic import SecretStr

from app.access import counts as counts_module
from app.access import limit_storage
from app.access.counts import FILE_VARIABLE, Counts
from app.access.keyring import digest_key
from app.access.limit_storage import SharedMemoryStorage
from app.access.proxies import TrustedProxies
from app.settings import load_settings
from processes.settings import SettingsError
from tests.engine.fakes import until
from tests.processes.turn_tasks import hands_its_turn_on
from tests.running import ROOT, free_port

TEXT = "/api/embed/text"


def test_requests_of_one_address_are_limited_and_say_how_much_is_left(make_client):
    client = make_client(rate_limit="3/minute")
    for left in (2, 1, 0):
        answer = client.post(TEXT, json={"text": "sun"})
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Limit"] == "3"
        assert answer.headers["RateLimit-Policy"] == "3;w=60"
        assert answer.headers["RateLimit-Remaining"] == str(left)
        assert 0 <= int(answer.headers["RateLimit-Reset"]) <= 61
    answer = client.post(TEXT, json={"text": "sun"})
    assert (answer.status_code, answer.json["code"]) == (429, "quota_exceeded")
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert 1 <= int(answer.headers["Retry-After"]) <= 62
    assert client.get("/healthz").status_code == 200
    assert "RateLimit-Limit" not in client.get("/healthz").headers
    assert client.post(TEXT, json={"text": "sun"}, environ_base={"REMOTE_ADDR": "10.0.0.9"}).status_code == 200


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        # One customer of IPv6 is one caller.
        (("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"), [200, 429, 200]),
        # Clients of IPv4 on a socket of IPv6 are callers of their own.
        (("::ffff:10.0.0.1", "::ffff:10.0.0.2", "10.0.0.1"), [200, 200, 429]),
    ],
)
def test_a_caller_is_who_has_the_address(make_client, addresses, expected):
    client = make_client(rate_limit="1/minute")
    statuses = [client.get("/api/models", environ_base={"REMOTE_ADDR": address}).status_code for address in addresses]
    assert statuses == expected


def test_items_are_charged_after_the_answer_and_refused_once_they_are_used_up(make_client):
    client = make_client(item_limit="5/hour")
    assert client.post(TEXT, json={"text": ["a", "b", "c"]}).headers["RateLimit-Remaining"] == "5"
    assert client.post(TEXT, json={"text": ["d", "e", "f"]}).status_code == 200  # began within the limit
    answer = client.post(TEXT, json={"text": "g"})
    assert (answer.status_code, answer.json["code"]) == (429, "quota_exceeded")
    assert "5 items" in answer.json["detail"]


def test_a_key_has_its_own_limit_wherever_it_comes_from(make_client, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"alice {digest_key('alice-key').hex()} requests=2/minute\nbob {digest_key('bob-key').hex()}\n")
    client = make_client(api_keys_file=file, rate_limit="1/minute")

    def ask(key: str, address: str) -> int:
        found = client.get("/api/models", headers={"X-API-Key": key}, environ_base={"REMOTE_ADDR": address})
        return found.status_code

    assert [ask("alice-key", f"10.0.0.{number}") for number in range(3)] == [200, 200, 429]
    assert [ask("bob-key", f"10.0.0.{number}") for number in range(2)] == [200, 429]


_HITS = """
import sys
from limits import parse
from app.access.counts import Counts
counts = Counts(None)
print(sum(counts.take(parse("100/minute"), "x") for _ in range(60)))
"""


def test_many_processes_let_exactly_the_limit_pass(tmp_path, monkeypatch):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "limits.sqlite"))
    processes = [
        subprocess.Popen([sys.executable, "-c", _HITS], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 100
    # A log that is mapped into memory would end a process when the memory file system is full.
    assert [file.name for file in tmp_path.iterdir() if not file.name.endswith("-journal")] == ["limits.sqlite"]


def test_no_window_of_any_start_has_more_than_the_limit(tmp_path, monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr(limit_storage.time, "time", lambda: clock[0])
    storage = SharedMemoryStorage(f"shared-memory://{tmp_path / 'file'}")
    passed: list[float] = []
    for step in range(400):
        clock[0] += (step * 7919 % 13) / 10
        if storage.acquire_entry("k", 5, 10):
            passed.append(clock[0])
    for start in passed:
        assert sum(start <= moment < start + 10 for moment in passed) <= 5
    assert len(passed) > 20
    oldest, count = storage.get_moving_window("k", 5, 10)
    assert count <= 5
    assert oldest + 10 >= clock[0] - 10 / 60


def test_counts_that_cannot_be_kept_end_no_request(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "absent" / "limits.sqlite"))
    counts = Counts(None)
    assert [counts.take(parse("2/minute"), "x") for _ in range(3)] == [True, True, False]
    assert counts.measure(parse("2/minute"), "x")[1] == 0
    assert caplog.text.count("counts alone") == 1
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no database" * 1000)
    monkeypatch.setenv(FILE_VARIABLE, str(damaged))
    assert Counts(None).take(parse("2/minute"), "x")


def test_old_counts_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(limit_storage, "_SWEEP_EVERY", 10)
    clock = [1_000_000.0]
    monkeypatch.setattr(limit_storage.time, "time", lambda: clock[0])
    storage = SharedMemoryStorage(f"shared-memory://{tmp_path / 'file'}")
    for number in range(100):
        storage.acquire_entry(f"address:{number}", 5, 10)
        clock[0] += 5
    with sqlite3.connect(tmp_path / "file") as connection:
        assert connection.execute("SELECT COUNT(*) FROM hits").fetchone()[0] < 20
    connection.close()


def test_a_server_of_counts_that_says_nothing_is_left_alone(monkeypatch):
    monkeypatch.setattr(counts_module, "_ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        counts = Counts(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert [counts.take(parse("2/minute"), "x") for _ in range(3)] == [True, True, False]
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # nobody else has connected
            silent.accept()


def test_who_waits_for_a_server_of_counts_lets_others_go_on(monkeypatch):
    monkeypatch.setattr(counts_module, "_ANSWER_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        counts = Counts(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert hands_its_turn_on(lambda: counts.take(parse("2/minute"), "x"), monkeypatch)


def test_a_server_of_counts_that_is_back_counts_again(monkeypatch):
    monkeypatch.setattr(counts_module, "_ALONE_S", 0.0)
    counts, answers = Counts("redis://127.0.0.1:1/0"), [False, True, True]

    def hit(*_, cost):
        if not answers.pop(0):
            raise StorageError(ConnectionError())
        return False

    counts._shared = SimpleNamespace(hit=hit)
    assert [counts.take(parse("2/minute"), "x") for _ in range(3)] == [True, False, False]


@pytest.fixture
def redis() -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    with subprocess.Popen([program, "--port", str(port), "--save", "", "--bind", "127.0.0.1"]) as process:

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listens)
        yield f"redis://127.0.0.1:{port}/0"
        process.terminate()


def test_redis_counts_for_several_machines_and_its_end_ends_no_request(redis, make_client):
    first, second = (make_client(rate_limit="3/minute", rate_store=SecretStr(redis)) for _ in range(2))
    assert [client.get("/api/models").status_code for client in (first, second, first, second)] == [200, 200, 200, 429]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SIGNCLIP_RATE_LIMIT", "many", "no limit"),
        ("SIGNCLIP_ITEM_LIMIT", "0/hour", "no limit"),
        ("SIGNCLIP_RATE_STORE", "http://secret", "redis://"),
        ("SIGNCLIP_SEARCH_DIR", "postgres://me:secret@host/x", "postgres:// is no place"),
        ("SIGNCLIP_TRUSTED_PROXIES", "proxy.example", "does not appear to be"),
        ("SIGNCLIP_METRICS_ADDRESS", "9090", "pattern"),
    ],
)
def test_settings_that_are_wrong_are_refused(monkeypatch, variable, value, message):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ((), "10.0.0.1", "1.2.3.4", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", "9.9.9.9, 1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", "9.9.9.9, 1.2.3.4, 10.2.2.2", "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", "1.2.3.4, junk", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", "", "10.0.0.1"),
        (("10.0.0.0/8",), "11.0.0.1", "1.2.3.4", "11.0.0.1"),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        (("10.0.0.0/8",), "10.0.0.1", "9.9.9.9:80, 1.2.3.4:51234, 10.2.2.2:443", "1.2.3.4"),
        (("10.0.0.0/8",), "10.0.0.1", "[2001:db8::1]:51234", "2001:db8::1"),
        (("10.0.0.0/8",), "10.0.0.1", "[2001:db8::1], [10.0.0.2", "2001:db8::1"),
        (("10.0.0.0/8",), "10.0.0.1", "1.2.3.4, host:80", "10.0.0.1"),
        (("unix",), "", "1.2.3.4", "1.2.3.4"),
        (("10.0.0.0/8",), "", "1.2.3.4", ""),
    ],
)
def test_the_last_address_that_no_trusted_proxy_has_is_the_clients(trusted, peer, forwarded, address):
    seen = {}

    def application(environ, start_response):  # type: ignore[no-untyped-def]
        seen.update(environ)
        return []

    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded, "HTTP_X_FORWARDED_PROTO": "https"}
    TrustedProxies(application, trusted)({**environ, "wsgi.url_scheme": "http"}, None)  # type: ignore[arg-type]
    assert seen["REMOTE_ADDR"] == address
    trusts = peer != "11.0.0.1" and trusted and (peer or "unix" in trusted)
    assert seen["wsgi.url_scheme"] == ("https" if trusts else "http")


def test_a_forged_address_is_not_believed(make_client):
    client = make_client(rate_limit="1/minute")
    statuses = [
        client.get("/api/models", headers={"X-Forwarded-For": f"1.2.3.{number}"}).status_code for number in range(2)
    ]
    assert statuses == [200, 429]
    behind = make_client(rate_limit="1/minute", trusted_proxies=("127.0.0.1",))
    statuses = [
        behind.get("/api/models", headers={"X-Forwarded-For": f"1.2.3.{number}"}).status_code for number in range(2)
    ]
    assert statuses == [200, 200]


def test_every_answer_has_its_security_headers(make_client):
    client = make_client()
    for path in ("/healthz", "/nothing", "/docs", "/metrics"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_counters_may_have_an_address_of_their_own(make_client):
    client = make_client(metrics_address="127.0.0.1:9199", api_keys=(SecretStr("right-key"),))
    own, public = {"SERVER_PORT": "9199"}, {"SERVER_PORT": "3030"}
    headers = {"X-API-Key": "right-key"}
    assert client.get("/metrics", environ_overrides=own).status_code == 200
    assert client.get("/metrics", environ_overrides=public, headers=headers).status_code == 404
    assert client.get("/api/models", environ_overrides=own, headers=headers).status_code == 404
    assert client.get("/api/models", environ_overrides=public, headers=headers).status_code == 200
    for port in (own, public):
        assert client.get("/healthz", environ_overrides=port).status_code == 200


def test_a_client_of_a_unix_socket_does_not_choose_the_port_it_came_to(make_client):
    # Of a Unix socket, gunicorn takes the port from the field Host.
    client = make_client(metrics_address="127.0.0.1:9199", api_keys=(SecretStr("right-key"),))
    here, there = socket.socketpair()
    with here, there:
        environ = {"SERVER_PORT": "9199", "gunicorn.socket": here}
        assert client.get("/metrics", environ_overrides=environ).status_code == 404
        assert client.get("/api/models", environ_overrides=environ).status_code == 401
