"""API keys: what opens, what does not, what needs none."""

from __future__ import annotations

import pytest
from pydantic import SecretStr


def secrets(*keys: str) -> tuple[SecretStr, ...]:
    return tuple(map(SecretStr, keys))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong-key"},
        {"Authorization": "Bearer wrong-key"},
        {"Authorization": "Basic right-key"},
        {"Authorization": "Bearer"},
        {"X-API-Key": "right-key "[:-2]},
        {"X-API-Key": "schl\xfcssel"},
    ],
)
def test_401_key_missing_or_wrong(make_client, headers):
    client = make_client(api_keys=secrets("right-key", "other-key"))
    for method, path in (("POST", "/api/embed/text"), ("GET", "/api/models"), ("POST", "/v1/embeddings")):
        answer = client.open(path, method=method, json={}, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (401, "key_refused")
        assert "X-API-Key" in answer.json["detail"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": "right-key"}, {"Authorization": "Bearer other-key"}, {"Authorization": "bearer right-key"}],
)
def test_a_right_key_opens(make_client, headers):
    client = make_client(api_keys=secrets("right-key", "other-key"))
    assert client.post("/api/embed/text", json={"text": "sun"}, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_health_and_documentation_need_no_key(make_client, path):
    assert make_client(api_keys=secrets("right-key")).get(path).status_code == 200
