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
