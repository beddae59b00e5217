"""Spotting signs in long recordings: memory, time and what is found, by the length of the recording.

    python -m benchmarks.spotting [--minutes 10 60] [--quick] [--out FILE.json]

Recordings are drawn from the fingerspelling lexicon with fixed seeds: words that a signer of one language spells, with
pauses between them. The shipped model looks for the language's letters, as `python -m dictionary spot` does. Each
recording is searched by a process of its own, because memory that one took would count for the next.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import machine_facts, measure_peak_bytes, write_results
from corpora.examples import Example
from dictionary.embedding import Embedder
from dictionary.interface import Question
from dictionary.local import LocalDictionary
from processes.files import replace_file
from search.annotations import Find
from search.opening import open_store
from search.settings import SearchSettings
from search.spotter import DEFAULT_RATE
from search.spotting import measure_iou
from training.fingerspelling.lexicon import LetterClip, read_lexicon
from training.fingerspelling.recordings import FPS
from training.fingerspelling.spotting import LEAST_IOU, draw_words

SIGN, COLLECTION = "gsg", "letters"
_COPY_BYTES = 2**24


def main() -> None:
    """Measure as the command line says, print the figures and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", help="lengths (default: 10 and 60)")
    parser.add_argument("--quick", action="store_true", help="1 and 3 minutes")
    parser.add_argument("--out", type=Path, help="folder or .json file (default: benchmarks/results)")
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search is not None:
        print(json.dumps(search(options.search)))
        return
    lengths = options.minutes or ([1.0, 3.0] if options.quick else [10.0, 60.0])
    clips = [clip for clip in read_lexicon() if clip.sign == SIGN and clip.is_basic]
    results: dict[str, Any] = {"machine": machine_facts(), "lengths": {}}
    print(f"{'minutes':>8} {'windows':>8} {'peak MiB':>9} {'CPU s':>7} {'wall s':>7} {'precision':>10} {'recall':>7}")
    for minutes in lengths:
        with tempfile.TemporaryDirectory(prefix="signclip-spotting-") as folder:
            spans = draw(Path(folder), clips, minutes)
            command = [sys.executable, "-m", "benchmarks.spotting", "--search", folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        row = results["lengths"][minutes] = summarize(found, spans)
        print(
            f"{minutes:8g} {row['windows']:8,} {row['peak_mib']:9,.0f} {row['cpu_s']:7.0f} {row['wall_s']:7.0f} "
            f"{row['precision']:10.1f} {row['recall']:7.1f}",
            flush=True,
        )
    write_results("spotting", results, options.out)


def draw(folder: Path, clips: Sequence[LetterClip], minutes: float) -> list[tuple[float, float, str]]:
    """Draw a recording into a folder, a few words at a time; returns where its letters are, in seconds.

    Raises:
        OSError: the folder cannot be written to.
    """
    wanted, frames, seed = round(minutes * 60 * FPS), 0, 0
    spans: list[tuple[float, float, str]] = []
    values_file, confidence_file = folder / "values", folder / "confidence"
    with values_file.open("wb") as values, confidence_file.open("wb") as confidence:
        while frames < wanted:
            drawn = draw_words(clips, seed=seed)
            body = drawn.pose.body
            values.write(np.asarray(body.data.data, "<f4").tobytes())
            confidence.write(np.asarray(body.confidence, "<f4").tobytes())
            spans += [((frames + s.start) / FPS, (frames + s.stop) / FPS, s.letter) for s in drawn.spans]
            frames, seed = frames + len(body.data), seed + 1
    with replace_file(folder / "recording.pose") as path, path.open("wb") as file:
        drawn.pose.header.write(file)
        file.write(np.array([FPS], "<f4").tobytes() + np.array([frames], "<u4").tobytes())
        file.write(np.array([1], "<u2").tobytes())
        for part in (values_file, confidence_file):
            with part.open("rb") as source:
                while piece := source.read(_COPY_BYTES):
                    file.write(piece)
    return spans


def search(folder: Path) -> dict[str, Any]:
    """Search the recording of a folder for the letters of its language.

    Raises:
        DictionaryError, SearchError, ModelsError, PoseError: the recording cannot be searched.
    """
    store = open_store(SearchSettings(dir=str(folder / "store"), maintain_s=0))
    dictionary = LocalDictionary(store, Embedder("fingerspelling"))
    letters = [
        Example(f"{SIGN}-{clip.letter}", clip.path, clip.letter, clip.letter, "all", sign_language=SIGN)
        for clip in read_lexicon()
        if clip.sign == SIGN and clip.is_basic
    ]
    dictionary.open_collection(COLLECTION, letters)
    dictionary.store(COLLECTION, letters)
    windows, shown = 0, 0

    def on_progress(done: int, total: int) -> None:
        nonlocal windows, shown
        windows = total
        if done * 10 // total > shown:
            shown = done * 10 // total
            print(f"  {shown * 10} % of {total:,} windows", file=sys.stderr, flush=True)

    question = Question((), COLLECTION, None, None, DEFAULT_RATE)
    started, used = time.perf_counter(), time.process_time()
    finds = dictionary.spot(folder / "recording.pose", question, on_progress)
    facts = {"windows": windows, "wall_s": time.perf_counter() - started, "cpu_s": time.process_time() - used}
    store.close()
    return {
        **facts,
        "peak_mib": measure_peak_bytes() / 2**20,
        "finds": [[find.start_s, find.end_s, find.label, find.score] for find in finds],
    }


def summarize(found: dict[str, Any], spans: Sequence[tuple[float, float, str]]) -> dict[str, Any]:
    """Compare what was found with what is there: precision and recall in percent; each letter counts once."""
    taken: set[int] = set()
    finds = [Find(*find) for find in found.pop("finds")]
    starts = np.array([start for start, _, _ in spans])
    for find in sorted(finds, key=lambda one: -one.score):
        # No letter of the lexicon takes so long that others than its neighbours could overlap with it.
        near = int(np.searchsorted(starts, find.start_s))
        for number in range(max(0, near - 2), min(len(spans), near + 3)):
            start, end, letter = spans[number]
            is_right = letter == find.label and number not in taken
            if is_right and measure_iou((find.start_s, find.end_s), (start, end)) >= LEAST_IOU:
                taken.add(number)
                break
    return {
        **found,
        "letters": len(spans),
        "precision": 100 * len(taken) / max(1, len(finds)),
        "recall": 100 * len(taken) / len(spans),
    }


if __name__ == "__main__":
    main()
