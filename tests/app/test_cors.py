"""Origins are written as browsers send them, or refused at the start."""

from __future__ import annotations

import pytest

from app.settings import load_settings
from processes.settings import SettingsError

PREFLIGHT = {
    "Origin": "https://sign.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Private-Network": "true",
}


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://sign.example/", "https://sign.example"),
        ("HTTPS://Sign.Example", "https://sign.example"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("*", "*"),
    ],
)
def test_origins_are_normalized(monkeypatch, given, read):
    monkeypatch.setenv("SIGNCLIP_CORS_ORIGINS", given)
    assert load_settings().cors_origins == (read,)


@pytest.mark.parametrize(
    "given", ["sign.example", "https://sign.example/app", "ftp://sign.example", "https://", "null"]
)
def test_what_is_no_origin_is_refused_at_the_start(monkeypatch, given):
    monkeypatch.setenv("SIGNCLIP_CORS_ORIGINS", given)
    with pytest.raises(SettingsError, match="SIGNCLIP_CORS_ORIGINS"):
        load_settings()


@pytest.mark.parametrize(("origins", "allowed"), [(("*",), "false"), (("https://sign.example",), "true")])
def test_a_private_network_is_open_to_named_origins_alone(make_client, origins, allowed):
    answer = make_client(cors_origins=origins).options("/api/embed/text", headers=PREFLIGHT)
    assert answer.headers["Access-Control-Allow-Private-Network"] == allowed


@pytest.mark.parametrize("path", ["/healthz", "/no-such-route"])
def test_answers_to_all_origins_say_what_the_answer_to_a_preflight_says(make_client, path):
    client = make_client(cors_origins=("*",))
    names = ("Access-Control-Allow-Origin", "Access-Control-Expose-Headers")
    said = client.options(path, headers={"Origin": "https://sign.example"}).headers
    for headers in ({}, {"Origin": "https://sign.example"}):
        answered = client.get(path, headers=headers).headers
        assert [answered.getlist(name) for name in names] == [said.getlist(name) for name in names] != [[], []]


def test_a_request_from_a_public_page_is_told_that_the_network_is_private(make_client):
    answer = make_client(cors_origins=("*",)).get("/healthz", headers=PREFLIGHT)
    assert answer.headers["Access-Control-Allow-Private-Network"] == "false"
    assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"]
