"""Videos to poses, against pose-format's own command; what decoding takes, memory over many clips, and end to end.

    python -m benchmarks.video [--quick] [--video FILE] [--clips 200] [--out FILE.json]

Ours and pose-format's take turns in one run: the machine may be noisy, ratios are what counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from pose_format.bin.pose_estimation import pose_video

from benchmarks.measuring import machine_facts, take_turns, write_results
from benchmarks.serving import serving
from tests.video.make_videos import encode, moving
from video.decoding import VideoReader
from video.estimates import Estimate
from video.holistic import silence_stderr
from video.interface import EstimateRequest, Finished
from video.local import LocalEstimators

# A sign as dictionaries have it: three seconds, 480 lines, 25 frames per second.
FRAMES, WIDTH, HEIGHT, RATE = 75, 640, 480, 25
TOGETHER = 8
# What the figures are held to, on two cores.
LEAST_ONE, LEAST_EIGHT = 0.95, 1.5
_MIB = 2**20


def estimate(estimators: LocalEstimators, videos: list[bytes]) -> list[Estimate]:
    """Estimate the poses of videos, in order.

    Raises:
        RuntimeError: one of them was refused.
    """
    work = estimators.begin(EstimateRequest(videos))
    found = {event.index: event.outcome for event in work.follow() if isinstance(event, Finished)}
    work.close()
    outcomes = [found[index] for index in range(len(videos))]
    failed = [outcome for outcome in outcomes if not isinstance(outcome, Estimate)]
    if failed:
        raise RuntimeError(f"a benchmark's clip was refused: {failed[0]}")
    return [outcome for outcome in outcomes if isinstance(outcome, Estimate)]


def compare(estimators: LocalEstimators, clips: list[bytes], folder: Path, *, rounds: int) -> dict[str, Any]:
    """Frames per second for one clip and for eight, ours and pose-format's, and whether both give the same bytes."""
    paths = [folder / f"clip{index}.mp4" for index in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        path.write_bytes(clip)
    target = str(folder / "clip.pose")

    def library(files: list[Path]) -> Callable[[], None]:
        def run() -> None:
            for file in files:
                pose_video(str(file), target, "mediapipe", {"model_complexity": 1})

        return run

    def command() -> None:
        program = str(Path(sys.executable).parent / "video_to_pose")
        subprocess.run([program, "-i", str(paths[0]), "-o", target], check=True, capture_output=True)

    cases = {
        "one, ours": lambda: estimate(estimators, clips[:1]),
        "one, pose-format in a warm process": library(paths[:1]),
        "one, video_to_pose": command,
        "eight, ours": lambda: estimate(estimators, clips),
        "eight, pose-format in a warm process": library(paths),
    }
    shown, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115 (pose-format prints what it does)
    try:
        with silence_stderr():
            seconds = take_turns(cases, rounds=rounds, limit_s=600)
            command()
    finally:
        sys.stdout = shown
    frames = {name: (1 if name.startswith("one") else len(clips)) * FRAMES for name in cases}
    return {
        "frames_per_s": {name: frames[name] / seconds[name] for name in cases},
        "one_against_pose_format": seconds["one, pose-format in a warm process"] / seconds["one, ours"],
        "eight_against_pose_format": seconds["eight, pose-format in a warm process"] / seconds["eight, ours"],
        "eight_against_video_to_pose": len(clips) * seconds["one, video_to_pose"] / seconds["eight, ours"],
        "same_bytes": estimate(estimators, clips[:1])[0].pose == Path(target).read_bytes(),
    }


def decode_ms(clip: bytes) -> float:
    """Milliseconds a frame to decode and convert, without a tracker."""

    def read() -> None:
        with VideoReader(clip) as reader:
            for _ in reader.frames():
                pass

    return 1000 * take_turns({"decode": read}, rounds=5, limit_s=10)["decode"] / FRAMES


def memory_over(clips: int) -> dict[str, Any]:
    """Memory of one estimator process after each of many clips, and what is left behind at the end."""
    short = [encode(moving(6, seed=seed)) for seed in range(7)]
    resident: list[float] = []
    pids: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        kept, os.environ["TMPDIR"] = os.environ.get("TMPDIR"), folder  # theirs alone, so that nobody else's is counted
        estimators = LocalEstimators()
        for number in range(clips):
            estimate(estimators, [short[number % len(short)]])
            pids.update(estimators.pids)
            resident.append(psutil.Process(estimators.pids[0]).memory_info().rss / _MIB)
        estimators.close()
        files = os.listdir(folder)
        os.environ.pop("TMPDIR") if kept is None else os.environ.update(TMPDIR=kept)
    return {
        "clips": clips,
        "resident_mib": {"tenth": resident[min(9, clips - 1)], "half": resident[clips // 2], "last": resident[-2]},
        "largest_mib": max(resident),
        "processes_left": sum(psutil.pid_exists(pid) for pid in pids),
        "files_left": len(files),
    }


def end_to_end(clip: bytes, *, repetitions: int) -> dict[str, Any]:
    """Seconds from a clip to its vector over HTTP, and the memory of all processes."""
    with serving("app:app", workers=2, SIGNCLIP_DEFAULT_MODEL="fingerspelling") as server:
        idle_mib = server.pss_mib()
        address = f"http://127.0.0.1:{server.port}/api/embed/video?truncate=true"
        seconds = []
        for _ in range(repetitions + 1):
            started = time.perf_counter()
            request = urllib.request.Request(address, data=clip, headers={"Content-Type": "video/mp4"})
            with urllib.request.urlopen(request, timeout=120) as answer:
                answer.read()
            seconds.append(time.perf_counter() - started)
        return {
            "first_s": seconds[0],
            "median_s": median(seconds[1:]),
            "server_idle_pss_mib": idle_mib,
            "server_used_pss_mib": server.pss_mib(),
        }


def show(results: dict[str, Any]) -> None:
    """Print the figures as a table."""
    speeds, memory = results["frames_per_s"], results["memory"]
    share = results["decode_ms"] * speeds["one, ours"] / 10
    grown = ", ".join(f"{name} {size:.0f} MiB" for name, size in memory["resident_mib"].items())
    rows = [(name, f"{rate:.1f} frames/s") for name, rate in speeds.items()] + [
        ("one clip, against pose-format", f"{results['one_against_pose_format']:.2f} × (at least {LEAST_ONE})"),
        ("eight clips, against pose-format", f"{results['eight_against_pose_format']:.2f} × (at least {LEAST_EIGHT})"),
        ("eight clips, against video_to_pose", f"{results['eight_against_video_to_pose']:.2f} ×"),
        ("the same bytes as video_to_pose", str(results["same_bytes"])),
        ("decoding", f"{results['decode_ms']:.2f} ms a frame, {share:.1f} % of a clip's time, beside the tracker"),
        ("an estimator process", f"{max(results['estimator_pss_mib']):.0f} MiB (PSS)"),
        (f"memory over {memory['clips']} clips", grown),
        ("left behind", f"{memory['processes_left']} processes, {memory['files_left']} files"),
        ("3 s of 480p to its vector over HTTP", f"{results['end_to_end']['median_s']:.2f} s"),
    ]
    for name, value in rows:
        print(f"{name:40} {value}")


def main() -> int:
    """Measure as the command line says, print and write the figures; exit status 1: less than is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: to see that it runs, not to quote")
    parser.add_argument("--video", type=Path, help=f"a clip of {FRAMES} frames to use instead of the made ones")
    parser.add_argument("--clips", type=int, help="clips in a row for the memory (default: 200; 20 with --quick)")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    clips = [encode(moving(FRAMES, WIDTH, HEIGHT, seed=seed), rate=RATE) for seed in range(TOGETHER)]
    if options.video is not None:
        clips = [options.video.read_bytes()] * TOGETHER
    results: dict[str, Any] = {"machine": machine_facts()}
    estimators = LocalEstimators()
    try:
        with tempfile.TemporaryDirectory() as folder:
            results |= compare(estimators, clips, Path(folder), rounds=1 if options.quick else 3)
        results["estimator_pss_mib"] = [psutil.Process(pid).memory_full_info().pss / _MIB for pid in estimators.pids]
    finally:
        estimators.close()
    results["decode_ms"] = decode_ms(clips[0])
    results["memory"] = memory_over(options.clips or (20 if options.quick else 200))
    results["end_to_end"] = end_to_end(clips[0], repetitions=2 if options.quick else 7)
    show(results)
    write_results("video", results, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
