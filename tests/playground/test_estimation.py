"""Poses are estimated in the page: of a recording and of a dropped video, and near the service's own."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from pose_format import Pose

from app.routes import playground
from poses import read
from tests.playground.conftest import Complaints
from tests.running import ROOT

pytestmark = pytest.mark.skipif(
    not playground.is_estimator_installed(), reason="the pose estimator is not there; make playground fetches it"
)
HOUSE = ROOT / "samples" / "house.mp4"
# A clip takes seconds on two cores; other processes may take most of them.
PATIENCE_MS = 120_000
# Of two seconds of the camera, which has 25 a second. With fewer, hands that move may be in none of them.
LEAST_PICTURES = 20


def read_current(page: Page) -> tuple[dict[str, Any], Pose]:
    """The current clip, as a saved session has it."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save to a file").click()
    session = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    clip = session["clips"][session["current"]]
    return clip, read(base64.b64decode(clip["pose"]))


def ask(url: str, data: bytes, kind: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": kind})) as answer:
        return bytes(answer.read())


def test_a_recording_becomes_a_pose_and_a_letter(page: Page, service: str, complaints: Complaints):
    complaints.allowed = (422,)
    page.goto(service)
    page.get_by_role("button", name="Start the camera").click()
    # The camera's clip takes 1.5 s, so that the hands are seen whenever the recording begins.
    page.locator("#seconds").fill("2")
    with page.expect_response(re.compile("/api/similarity$"), timeout=PATIENCE_MS) as answer:
        page.get_by_role("button", name="Record", exact=True).click()
    clip, pose = read_current(page)
    assert (clip["origin"], clip["extractor"]) == ("webcam", "browser")
    # The rate is that of the pictures that were taken, not that of the estimator, which is slower.
    assert pose.body.fps <= 31
    assert len(pose.body.data) / pose.body.fps == pytest.approx(2, abs=0.6)
    assert (pose.body.confidence[:, 0, :33] > 0).any(axis=1).mean() > 0.9
    if len(pose.body.data) < LEAST_PICTURES:
        pytest.skip(f"the machine is too busy to record: {len(pose.body.data)} pictures in 2 s")
    # The shipped model knows letters alone, and calls every sign one.
    expect(page.locator(".headline")).to_have_text(re.compile(r"^.+, .*\d+%$"))
    assert any("browser mediapipe-holistic-js" in warning for warning in answer.value.json()["warnings"])


def test_a_dropped_video_becomes_the_pose_that_the_service_estimates(page: Page, service: str):
    page.goto(service)
    page.locator("#file").set_input_files(HOUSE)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#announcements")).to_have_text("Cancelled.", timeout=PATIENCE_MS)
    expect(page.locator(".clips li")).to_have_count(0)
    page.locator("#file").set_input_files(HOUSE)
    expect(page.locator(".clips li")).to_have_count(1, timeout=PATIENCE_MS)
    clip, pose = read_current(page)
    assert (clip["origin"], clip["extractor"]) == ("video", "browser")
    there = ask(f"{service}/api/pose", HOUSE.read_bytes(), "video/mp4")
    own = read(there)
    assert len(pose.body.data) == len(own.body.data)
    assert pose.body.fps == pytest.approx(own.body.fps, rel=0.001)
    poses = (base64.b64decode(clip["pose"]), there)
    answers = [json.loads(ask(f"{service}/api/embed/pose", one, "application/octet-stream")) for one in poses]
    here, expected = (np.array(answer["embeddings"][0]) for answer in answers)
    # HOUSE is a hard clip: hands come and go within frames. docs/playground.md has the table.
    assert here @ expected >= 0.95
    assert measure_distance(pose, own, slice(0, 33)) <= 0.03
    assert measure_distance(pose, own, slice(33, 501)) <= 0.01
    assert measure_distance(pose, own, slice(522, 543)) <= 0.03


def measure_distance(one: Pose, other: Pose, points: slice) -> float:
    """Median distance of points that are seen in both, in shoulder widths."""
    both = (one.body.confidence[:, 0, points] > 0.5) & (other.body.confidence[:, 0, points] > 0.5)
    values = [np.asarray(pose.body.data)[:, 0, :, :2] for pose in (one, other)]
    shoulders = np.linalg.norm(values[1][:, 11] - values[1][:, 12], axis=-1).mean()
    return float(np.median(np.linalg.norm(values[0][:, points] - values[1][:, points], axis=-1)[both]) / shoulders)
