"""How good a model in training is on pairs that it does not learn from."""

from __future__ import annotations

import numpy as np
import torch

from corpora.arrays import Float32Array
from evaluation.retrieval import number_labels, summarize_clips, summarize_texts
from search.ranking import rank
from search.scoring import DotProducts
from training.batches import PairBatch, ValidationBatches
from training.learning import Learner, describe_divergence
from training.loader import open_loader

Metrics = dict[str, float]


class Validator:
    """Validates a model in training. Its loader's workers stay between validations, because starting one takes seconds.

    Args:
        learner: its model is returned to training mode after each validation.
        batches: all pairs to validate on. Each process embeds a part of them.
        workers: processes that make batches.
    """

    def __init__(self, learner: Learner, batches: ValidationBatches, *, workers: int = 0) -> None:
        accelerator = learner.accelerator
        self._learner = learner
        self._own = range(accelerator.process_index, len(batches), accelerator.num_processes)
        self._loader = open_loader(batches, self._own, workers=workers, device=accelerator.device, reused=True)

    def validate(self) -> Metrics | None:
        """Validate the model as it is.

        Returns:
            "loss", the mean over pairs of their batch's loss; and the metrics of both directions that evaluation
            computes, named like "pose_to_text R@1", in which pairs of one text are right answers to each other.
            "pose_to_text tied" is the share of clips whose rank the order of equal scores decides. None in all
            processes but the main one.
        Raises:
            DivergedError: a vector holds something that is not a finite number.
        """
        from accelerate.utils import gather_object  # late, because only an opened accelerator proves it is installed

        learner = self._learner
        learner.contrastive.eval()
        found = [(index, *_embed(learner, batch)) for index, batch in zip(self._own, self._loader, strict=True)]
        learner.contrastive.train()
        everything = sorted(gather_object(found), key=lambda part: part[0])
        if not learner.accelerator.is_main_process:
            return None
        _, losses, *vectors, labels = zip(*everything, strict=True)
        poses, texts = map(np.concatenate, vectors)
        _check_finite(poses, texts, learner)
        counts = [len(part) for part in labels]
        all_labels = [label for part in labels for label in part]
        loss = float(np.average(losses, weights=counts))
        return {"loss": loss} | _measure_retrieval(poses, texts, all_labels)


def _embed(learner: Learner, batch: PairBatch) -> tuple[float, Float32Array, Float32Array, list[str]]:
    contrastive = learner.contrastive
    texts_of_pairs = batch.list_texts()
    batch = batch.to(learner.accelerator.device)
    with torch.no_grad():
        with learner.accelerator.autocast():
            pooled = contrastive.pool(batch)
        poses, texts = contrastive.finish(*pooled)
        loss = float(contrastive.compute_loss(poses, texts, targets=None))
    # Texts are compared by their word pieces, so that equal prompts of different data sets are equal here.
    labels = [" ".join(map(str, tokens)) for tokens in texts_of_pairs]
    return loss, poses.cpu().numpy(), texts.cpu().numpy(), labels


def _check_finite(poses: Float32Array, texts: Float32Array, learner: Learner) -> None:
    broken = {"clips": poses, "texts": texts}
    counts = {name: int((~np.isfinite(vectors).all(axis=1)).sum()) for name, vectors in broken.items()}
    if any(counts.values()):
        found = " and ".join(f"{count} of {len(broken[name])} {name}" for name, count in counts.items() if count)
        raise describe_divergence(f"its vectors of {found} in validation", learner.run.optimizer)


def _measure_retrieval(poses: Float32Array, texts: Float32Array, labels: list[str]) -> Metrics:
    label_of, firsts = number_labels(labels)
    different = np.arange(len(firsts))
    by_text = rank(DotProducts(texts[firsts], poses), different, label_of)
    by_clip = rank(DotProducts(poses, texts[firsts]), label_of, different)
    metrics = {f"text_to_pose {name}": value for name, value in summarize_texts(by_text, different, label_of).items()}
    metrics |= {f"pose_to_text {name}": value for name, value in summarize_clips(by_clip.ranks).items()}
    return metrics | {"pose_to_text tied": float(np.mean(by_clip.ties > 0))}
