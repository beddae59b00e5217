"""Score a trained model as a dictionary of the clips it learned: `python -m training.fingerspelling.dictionary`.

This asks whether it knows what it was shown; crossvalidate.py asks what it makes of new signers.
"""

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from evaluation.retrieval import measure_pose_to_text, measure_text_to_pose
from models.architecture import SignClip
from models.catalog import load_catalog
from models.checkpoints.folders import WeightsFolder, find_weights_dir
from models.checkpoints.loading import load_model
from training.fingerspelling.figures import record
from training.fingerspelling.lexicon import Clip, read_lexicon
from training.fingerspelling.prompts import embed_texts, prompt
from training.fingerspelling.scoring import embed_clips

SPOKEN_TAGS = ("own", "english", "none")
"""Ways to ask: `<de> <gsg> A` as the lexicon pairs them, `<en> <gsg> A`, `<gsg> A`."""


def score_dictionary(model: SignClip, tokenizer: Tokenizer, clips: list[Clip]) -> dict[str, dict[str, float]]:
    """Search all clips by all prompts and all prompts by all clips.

    Returns:
        for each of SPOKEN_TAGS the R@1 in percent of text_to_pose and pose_to_text; each prompt has one clip.
    """
    poses = embed_clips(model, [clip.features for clip in clips])
    figures = {}
    for asked in SPOKEN_TAGS:
        spoken = {"own": None, "english": "en", "none": None}[asked]
        texts = [
            prompt(clip.letter, sign=clip.sign, spoken=clip.spoken if asked == "own" else spoken) for clip in clips
        ]
        scores = embed_texts(model, tokenizer, texts) @ poses.T
        figures[asked] = {
            "text_to_pose": round(100 * measure_text_to_pose(scores, texts)["R@1"], 1),
            "pose_to_text": round(100 * measure_pose_to_text(scores, texts)["R@1"], 1),
        }
    return figures


def print_dictionary(figures: dict[str, dict[str, float]]) -> None:
    """Print a row for each way to write the spoken tag."""
    print(f"{'spoken tag':12}{'text to pose R@1':>18}{'pose to text R@1':>18}")
    for asked, row in figures.items():
        print(f"{asked:12}{row['text_to_pose']:18.1f}{row['pose_to_text']:18.1f}")


def main() -> None:
    """Score the shipped weights from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.fingerspelling.dictionary", description=__doc__)
    parser.add_argument("model", nargs="?", default="fingerspelling")
    parser.add_argument("--json", type=Path, help="results file that also gets the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = load_catalog()[arguments.model]
    weights = WeightsFolder(find_weights_dir())
    model = load_model(weights.locate_converted(config), config)
    tokenizer = Tokenizer.from_file(str(weights.locate_tokenizer(config) / "tokenizer.json"))
    figures = score_dictionary(model, tokenizer, read_lexicon())
    print_dictionary(figures)
    if arguments.json is not None:
        record(arguments.json, "dictionary", figures)


if __name__ == "__main__":
    main()
