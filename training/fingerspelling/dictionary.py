"""Score a model as a dictionary of the clips that it learned: `python -m training.fingerspelling.dictionary`.

This measures whether the model knows what it was shown; crossvalidate.py measures how it does on new signers.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from corpora.arrays import Float32Array
from corpora.errors import CorpusError
from corpora.prompts import tag_text
from evaluation.retrieval import measure_pose_to_text, measure_text_to_pose
from models.architecture import SignClip
from models.errors import ModelsError
from poses import FeatureOptions
from processes.commands import print_error
from processes.version import PRODUCT
from training.errors import TrainingError
from training.fingerspelling.lexicon import LetterClip, read_lexicon
from training.fingerspelling.metrics_file import check_metrics_file, record_metrics
from training.fingerspelling.prompts import embed_texts
from training.fingerspelling.scoring import embed_letters
from training.fingerspelling.trained import load_trained

# Which spoken tag prompts have: `<de> <gsg> A` as the lexicon pairs them, `<en> <gsg> A`, or `<gsg> A`.
SPOKEN_TAGS = ("own", "english", "none")


def score_dictionary(
    model: SignClip,
    tokenizer: Tokenizer,
    clips: Sequence[LetterClip],
    *,
    features: Sequence[Float32Array] | None = None,
) -> dict[str, dict[str, float]]:
    """Search all clips by all prompts, and all prompts by all clips.

    Args:
        model: in evaluation mode.
        tokenizer: of the model.
        clips: that the model learned.
        features: float32 (frames, 609) for each clip, where it is searched as another recording; None: the clips' own.
    Returns:
        For each of SPOKEN_TAGS the R@1 in percent of text_to_pose and pose_to_text. Each prompt has one clip.
    """
    poses = embed_letters(model, [clip.features for clip in clips] if features is None else features)
    metrics = {}
    for spoken_tag in SPOKEN_TAGS:
        texts = [tag_text(clip.letter, sign=clip.sign, spoken=_find_spoken(clip, spoken_tag)) for clip in clips]
        scores = embed_texts(model, tokenizer, texts) @ poses.T
        metrics[spoken_tag] = {
            "text_to_pose": round(100 * measure_text_to_pose(scores, texts)["R@1"], 1),
            "pose_to_text": round(100 * measure_pose_to_text(scores, texts)["R@1"], 1),
        }
    return metrics


def _find_spoken(clip: LetterClip, spoken_tag: str) -> str | None:
    return {"own": clip.spoken, "english": "en", "none": None}[spoken_tag]


def format_dictionary(metrics: dict[str, dict[str, float]]) -> str:
    """Format the metrics of score_dictionary as a table with a row for each spoken tag."""
    lines = [f"{'spoken tag':12}{'text to pose R@1':>18}{'pose to text R@1':>18}"]
    lines += [f"{tag:12}{row['text_to_pose']:18.1f}{row['pose_to_text']:18.1f}" for tag, row in metrics.items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Score the shipped weights.

    Returns:
        The exit status: 0 success, 1 the model or the lexicon cannot be read, 2 usage error.
    """
    parser = argparse.ArgumentParser(prog="python -m training.fingerspelling.dictionary", description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("model", nargs="?", default="fingerspelling", help="a name of the catalog")
    parser.add_argument("--json", type=Path, help="metrics file to record the metrics in")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        check_metrics_file(options.json)
        trained = load_trained(options.model)
        clips = read_lexicon(options=FeatureOptions(trim=trained.config.trim))
        metrics = score_dictionary(trained.model, trained.tokenizer, clips)
        print(format_dictionary(metrics))
        if options.json is not None:
            record_metrics(options.json, "dictionary", metrics)
    except (TrainingError, CorpusError, ModelsError, OSError) as error:
        print_error(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
