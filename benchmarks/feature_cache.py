"""Reading features from the cache, against parsing the poses again.

    python -m benchmarks.feature_cache [--quick] [--out DIR] [--root LEXICON]

Both ways end in a batch's buffer, as a training step's do: mapped features that nobody touches would cost nothing. The
poses are the fingerspelling lexicon's, and the same as landmarks in Kaggle's form.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import machine_facts, take_turns, write_results
from corpora import Clips, Corpus, FeatureCache, read_corpus
from corpora.readers.fingerspelling_lexicon import find_installed_folder
from poses import read

NEEDED = 20.0
"""How many times faster the cache has to be."""
_KAGGLE_SIZES = (468, 21, 33, 21)


def main() -> int:
    """Measure as the command line says, print and write the figures; exit status 1: less than is promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer clips and rounds")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--root", type=Path, help="the fingerspelling lexicon (default: the installed package's)")
    options = parser.parse_args()
    lexicon = read_corpus("fingerspelling_lexicon", options.root or find_installed_folder())
    lexicon = lexicon.select(lexicon.examples[:: 12 if options.quick else 3])
    ratios = {}
    with tempfile.TemporaryDirectory() as folder:
        kaggle = write_as_kaggle(lexicon, Path(folder, "kaggle"))
        print(f"{'clips':24} {'parsed, µs':>12} {'cached, µs':>12} {'ratio':>8}")
        for corpus in (lexicon, kaggle):
            parsed = Clips(corpus)
            cached = parsed.fill_cache(FeatureCache(Path(folder, "cache")))
            cases = {"parsed": epoch(parsed), "cached": epoch(cached)}
            seconds = take_turns(cases, rounds=3 if options.quick else 9, limit_s=60)
            ratios[corpus.name] = seconds["parsed"] / seconds["cached"]
            each = {name: 1e6 * value / len(corpus) for name, value in seconds.items()}
            ratio = ratios[corpus.name]
            print(f"{corpus.name:24} {each['parsed']:12.1f} {each['cached']:12.1f} {ratio:7.1f}×")
    write_results("feature_cache", {"machine": machine_facts(), "ratios": ratios, "needed": NEEDED}, options.out)
    return int(min(ratios.values()) < NEEDED)


def epoch(clips: Clips) -> Callable[[], None]:
    """Go through all clips once, each into the same buffer."""
    buffer = np.zeros((512, clips[0].features.shape[1]), dtype=np.float32)

    def go() -> None:
        for clip in clips:
            buffer[: len(clip.features)] = clip.features

    return go


def write_as_kaggle(lexicon: Corpus, root: Path) -> Corpus:
    """Write poses as asl-signs has them: parquet with a row a point, face, left hand, body, right hand."""
    rows = ["path,participant_id,sequence_id,sign"]
    for number, example in enumerate(lexicon.examples):
        pose = read(example.path.read_bytes())
        points = np.r_[33:501, 511:532, 0:33, 532:553]  # of 33 body, 478 face, 21 left hand and 21 right hand
        values = np.asarray(pose.body.data)[:, 0, points] / pose.header.dimensions.width
        values[pose.body.confidence[:, 0, points] == 0] = np.nan
        columns = values.reshape(-1, 3)
        index = np.tile(np.concatenate([np.arange(size) for size in _KAGGLE_SIZES]), len(values))
        path = root / "train_landmark_files" / (example.signer or "") / f"{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        names = dict(zip("xyz", columns.T, strict=True))
        pq.write_table(pa.table({"landmark_index": index.astype(np.int16), **names}), path)
        rows.append(f"{path.relative_to(root)},{example.signer},{number},{example.label}")
    (root / "train.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return read_corpus("asl_signs", root)


if __name__ == "__main__":
    sys.exit(main())
