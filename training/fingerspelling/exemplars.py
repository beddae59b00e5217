"""The clips of a run as exemplars of its model: what clips of nearly the same mean hand geometry are, they vote for.

The votes solve kernel ridge regression from the mean geometry of clips, each also as webcams change it, to vectors in
the space of the trained towers. So they are found after training, in closed form, and the towers know nothing of them.
"""

from collections.abc import Sequence
from functools import partial

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from corpora.arrays import Float32Array
from corpora.prompts import tag_text
from models.architecture import SignClip
from models.exemplars import Exemplars, average_geometry, measure_closeness
from models.hand_geometry import HandGeometry
from training.errors import ExperimentError
from training.fingerspelling.lexicon import DEEPER, LETTERS, LetterClip
from training.fingerspelling.others import read_poses
from training.fingerspelling.prompts import embed_texts, normalize_letter
from training.fingerspelling.scoring import pad_batches
from training.fingerspelling.webcam import Change, change_clips, lose_hands, remove_depth, turn
from training.sections.hands import ExemplarVotes

# Every clip is also read without depth, turned each way, and with hands lost. The seed is none that robustness.py has.
CHANGES: Sequence[Change] = (
    remove_depth,
    *(partial(turn, pitch=angle, depth=DEEPER) for angle in (25.0, -25.0)),
    *(partial(turn, yaw=angle, depth=DEEPER) for angle in (25.0, -25.0)),
    *(partial(turn, roll=angle) for angle in (25.0, -25.0)),
    partial(lose_hands, share=0.45, seed=1),
)
# A letter without tags counts as much as the prompts of so many clips, because it is what new signers are asked by.
_UNTAGGED_WEIGHT = 4.0
# Texts are not orthogonal, so a vote for one letter would also count for others. The smaller this share of the texts'
# mean eigenvalue is, the less it does, and the longer votes are.
_TEXT_RIDGE = 0.1


def find_exemplars(
    model: SignClip, tokenizer: Tokenizer, clips: Sequence[LetterClip], *, settings: ExemplarVotes
) -> Exemplars:
    """Find the exemplars of a trained model.

    Args:
        model: on the CPU and in evaluation mode; it reads hand geometry and gives unit vectors.
        tokenizer: of the model.
        clips: that the model learned.
        settings: of the run.
    Returns:
        One point for each clip.
    Raises:
        ExperimentError: the model reads no hand geometry.
        PoseError, OSError: a clip's file cannot be read.
    """
    geometry = model.pose_tower.geometry
    if geometry is None:
        raise ExperimentError(f"model {model.config.name!r} reads no hand geometry, which exemplars are points of")
    poses = read_poses(clips)
    points = describe_means(geometry, [clip.features for clip in clips])
    changed = [describe_means(geometry, change_clips(poses, change, trim=model.config.trim)) for change in CHANGES]
    aims = aim_votes(model, tokenizer, clips, own_text=settings.own_text)
    votes = solve_votes(torch.cat([points, *changed]), aims.repeat(1 + len(changed), 1), points, ridge=settings.ridge)
    exemplars = Exemplars(len(clips), points.shape[1], aims.shape[1])
    exemplars.points.copy_(points)
    exemplars.votes.copy_(settings.share * votes)
    return exemplars


def describe_means(geometry: HandGeometry, features: Sequence[Float32Array]) -> Tensor:
    """Describe the mean hand geometry of clips.

    Args:
        geometry: of the model.
        features: float32 (frames, 609) each, as served.
    Returns:
        float32 (clips, features of the geometry).
    """
    return torch.cat([average_geometry(geometry(frames, mask)) for frames, mask in pad_batches(features)])


def aim_votes(model: SignClip, tokenizer: Tokenizer, clips: Sequence[LetterClip], *, own_text: float) -> Tensor:
    """Find the vectors that votes should be: 1 by the texts of a clip's letter, 0 by all others.

    Args:
        model: in evaluation mode; its texts are normalized here.
        tokenizer: of the model.
        clips: each with a letter and its languages.
        own_text: share of the way from the mean text of a clip's letter to its own, which a vote goes besides.
    Returns:
        float64 (clips, embed_dim).
    """
    letters = [normalize_letter(clip.letter) for clip in clips]
    names = sorted({*letters, *map(normalize_letter, LETTERS)})
    tagged = [tag_text(clip.letter, sign=clip.sign, spoken=tag) for clip in clips for tag in (clip.spoken, "en", None)]
    texts = torch.from_numpy(embed_texts(model, tokenizer, [*map(tag_text, names), *tagged])).double()
    texts = functional.normalize(texts, dim=-1)  # untagged letters, then three texts of each clip
    places = torch.tensor([names.index(letter) for letter in letters])
    shown = torch.cat([torch.arange(len(names)), places.repeat_interleave(3)])  # the letter of each text
    weights = torch.where(torch.arange(len(texts)) < len(names), _UNTAGGED_WEIGHT, 1 / 3).double()
    weighted = texts * weights[:, None]
    sums = torch.zeros(len(names), texts.shape[1], dtype=torch.float64).index_add_(0, shown, weighted)
    products = weighted.T @ texts
    products += _TEXT_RIDGE * products.trace() / len(products) * torch.eye(len(products), dtype=torch.float64)
    own = texts[len(names) :].view(len(clips), 3, -1).mean(dim=1)
    means = torch.zeros_like(sums).index_add_(0, places, own) / places.bincount(minlength=len(names))[:, None]
    aims: Tensor = torch.linalg.solve(products, sums[places].T).T + own_text * (own - means[places])
    return aims


def solve_votes(means: Tensor, aims: Tensor, points: Tensor, *, ridge: float) -> Tensor:
    """Solve for the votes of points whose sums come nearest to what is aimed at.

    Args:
        means: float32 (samples, features), mean geometries.
        aims: float64 (samples, width), the sum of votes that each should get.
        points: float32 (count, features).
        ridge: weight of the votes' own size, as in kernel ridge regression.
    Returns:
        float64 (count, width).
    Source: Rifkin, Yeo and Poggio, 2003, Regularized Least-Squares Classification: the subset method.
    """
    closeness = measure_closeness(means.double(), points.double())  # (samples, count)
    among = measure_closeness(points.double(), points.double())  # (count, count)
    # The last summand keeps the equation solvable where two clips are the same.
    small = 1e-6 * torch.eye(len(points), dtype=torch.float64)
    votes: Tensor = torch.linalg.solve(closeness.T @ closeness + ridge * among + small, closeness.T @ aims)
    return votes
