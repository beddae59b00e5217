"""A deletion that is sent again finds that it was done the first time."""

from __future__ import annotations

import httpx2
import pytest

from signclip_client import AnswerError, NotFoundError
from tests.client.conftest import Faulty
from tests.client.test_client_faults import refused

# After these, the service may have deleted.
LOST = [httpx2.ReadError("reset"), httpx2.RemoteProtocolError("gone"), httpx2.Response(502, text="<html>")]
# With these it has not begun.
NOT_BEGUN = [
    httpx2.ConnectError("refused"),
    refused(429, "too_many_requests", retry_after="1"),
    refused(503, "not_ready", retry_after="1"),
]


@pytest.mark.parametrize("fault", LOST, ids=str)
def test_what_a_lost_try_has_deleted_counts_as_deleted(make_client, waits, fault):
    service = Faulty(fault, NOT_BEGUN[1], refused(404, "entry_unknown"), fault, refused(404, "collection_unknown"))
    client = make_client(transport=service.transport)
    assert client.delete_entry("signs", "a") == 1
    assert client.delete_collection("signs") == 0
    assert (service.answers, len(waits)) == ([], 3)


@pytest.mark.parametrize("fault", NOT_BEGUN, ids=str)
def test_what_was_not_there_when_the_deletion_began_is_an_error(make_client, waits, fault):
    service = Faulty(fault, refused(404, "entry_unknown"))
    with pytest.raises(NotFoundError):
        make_client(transport=service.transport).delete_entry("signs", "a")
    assert len(waits) == 1


@pytest.mark.parametrize("code", ["route_unknown", "collection_unknown"])
def test_other_methods_and_other_missing_things_stay_errors(make_client, waits, code):
    service = Faulty(LOST[0], refused(404, code))
    client = make_client(transport=service.transport)
    with pytest.raises(AnswerError):
        client.delete_collection("signs") if code == "route_unknown" else client.describe_collection("signs")
    assert len(waits) == 1
