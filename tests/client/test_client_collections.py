"""Collections through both clients, against the real application and its store."""

from __future__ import annotations

import numpy as np
import pytest

from signclip_client import InputError, Limits, NewEntry, NotFoundError, Progress
from tests.client.conftest import CLIP, POSES

# Of the tiny model.
DIMENSIONS = 32


@pytest.fixture
def client(url, make_client, request):
    """A client with an empty collection `signs`."""
    made = make_client(url, limits=Limits(max_items=2))
    made.create_collection("signs", description="for a test")
    yield made
    made.delete_collection("signs")


def test_a_dictionary_is_stored_and_searched(client):
    steps: list[Progress] = []
    house = POSES / "house.pose"
    entries = [
        NewEntry(pose=CLIP, id="a", gloss="A", sign_language="ase", tags={"signer": "one"}),
        NewEntry(text="house", id="text", gloss="HOUSE", texts=("house", "home")),
        NewEntry(video=b"ase_A", id="video", gloss="A"),
        NewEntry(vector=np.eye(DIMENSIONS, dtype=np.float32)[0], id="vector", kind="pose", source="elsewhere"),
        NewEntry(pose=house.read_bytes(), id="house", gloss="HOUSE"),
    ]
    stored = client.store_entries("signs", entries, progress=steps.append, truncate=True)
    assert (stored.stored, stored.ids) == (5, ("a", "text", "video", "vector", "house"))
    assert steps[-1] == Progress(5, 5)
    assert {warning.split("/")[1] for warning in stored.warnings} <= {"entries"}

    found = client.search_collection("signs", pose=CLIP, k=3)
    assert {hit.id for hit in found.hits[:2]} == {"a", "video"}
    assert found.hits[0].score == pytest.approx(1, abs=1e-5)
    assert [hit.rank for hit in found.hits] == [1, 2, 3]
    assert found.space == client.describe_collection("signs").space

    by_gloss = client.search_collection("signs", pose=CLIP, group_by="gloss", filter={"gloss": ["A", "HOUSE"]})
    assert by_gloss.hits[0].gloss == "A"
    assert len(by_gloss.hits) == 2
    anywhere = client.search_collections(vector=np.eye(DIMENSIONS)[0], collections=["signs"], k=1)
    assert [(hit.id, hit.collection) for hit in anywhere.hits] == [("vector", "signs")]


def test_an_entry_is_shown_changed_and_deleted(client):
    client.store_entries("signs", [NewEntry(pose=CLIP, id="mine", gloss="A", tags={"seen": 3})])
    entry = client.show_entry("signs", "mine")
    assert (entry.id, entry.gloss, dict(entry.tags), entry.kind) == ("mine", "A", {"seen": 3}, "pose")
    assert (entry.vector.shape, entry.vector.dtype) == ((DIMENSIONS,), np.float32)
    np.testing.assert_allclose(entry.vector, client.embed_pose(CLIP).vectors[0], atol=1e-5)
    changed = client.change_entry("signs", "mine", gloss="B", texts=["b", "bee"])
    assert (changed.gloss, changed.texts, dict(changed.tags)) == ("B", ("b", "bee"), {"seen": 3})
    assert client.delete_entry("signs", "mine") == 1
    with pytest.raises(NotFoundError, match="mine"):
        client.show_entry("signs", "mine")


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_lost(client, name):
    client.store_entries("signs", [NewEntry(text="house", id="mine")], truncate=True)
    for call, given in [
        ("delete_entry", ("signs", name)),
        ("show_entry", ("signs", name)),
        ("change_entry", ("signs", name)),
        ("fetch_preview", ("signs", name)),
        ("delete_collection", (name,)),
        ("fetch_sample", (name,)),
    ]:
        with pytest.raises(ValueError, match="names nothing"):
            getattr(client, call)(*given)
    assert client.describe_collection("signs").entries == 1


def test_a_collection_goes_to_a_file_and_back(client, tmp_path):
    client.store_entries(
        "signs", [NewEntry(pose=CLIP, id="a", gloss="A"), NewEntry(text="house", id="b", gloss="HOUSE")]
    )
    assert client.fetch_preview("signs", "a").startswith(b"<svg")
    assert client.inspect_pose(client.fetch_preview("signs", "a", "pose")).frames == 21
    (tmp_path / "signs.parquet").write_bytes(client.export_entries("signs", filter={"gloss": "A"}, with_pose=True))
    assert client.delete_entry("signs", "a") == 1
    stored = client.import_entries("signs", tmp_path / "signs.parquet")
    assert (stored.stored, stored.space) == (1, client.describe_collection("signs").space)
    assert client.show_entry("signs", "a").gloss == "A"
    assert client.import_entries("signs", client.export_entries("signs")).stored == 2


def test_collections_are_listed_and_described(client):
    assert "signs" in [found.name for found in client.list_collections()]
    about = client.describe_collection("signs")
    assert (about.description, about.dimensions, about.entries) == ("for a test", DIMENSIONS, 0)
    with pytest.raises(NotFoundError) as caught:
        client.describe_collection("nothing")
    assert caught.value.code == "collection_unknown"


def test_a_search_of_all_collections_asks_the_client_s_model(url, make_client):
    make_client(url).create_collection("searched")
    client = make_client(url, model="nothing")
    with pytest.raises(NotFoundError, match="nothing"):
        client.search_collections(text="sun")
    assert client.search_collections(text="sun", collections=["searched"]).hits == ()
    assert client.search_collections(text="sun", model_name="tiny", filter={"id": "x"}).hits == ()
    assert client.delete_collection("searched") == 0


def test_a_space_of_one_s_own_belongs_to_no_model(url, make_client):
    client = make_client(url, model="tiny")
    made = client.create_collection("mine", space="own:1", dimensions=4)
    assert (made.space, made.dimensions) == ("own:1", 4)
    assert client.delete_collection("mine") == 0


def test_places_of_entries_count_in_the_caller_s_list(client):
    entries = [NewEntry(pose=CLIP, id=str(number)) for number in range(4)]
    with pytest.raises(InputError) as caught:
        client.store_entries("signs", [*entries, NewEntry(pose=b"no pose")])
    assert caught.value.places[0].pointer.startswith("/entries/4")
    skipped = client.store_entries("signs", [*entries, NewEntry(pose=b"no pose")], on_error="skip")
    assert [(error.index, error.code) for error in skipped.errors] == [(4, "not_a_pose")]
    assert skipped.stored == 4
    with pytest.raises(ValueError, match="no entry"):
        client.store_entries("signs", [])
