"""A model as training sees it: two towers that learn or not, and the scale of their scores."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn

from models.architecture import SignClip
from models.catalog import ModelConfig, Tower
from training.batches import Batch
from training.experiment import Loss
from training.loss import symmetric_info_nce


class Contrast(nn.Module):
    """Both towers and the logit scale.

    While it trains, the model's own logit_scale is 1 and `log_scale` stands for it; `final_config` joins them again.

    Attributes:
        model: whose towers are trained.
        log_scale: natural logarithm of the logit scale.
        frozen: towers that stay as they are.
    """

    def __init__(self, model: SignClip, settings: Loss, *, frozen: Collection[Tower] = ()) -> None:
        super().__init__()
        scale = model.config.logit_scale if settings.temperature is None else 1 / settings.temperature
        self._config = model.config
        model.config = model.config.model_copy(update={"logit_scale": 1.0})
        self.model = model
        self.settings = settings
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)), requires_grad=settings.learn_scale)
        self.frozen: frozenset[Tower] = frozenset()
        self.freeze(frozen)

    def freeze(self, towers: Collection[Tower]) -> None:
        """Let towers keep the weights they have: no gradient, no dropout."""
        self.frozen |= frozenset(towers)
        for part in self._frozen_parts():
            part.requires_grad_(False)
            part.eval()

    def train(self, mode: bool = True) -> Contrast:
        """Switch dropout on or off; a frozen tower's stays off."""
        super().train(mode)
        for part in self._frozen_parts():
            part.eval()
        return self

    def _frozen_parts(self) -> list[nn.Module]:
        parts = {
            "text": (self.model.text_tower, self.model.text_projection),
            "pose": (self.model.pose_tower, self.model.pose_projection),
        }
        return [part for tower in self.frozen for part in parts[tower] if part is not None]

    @property
    def scale(self) -> Tensor:
        """What scores are multiplied by; float32 scalar."""
        return self.log_scale.exp().clamp(max=self.settings.largest_scale)

    def pool(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run both towers: poses and texts, (pairs, width), in the number format of an autocast around it."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and "pose" not in self.frozen):
            poses = self._pool_poses(batch)
        with torch.set_grad_enabled(torch.is_grad_enabled() and "text" not in self.frozen):
            texts = self._pool_texts(batch.input_ids, batch.attention_mask)
        return poses, texts

    def _pool_poses(self, batch: Batch) -> Tensor:
        tower = self.model.pose_tower
        if not batch.described:
            whole: Tensor = tower(batch.pose_features, batch.frame_mask)
            return whole
        if batch.pose_features.ndim == 4:
            return tower.encode_readings(batch.pose_features)
        return tower.encode_frames(batch.pose_features, batch.frame_mask)

    def _pool_texts(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        if input_ids.is_cuda:
            pooled: Tensor = self.model.text_tower(input_ids, attention_mask)
            return pooled
        # A CPU computes padding as slowly as words, so equal lengths go together.
        lengths = attention_mask.sum(dim=1)
        order = lengths.argsort(stable=True)
        groups = order.split(lengths.bincount()[lengths.unique()].tolist())
        parts = [
            self.model.text_tower(input_ids[rows, : lengths[rows[0]]], attention_mask[rows, : lengths[rows[0]]])
            for rows in groups
        ]
        return torch.cat(parts)[order.argsort()]

    def finish(self, poses: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Turn what `pool` gives into embeddings, float32 (pairs, embed_dim) each, before the logit scale."""
        model = self.model
        return model.finish(poses.float(), model.pose_projection), model.finish(texts.float(), model.text_projection)

    def loss(self, poses: Tensor, texts: Tensor, targets: Tensor | None) -> Tensor:
        """Compare every text with every clip; float32 scalar, in nats.

        Args:
            poses, texts: float32 (pairs, embed_dim), of `finish`.
            targets: float32 (texts, clips), see BatchSource.targets.
        """
        scores = texts @ poses.T * self.scale
        return symmetric_info_nce(scores, targets, directions=self.settings.directions)

    def final_config(self) -> ModelConfig:
        """The model's configuration to serve it with; a scale that was not learned is the one that was given."""
        if self.settings.learn_scale:
            scale = round(float(self.scale.detach()), 4)
        else:
            scale = self._config.logit_scale if self.settings.temperature is None else 1 / self.settings.temperature
        return self._config.model_copy(update={"logit_scale": scale})
