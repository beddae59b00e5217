"""Score a model on clips as webcams give them: `python -m training.fingerspelling.robustness`.

The clips are those of four languages that the model learned, each changed in one way (webcam.py), with trimming and
without. Everything that the changes leave readable is known to the model, so a perfect one would name all letters.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from corpora.arrays import Float32Array
from corpora.errors import CorpusError
from corpora.prompts import tag_text
from models.errors import ModelsError
from poses import Trim
from poses.flip import mirror
from processes.commands import print_error
from processes.version import PRODUCT
from training.errors import TrainingError
from training.fingerspelling import webcam
from training.fingerspelling.dictionary import format_dictionary, score_dictionary
from training.fingerspelling.lexicon import DEEPER, LETTERS, LetterClip, read_lexicon
from training.fingerspelling.metrics_file import check_metrics_file, record_metrics
from training.fingerspelling.others import read_poses
from training.fingerspelling.prompts import embed_texts
from training.fingerspelling.scoring import embed_letters, rank_letters, rank_letters_of_clips
from training.fingerspelling.trained import TrainedModel, load_trained
from training.fingerspelling.webcam import change_clips

# Two with the international alphabet, one whose letters are its own, one with both hands.
LANGUAGES = ("ase", "gsg", "swl", "cse")
TRIMS: tuple[Trim, ...] = ("none", "auto")
# The dictionary's clips have this much time before and after, in seconds.
LOWERED_S = 2.0
CHANGES: Mapping[str, webcam.Change] = {
    "none": lambda pose: pose,
    "a quarter of the pace": partial(webcam.change_pace, factor=0.25),
    "half the pace": partial(webcam.change_pace, factor=0.5),
    "double pace": partial(webcam.change_pace, factor=2.0),
    "held for 5 s": partial(webcam.hold_longer, seconds=5.0),
    "noise 0.01": partial(webcam.add_noise, strength=0.01),
    "noise 0.02": partial(webcam.add_noise, strength=0.02),
    "roll 20°": partial(webcam.turn, roll=20.0),
    "roll 30°": partial(webcam.turn, roll=30.0),
    "yaw 30°": partial(webcam.turn, yaw=30.0, depth=DEEPER),
    "pitch 30°": partial(webcam.turn, pitch=30.0, depth=DEEPER),
    "mirrored": mirror,
    "hands lost in 30 %": partial(webcam.lose_hands, share=0.3),
    "hands lost in 45 %": partial(webcam.lose_hands, share=0.45),
    "hands lost in 60 %": partial(webcam.lose_hands, share=0.6),
    "no depth": webcam.remove_depth,
    "hands lowered 1 s": partial(webcam.add_lowered_hands, seconds=1.0),
    "hands lowered 2 s": partial(webcam.add_lowered_hands, seconds=LOWERED_S),
    "still 1 s": partial(webcam.add_stillness, seconds=1.0),
    "still 2 s": partial(webcam.add_stillness, seconds=2.0),
    "out of view 1 s": partial(webcam.add_hands_out_of_view, seconds=1.0),
    "out of view 2 s": partial(webcam.add_hands_out_of_view, seconds=2.0),
}


class LetterTest:
    """Clips of letters, and the texts among which a model has to find each.

    Args:
        trained: the model.
        clips: letters of the basic alphabet, in any languages.
    """

    def __init__(self, trained: TrainedModel, clips: Sequence[LetterClip]) -> None:
        self._trained = trained
        self._letters = np.array([LETTERS.index(clip.letter) for clip in clips])
        self._signs = np.array([clip.sign for clip in clips])
        self._bare = self._embed(None)
        tagged = {sign: self._embed(sign) for sign in dict.fromkeys(self._signs.tolist())}
        self._tagged = np.stack([tagged[clip.sign] for clip in clips])  # clips, letters, dim

    def _embed(self, sign: str | None) -> Float32Array:
        spoken = None if sign is None else "en"
        texts = [tag_text(letter, sign=sign, spoken=spoken) for letter in LETTERS]
        return embed_texts(self._trained.model, self._trained.tokenizer, texts)

    def score(self, features: Sequence[Float32Array]) -> dict[str, float]:
        """Name the letter of each clip.

        Returns:
            R@1 in percent: of each language among its 26 prompts `<en> <ase> A`; and as "bare" of all clips among the
            26 letters without tags.
        """
        poses = embed_letters(self._trained.model, features)
        tagged = rank_letters_of_clips(poses, self._tagged, self._letters) == 1
        bare = rank_letters(poses, self._bare, self._letters) == 1
        metrics = {sign: float(tagged[self._signs == sign].mean()) for sign in dict.fromkeys(self._signs.tolist())}
        return {name: round(100 * value, 1) for name, value in {**metrics, "bare": float(bare.mean())}.items()}


def score_changes(trained: TrainedModel, *, quiet: bool = False) -> dict[str, dict[str, dict[str, float]]]:
    """Score a model on every change, with trimming and without.

    Returns:
        For each of TRIMS and each change what LetterTest.score returns.
    Raises:
        CorpusError: the lexicon cannot be read.
    """
    clips = [clip for clip in read_lexicon(languages=frozenset(LANGUAGES)) if clip.is_basic]
    test, poses = LetterTest(trained, clips), read_poses(clips)
    metrics: dict[str, dict[str, dict[str, float]]] = {}
    for trim in TRIMS:
        bar = tqdm(CHANGES.items(), desc=f"trim {trim}", disable=True if quiet else None)
        metrics[trim] = {name: test.score(change_clips(poses, change, trim=trim)) for name, change in bar}
    return metrics


def score_lowered_dictionary(trained: TrainedModel) -> dict[str, dict[str, float]]:
    """Score a model as a dictionary of all clips, each with hands that are lowered for 2 s at either end.

    Returns:
        What score_dictionary returns.
    Raises:
        CorpusError: the lexicon cannot be read.
    """
    clips = read_lexicon()
    features = change_clips(read_poses(clips), CHANGES["hands lowered 2 s"], trim=trained.config.trim)
    return score_dictionary(trained.model, trained.tokenizer, clips, features=features)


def format_changes(metrics: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Format the metrics of score_changes as a Markdown table: without trimming → with trimming."""
    names = [*LANGUAGES, "bare"]
    lines = [f"| change | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
    for change, whole in metrics["none"].items():
        pairs = [(whole[name], metrics["auto"][change][name]) for name in names]
        cells = [f"{before:.0f}" if before == after else f"{before:.0f} → {after:.0f}" for before, after in pairs]
        lines.append(f"| {change} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Score a model.

    Returns:
        The exit status: 0 success, 1 the model or the lexicon cannot be read, 2 usage error.
    """
    parser = argparse.ArgumentParser(prog="python -m training.fingerspelling.robustness", description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("model", nargs="?", default="fingerspelling", help="a name of the catalog")
    parser.add_argument("--json", type=Path, help="metrics file to record the metrics in")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        check_metrics_file(options.json)
        trained = load_trained(options.model)
        changes, dictionary = score_changes(trained), score_lowered_dictionary(trained)
        if options.json is not None:
            record_metrics(options.json, "webcam", {"changes": changes, "lowered_dictionary": dictionary})
    except (TrainingError, CorpusError, ModelsError, OSError) as error:
        print_error(error)
        return 1
    print(format_changes(changes))
    print(f"\nAs a dictionary, with hands lowered for {LOWERED_S:g} s at either end:\n{format_dictionary(dictionary)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
