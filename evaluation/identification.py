"""How well the nearest prompt names the sign language of a clip.

Source: test_identification_dicta.py, J22Melody/fairseq@a8199440.
"""

from typing import Any

import numpy as np

from corpora.prompts import Task
from evaluation.results import SearchResults
from evaluation.vectors import EmbeddedCorpus

IDENTIFICATION_TASKS: tuple[Task, ...] = ("identification", "identification_oracle")


def measure_identification(vectors: EmbeddedCorpus, results: SearchResults) -> dict[str, Any]:
    """Compare the sign language of each clip with that of its nearest prompt.

    Args:
        vectors: of a data set whose clips all have a sign language.
        results: the searches of its clips and prompts.
    Returns:
        ``F1_micro``, which is the share of clips that are named rightly; ``F1_macro``, the mean over sign languages;
        and ``F1``, by sign language. A language that is never named and never right has 0.
    """
    from sklearn.metrics import f1_score  # It takes a second to import, which other tasks need not pay.

    _, firsts = np.unique(vectors.prompt_of, return_index=True)
    named = vectors.sign_languages[firsts][results.pose_to_text.top[:, 0]]
    tags = np.unique(vectors.sign_languages)
    scores = f1_score(vectors.sign_languages, named, labels=tags, average=None, zero_division=0.0)
    return {
        "F1_micro": float(np.mean(named == vectors.sign_languages)),
        "F1_macro": float(np.mean(scores)),
        "F1": {str(tag): float(score) for tag, score in zip(tags, scores, strict=True)},
    }


def format_identification(scores: dict[str, Any]) -> str:
    """Write what measure_identification returned as one line."""
    each = ", ".join(f"{tag} {value:.3f}" for tag, value in scores["F1"].items())
    return f"sign languages: F1 micro {scores['F1_micro']:.3f}, macro {scores['F1_macro']:.3f} ({each})"
