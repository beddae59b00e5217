"""The file for ELAN names the video that was searched, so that ELAN shows it beside the finds."""

from contextlib import nullcontext
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import dictionary.__main__ as command
from search.annotations import Find


@pytest.mark.parametrize(
    ("recording", "out", "relative", "kind"),
    [
        ("films/a b.mp4", "finds.eaf", "./films/a b.mp4", "video/mp4"),
        ("film.mov", "finds/finds.eaf", "../film.mov", "video/quicktime"),
        ("film.webm", "finds.eaf", "./film.webm", "video/webm"),
    ],
)
def test_a_video_is_named_by_both_its_places(tmp_path, monkeypatch, recording, out, relative, kind):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "estimate_file", nullcontext)
    spotting = SimpleNamespace(spot=lambda *_: [Find(0.0, 1.0, "house", 0.9)])
    monkeypatch.setattr(command, "_open", lambda _: nullcontext(spotting))
    assert command.main(["spot", recording, "--query", "house", "--out", out]) == 0
    (media,) = ElementTree.parse(tmp_path / out).iter("MEDIA_DESCRIPTOR")
    place = f"file://{tmp_path}/{recording}"
    assert media.attrib == {"MEDIA_URL": place, "RELATIVE_MEDIA_URL": relative, "MIME_TYPE": kind}


def test_a_pose_is_nothing_that_elan_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "estimate_file", nullcontext)
    monkeypatch.setattr(command, "_open", lambda _: nullcontext(SimpleNamespace(spot=lambda *_: [])))
    assert command.main(["spot", "a.pose", "--query", "house", "--out", "finds.eaf"]) == 0
    assert not [*ElementTree.parse(tmp_path / "finds.eaf").iter("MEDIA_DESCRIPTOR")]
