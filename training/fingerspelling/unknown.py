"""Drawn clips that show no letter, as pairs to learn from: their text is a word that the model does not know.

So a model learns where clips belong that are none of its letters: beside the texts that say nothing to it.
"""

from collections.abc import Sequence

import numpy as np

from poses import FeatureOptions, Trim, extract
from training.fingerspelling.lexicon import FEATURE_KIND, LetterClip
from training.fingerspelling.others import draw_others, read_poses

# Any word that is no letter: to the tokenizer of letters it is one [UNK].
UNKNOWN_WORD = "nothing"
# Apart from the seeds of the backgrounds that measure what a model learned of these.
SEED = 1000


def draw_unknown_clips(clips: Sequence[LetterClip], count: int, *, seed: int, trim: Trim) -> list[LetterClip]:
    """Draw clips that show no letter.

    Args:
        clips: whose hands are drawn, and whose languages the clips get.
        count: clips of each kind.
        seed: of the run.
        trim: as the model is served.
    Raises:
        PoseError, OSError: a clip's file cannot be read.
    """
    if not count:
        return []
    rng = np.random.default_rng((SEED, seed))
    drawn = draw_others(read_poses(clips), count, seed=SEED + seed)
    options = FeatureOptions(trim=trim)
    unknown = []
    for pose in (pose for poses in drawn.values() for pose in poses):
        source = clips[int(rng.integers(len(clips)))]
        features = extract(pose, FEATURE_KIND, options)
        unknown.append(LetterClip(source.path, source.spoken, source.sign, UNKNOWN_WORD, features))
    return unknown
