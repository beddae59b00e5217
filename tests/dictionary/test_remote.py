"""What answers at a service's address is checked before it is believed."""

import io
import urllib.error
import urllib.request

import pytest

from dictionary.errors import ServiceError
from dictionary.remote import RemoteDictionary

URL = "http://localhost:3030"


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000])
def test_another_server_is_recognized(monkeypatch, body):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(body))
    with pytest.raises(ServiceError, match="answered no JSON; is this the address"):
        RemoteDictionary(URL).open_collection("signs", [])

    def refuse(*_, **__):
        raise urllib.error.HTTPError(URL, 404, "Not Found", {}, io.BytesIO(body))

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(ServiceError, match="404 Not Found"):
        RemoteDictionary(URL).open_collection("signs", [])
