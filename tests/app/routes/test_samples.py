"""What ships to be tried: small, described, licensed, readable, and out of no other folder."""

from __future__ import annotations

import json
import struct

import av
import pytest
import zstandard

from app.routes.samples import SAMPLES
from poses import read

# So small that a checkout and an image do not notice.
MOST_BYTES = 1_500_000
LISTED = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))


def test_they_are_small_together():
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) <= MOST_BYTES


def test_every_file_is_described_and_licensed():
    files = {path.name for path in SAMPLES.iterdir()} - {"README.md", "samples.json"}
    assert files == {sample["name"] for sample in LISTED}
    notice = (SAMPLES.parent / "NOTICE").read_text(encoding="utf-8")
    page = (SAMPLES / "README.md").read_text(encoding="utf-8")
    for sample in LISTED:
        assert sample["licence"] in notice
        assert sample["licence"] in page
        assert f"`{sample['name'].split('.')[0]}" in page


@pytest.mark.parametrize("sample", LISTED, ids=lambda sample: sample["name"])
def test_each_is_listed_and_answered_as_it_is(client, sample):
    (listed,) = [found for found in client.get("/samples").json["samples"] if found["name"] == sample["name"]]
    answer = client.get(f"/samples/{sample['name']}")
    assert answer.data == (SAMPLES / sample["name"]).read_bytes()
    assert len(answer.data) == listed["bytes"]
    if sample["kind"] == "pose":
        assert answer.mimetype == "application/octet-stream"
        assert len(read(answer.data).body.data) > 10
    else:
        assert answer.mimetype == "video/mp4"
        with av.open(str(SAMPLES / sample["name"])) as video:
            assert sum(1 for _ in video.decode(video=0)) == 37


@pytest.mark.parametrize("name", [sample["name"] for sample in LISTED if sample["name"].endswith(".zst")])
def test_a_packed_clip_is_answered_unpacked_without_its_ending(client, name):
    unpacked = client.get(f"/samples/{name.removesuffix('.zst')}").data
    assert unpacked == zstandard.ZstdDecompressor().decompressobj().decompress((SAMPLES / name).read_bytes())
    assert unpacked[:4] == struct.pack("<f", 0.2)


NO_SAMPLES = ["nothing.pose", "house.mp4.zst", "ase_A", "samples.json", "README.md", "..%2FLICENSE", "%2Fetc%2Fpasswd"]


@pytest.mark.parametrize("name", NO_SAMPLES)
def test_nothing_else_is_answered(client, name):
    answer = client.get(f"/samples/{name}")
    assert answer.status_code == 404
    assert answer.json["code"] in ("sample_unknown", "route_unknown")


def test_they_need_no_key(make_client):
    from pydantic import SecretStr

    locked = make_client(api_keys=(SecretStr("a-long-key"),))
    assert locked.get("/samples").status_code == locked.get("/samples/ase_A.pose").status_code == 200
    assert locked.get("/api/models").status_code == 401


def test_they_embed(real_client):
    for sample in LISTED[:3]:
        data = real_client.get(f"/samples/{sample['name']}").data
        answer = real_client.post("/api/embed/pose", data=data, content_type="application/octet-stream")
        assert answer.status_code == 200
