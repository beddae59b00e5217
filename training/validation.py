"""How good a model in training is on pairs it does not learn from."""

from __future__ import annotations

import numpy as np
import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader

from evaluation.retrieval import number_labels, summarize_clips, summarize_texts
from search.ranking import rank
from search.scoring import DotProducts
from training.batches import Batch, ValidationBatches
from training.learning import Learner

Figures = dict[str, float]


def validate(learner: Learner, batches: ValidationBatches, *, workers: int = 0) -> Figures | None:
    """Score the model as it is, every process a part of the batches.

    Args:
        learner: its model is put back into training mode.
        workers: processes that make batches.
    Returns:
        loss: mean over pairs of their batch's loss; text_to_pose and pose_to_text figures as evaluation computes
        them, keyed like "pose_to_text R@1", where pairs of one text are each other's right answers. None in all
        processes but the main one.
    """
    accelerator = learner.accelerator
    mine = range(accelerator.process_index, len(batches), accelerator.num_processes)
    loader = open_loader(batches, mine, workers=workers, device=accelerator.device)
    learner.contrast.eval()
    found = [(index, *_embed(learner, batch)) for index, batch in zip(mine, loader, strict=True)]
    learner.contrast.train()
    everything = sorted(gather_object(found), key=lambda part: part[0])
    if not accelerator.is_main_process:
        return None
    _, losses, poses, texts, labels = zip(*everything, strict=True)
    counts = [len(part) for part in labels]
    loss = float(np.average(losses, weights=counts))
    return {"loss": loss} | _retrieval(
        np.concatenate(poses), np.concatenate(texts), [x for part in labels for x in part]
    )


def open_loader(source: object, indices: range, *, workers: int, device: torch.device) -> DataLoader[Batch]:
    """Read batches by their numbers, for a device, ahead of whoever takes them if there are workers."""
    return DataLoader(
        source,  # type: ignore[arg-type]
        batch_size=None,
        sampler=indices,
        num_workers=workers,
        # A fork would copy locks that this process's threads hold.
        multiprocessing_context="spawn" if workers else None,
        pin_memory=device.type == "cuda",
        # A loader draws a seed for its workers when it starts; from here, not from what dropout draws from.
        generator=torch.Generator(),
    )


def _embed(learner: Learner, batch: Batch) -> tuple[float, np.ndarray, np.ndarray, list[str]]:
    contrast = learner.contrast
    batch = batch.to(learner.accelerator.device)
    with torch.no_grad():
        with learner.accelerator.autocast():
            pooled = contrast.pool(batch)
        poses, texts = contrast.finish(*pooled)
        loss = float(contrast.loss(poses, texts, None))
    # Equal texts have equal pieces, whatever they were called where they come from.
    pieces = zip(batch.input_ids.tolist(), batch.attention_mask.sum(dim=1).tolist(), strict=True)
    labels = [" ".join(map(str, row[:length])) for row, length in pieces]
    return loss, poses.cpu().numpy(), texts.cpu().numpy(), labels


def _retrieval(poses: np.ndarray, texts: np.ndarray, labels: list[str]) -> Figures:
    label_of, firsts = number_labels(labels)
    different = np.arange(len(firsts))
    by_text = rank(DotProducts(texts[firsts], poses), different, label_of)
    by_clip = rank(DotProducts(poses, texts[firsts]), label_of, different)
    figures = {f"text_to_pose {name}": value for name, value in summarize_texts(by_text, different, label_of).items()}
    return figures | {f"pose_to_text {name}": value for name, value in summarize_clips(by_clip.ranks).items()}
