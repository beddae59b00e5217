"""Windows of videos against slow twins and ffmpeg itself; and the command on a folder, with a network that averages."""

import csv
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.video_networks import loading
from models.video_networks.catalog import VIDEO_NETWORKS
from tests.video.make_videos import clip
from video.__main__ import main
from video.features import FeatureExtractor
from video.windows import change_rate, cut_windows, prepare_frame

S3D, I3D = VIDEO_NETWORKS["s3d"], VIDEO_NETWORKS["i3d_bsl"]


class Average(torch.nn.Module):
    """Stands for a network: the mean of each colour, and how bright the first and the last frame are."""

    def forward(self, clips):
        assert clips.shape[1:] == (3, clips.shape[2], 224, 224)
        return torch.cat([clips.mean(dim=(2, 3, 4)), clips[:, :, [0, -1]].mean(dim=(1, 3, 4))], dim=1)


def pictures(count, height=12, width=16):
    return [np.full((height, width, 3), number, np.uint8) for number in range(count)]


def shown(frames):
    return [int(frame[0, 0, 0]) for frame in frames]


def filter_rate(count, fps, wanted):
    """What ffmpeg's own filter shows."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=12, format="rgb24", time_base=Fraction(1, fps))
    fps_filter, sink = graph.add("fps", f"fps={wanted}"), graph.add("buffersink")
    source.link_to(fps_filter)
    fps_filter.link_to(sink)
    graph.configure()
    numbers = []
    for number, picture in enumerate([*pictures(count), None]):
        frame = None
        if picture is not None:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base, frame.duration = number, Fraction(1, fps), 1
        source.push(frame)
        while True:
            try:
                numbers.append(int(sink.pull().to_ndarray()[0, 0, 0]))
            except (av.error.BlockingIOError, av.error.EOFError):
                break
    return numbers


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 50, 60, 100])
@pytest.mark.parametrize("count", [1, 2, 13, 40])
def test_another_rate_is_ffmpegs(fps, count):
    ours = shown(change_rate(pictures(count), fps, 30))
    theirs = filter_rate(count, fps, 30)
    # How long ffmpeg shows the last frame depends on its version; which frames it shows does not.
    shorter = min(len(ours), len(theirs))
    assert abs(len(ours) - len(theirs)) <= 1
    assert ours[:shorter] == theirs[:shorter]


@given(st.integers(1, 60), st.floats(1, 240), st.floats(1, 60))
def test_rates_keep_the_length_and_the_order(count, fps, wanted):
    numbers = shown(change_rate(pictures(count, 1, 1), fps, wanted))
    assert numbers == sorted(numbers)
    assert abs(len(numbers) - count * wanted / fps) <= 0.5 + 1e-6
    assert set(numbers) <= set(range(count))
    assert shown(change_rate(pictures(count, 1, 1), fps, fps)) == list(range(count))


def test_i3d_sees_squares_of_the_whole_width():
    picture = np.random.default_rng(1).integers(0, 256, (120, 200, 3), dtype=np.uint8)
    # demo_feature.py of J22Melody/bsl1k, in its own order: shares of one, resized, cut, centred.
    theirs = cv2.resize(picture.astype(np.float32) / 255, (256, 256))[16:240, 16:240].transpose(2, 0, 1) - 0.5
    np.testing.assert_allclose(prepare_frame(picture, I3D), theirs, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(240, 320), (320, 240), (224, 224), (300, 301), (225, 900)])
def test_s3d_sees_the_middle_in_its_own_shape(height, width):
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, width // 2 :] = 255
    prepared = prepare_frame(picture, S3D)
    assert (prepared.shape, prepared.dtype) == ((3, 224, 224), np.float32)
    assert (prepared.min(), prepared.max()) == (0, 1)
    edge = np.flatnonzero(prepared[0].mean(axis=0) > 0.5)[0]
    assert abs(edge - 112) <= 1


def twin_windows(numbers, network):
    """Where windows begin and what is in them, as the authors' two scripts cut them."""
    if network.fill == "black":
        padded = numbers + [-1] * (-len(numbers) % network.window)
        return [padded[start : start + network.window] for start in range(0, len(padded), network.window)]
    padded = numbers + [numbers[-1]] * (network.window - len(numbers))
    count = -(-(len(padded) - network.window) // network.stride) + 1
    starts = [min(number * network.stride, len(padded) - network.window) for number in range(count)]
    return [padded[start : start + network.window] for start in starts]


@pytest.mark.parametrize("network", VIDEO_NETWORKS.values(), ids=VIDEO_NETWORKS)
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 19, 20, 21, 29, 30, 31, 59, 60, 61, 95])
def test_windows_are_the_authors(network, count):
    frames = [np.full((3, 1, 1), number, np.float32) for number in range(count)]
    windows = list(cut_windows(iter(frames), replace(network, lowest=-1.0)))
    assert all(window.shape == (3, network.window, 1, 1) for window in windows)
    assert [window[0, :, 0, 0].astype(int).tolist() for window in windows] == twin_windows(list(range(count)), network)


@pytest.mark.parametrize(("network", "windows", "stored"), [("s3d", 3, np.float16), ("i3d_bsl", 13, np.float32)])
def test_features_of_a_video(network, windows, stored):
    # 64 frames at 25 a second: 77 at 30, in windows of 30; and 13 windows of 16, every 4th frame.
    extractor = FeatureExtractor(VIDEO_NETWORKS[network], Average(), batch=2)
    features = extractor.extract(clip(64, rate=25))
    assert (features.shape, features.dtype) == ((windows, 5), stored)
    if network == "s3d":
        np.testing.assert_allclose(np.linalg.norm(features.astype(float), axis=1), 1, atol=1e-3)
    together = FeatureExtractor(VIDEO_NETWORKS[network], Average(), batch=99).extract(clip(64, rate=25))
    np.testing.assert_allclose(features, together, atol=1e-3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    asked = []

    def load(network, path):
        asked.append((network.name, path.name))
        return Average()

    monkeypatch.setattr(loading, "load_network", load)
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.mp4").write_bytes(clip(20, seed=1))
    (tmp_path / "in" / "deep" / "b.mp4").write_bytes(clip(40, seed=2))
    (tmp_path / "in" / "bad.mp4").write_bytes(b"no video")
    return tmp_path, asked


def extract(folder, *more):
    out = folder / "out"
    common = ["--network", "s3d", "--weights", str(folder / "s3d.pth"), "--out", str(out), "--device", "cpu"]
    return main(["features", str(folder / "in"), *common, *more]), out


def test_a_folder_of_videos_becomes_one_of_features_and_resumes(folder, capsys):
    place, asked = folder
    status, out = extract(place)
    assert status == 1
    assert asked == [("s3d", "s3d.pth")]
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.npy")) == ["a.npy", "deep/b.npy"]
    assert np.load(out / "a.npy").shape == (1, 5)
    with (out / "failures.csv").open(encoding="utf-8") as file:
        assert [(row["video"].rpartition("/")[2], row["code"]) for row in csv.DictReader(file)] == [
            ("bad.mp4", "not_a_video")
        ]
    before = (out / "a.npy").stat().st_mtime_ns
    (place / "in" / "bad.mp4").write_bytes(clip(8))
    assert extract(place)[0] == 0
    printed = capsys.readouterr().out
    assert "2 of 3 are there already" in printed
    assert "1 files of s3d features" in printed
    assert (out / "a.npy").stat().st_mtime_ns == before
    assert not (out / "failures.csv").exists()
    assert extract(place, "--force", "--keep-suffixes")[0] == 0
    assert (out / "deep" / "b.mp4.npy").is_file()


def test_videos_of_one_name_are_left_out(folder, capsys):
    place, _ = folder
    (place / "in" / "a.webm").write_bytes(b"")
    extract(place)
    assert "would both become" in capsys.readouterr().err
    assert "same_npy" in (place / "out" / "failures.csv").read_text()


def test_weights_that_cannot_be_used_stop_the_command(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(clip(4))
    assert extract(tmp_path)[0] == 1
    assert "s3d takes s3d_howto100m.pth" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        extract(tmp_path, "--batch", "0")
