"""Make a model's background, which says what clips score that show no letter.

    python -m training.fingerspelling.background fingerspelling --json weights/fingerspelling/results.json

The file lies beside the weights (models/background.py). The service compares clips with it: where a model has one, a
similarity says how probable it is that a clip is none of the texts. Clips of other seeds measure how often it is wrong.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from corpora.arrays import Float32Array
from corpora.errors import CorpusError
from corpora.prompts import tag_text
from models.background import Background, locate_background, write_background
from models.checkpoints.folders import WeightsFolder, find_weights_dir, read_digest
from models.errors import ModelsError
from poses import PoseError
from processes.commands import print_error
from processes.version import PRODUCT
from search.null import DEFAULT_RATE, compute_none_probabilities, find_none_logit, sum_logits
from training.errors import TrainingError
from training.fingerspelling.lexicon import LETTERS, LetterClip, read_lexicon
from training.fingerspelling.metrics_file import check_metrics_file, record_metrics
from training.fingerspelling.others import draw_others, read_poses
from training.fingerspelling.prompts import embed_texts
from training.fingerspelling.robustness import CHANGES
from training.fingerspelling.scoring import embed_letters
from training.fingerspelling.trained import TrainedModel, load_trained
from training.fingerspelling.unknown import UNKNOWN_WORD
from training.fingerspelling.webcam import change_clips

# Clips of each kind. Together they know rates down to 1 in 800 and take 400 kB. With half as many the accepted share of
# other clips without a letter was 7.5 % at a rate of 5 %, because nearly all of that share is one kind.
CLIPS_OF_A_KIND = 160
# The clips of one seed are the background, those of the other are held out to measure it.
SEED, HELD_OUT_SEED = 0, 1
# The share of letters that a stricter threshold keeps, at which clips without a letter are counted too.
KEPT = 0.95
# So many words that are no letters make a text of the background.
_UNKNOWN_WORDS = (1, 2, 3)
ABOUT = (
    "Drawn clips that show no letter: hands at rest, coming up, waving, in other signs, and a tracker's noise; "
    "and texts of words that are no letters."
)


def embed_others(trained: TrainedModel, clips: Sequence[LetterClip], *, seed: int) -> dict[str, Float32Array]:
    """Draw clips that show no letter, and embed them as the service does.

    Args:
        clips: whose hands are drawn.
        seed: of the drawing.
    Returns:
        By kind, float32 (clips, embed_dim), raw.
    """
    drawn = draw_others(read_poses(clips), CLIPS_OF_A_KIND, seed=seed)
    trim = trained.config.trim
    return {
        kind: embed_letters(trained.model, change_clips(poses, CHANGES["none"], trim=trim))
        for kind, poses in drawn.items()
    }


def embed_unknown_texts(trained: TrainedModel, clips: Sequence[LetterClip]) -> Float32Array:
    """Embed texts that name no letter: words that the model does not know, with the tags of each language and without.

    Args:
        clips: whose languages are the tags, each with its own spoken language, with English and with none.
    Returns:
        float32 (texts, embed_dim), raw.
    """
    tags: list[tuple[str | None, str | None]] = [(None, None)]
    for sign, own in sorted({(clip.sign, clip.spoken) for clip in clips}):
        tags += [(sign, spoken) for spoken in dict.fromkeys((own, "en", None))]
    texts = [
        tag_text(" ".join([UNKNOWN_WORD] * words), sign=sign, spoken=spoken)
        for sign, spoken in tags
        for words in _UNKNOWN_WORDS
    ]
    return embed_texts(trained.model, trained.tokenizer, texts)


def measure_acceptance(
    trained: TrainedModel,
    background: Float32Array,
    groups: Mapping[str, Float32Array],
    *,
    sign: str | None,
    kept: Float32Array | None = None,
) -> dict[str, float]:
    """Measure which share of each group counts as a letter: for which a letter is more probable than none.

    Args:
        background: float32 (clips, embed_dim), raw; all but DEFAULT_RATE of it count as none.
        groups: by name, float32 (clips, embed_dim), raw.
        sign: tag in the prompts of the 26 letters; None: prompts without tags.
        kept: float32 (clips, embed_dim), raw: letters of which KEPT count as letters; "none" then begins there, and not
            where the background says.
    Returns:
        By name, in percent.
    """
    spoken = None if sign is None else "en"
    texts = [tag_text(letter, sign=sign, spoken=spoken) for letter in LETTERS]
    columns = embed_texts(trained.model, trained.tokenizer, texts).astype(np.float64).T
    none_logit = (
        find_none_logit(background.astype(np.float64) @ columns, rate=DEFAULT_RATE)
        if kept is None
        else float(np.quantile(sum_logits(kept.astype(np.float64) @ columns), 1 - KEPT))
    )
    return {
        name: round(100 * float((compute_none_probabilities(rows @ columns, none_logit) < 0.5).mean()), 1)
        for name, rows in groups.items()
    }


def measure_background(trained: TrainedModel, clips: Sequence[LetterClip], background: Float32Array) -> dict[str, Any]:
    """Measure what the background accepts: held-out clips without a letter, and letters as webcams give them.

    Args:
        clips: the lexicon, which the model learned.
        background: float32 (clips, embed_dim), raw.
    """
    others = embed_others(trained, clips, seed=HELD_OUT_SEED)
    others = {**others, "all": np.concatenate([*others.values()])}
    basic = [clip for clip in clips if clip.is_basic]
    poses = read_poses(basic)
    letters = {
        name: embed_letters(trained.model, change_clips(poses, CHANGES[name], trim=trained.config.trim))
        for name in ("none", "hands lowered 2 s", "no depth", "hands lost in 30 %")
    }
    return {
        "rate": DEFAULT_RATE,
        "background": len(background),
        "accepted": measure_acceptance(trained, background, others, sign=None),
        "accepted_where_95_%_are_kept": measure_acceptance(
            trained, background, others, sign=None, kept=letters["none"]
        ),
        "kept": measure_acceptance(trained, background, letters, sign=None),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the background of a model of letters.

    Returns:
        The exit status: 0 success, 1 the model or the lexicon cannot be read, 2 usage error.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.fingerspelling.background",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("model", nargs="?", default="fingerspelling", help="a name of the catalog")
    parser.add_argument("--json", type=Path, help="metrics file to record the metrics in")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        check_metrics_file(options.json)
        trained, clips = load_trained(options.model), read_lexicon()
        weights = WeightsFolder(find_weights_dir())
        digest = read_digest(weights.locate_converted(trained.config))
        rows = np.concatenate([*embed_others(trained, clips, seed=SEED).values()])
        texts = embed_unknown_texts(trained, clips)
        path = locate_background(weights, trained.config)
        write_background(path, Background(rows, texts, digest, ABOUT))
        metrics = measure_background(trained, clips, rows)
        if options.json is not None:
            record_metrics(options.json, "nothing", metrics)
    except (TrainingError, CorpusError, ModelsError, PoseError, OSError) as error:
        print_error(error)
        return 1
    print(f"{len(rows)} clips and {len(texts)} texts are in {path}")
    for question in ("accepted", "kept"):
        print(f"{question}: " + ", ".join(f"{name} {share:.1f} %" for name, share in metrics[question].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
