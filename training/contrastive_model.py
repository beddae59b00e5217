"""A model in training: its two towers, frozen or learning, and the scale of its scores."""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn

from models.architecture import SignClip
from models.catalog import ModelConfig, Tower
from models.exemplars import Exemplars
from training.batches import PairBatch
from training.loss import compute_info_nce
from training.sections.run import Loss


class ContrastiveModel(nn.Module):
    """Both towers and the logit scale.

    During training the model's own logit_scale is 1, and `log_scale` replaces it. `make_final_config` joins the two.

    Args:
        model: its towers are trained in place.
        settings: of the loss.
        frozen: towers that keep their weights.
    Attributes:
        model: the SignClip model.
        log_scale: natural logarithm of the logit scale, a scalar.
        frozen: the towers that are frozen so far.
    """

    def __init__(self, model: SignClip, settings: Loss, *, frozen: Collection[Tower] = ()) -> None:
        super().__init__()
        scale = model.config.logit_scale if settings.temperature is None else 1 / settings.temperature
        if settings.learn_scale:
            scale = min(scale, settings.largest_scale)
        self._config = model.config
        model.config = model.config.model_copy(update={"logit_scale": 1.0})
        self.model = model
        self.settings = settings
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)), requires_grad=settings.learn_scale)
        self.frozen: frozenset[Tower] = frozenset()
        self.freeze(frozen)

    def freeze(self, towers: Collection[Tower]) -> None:
        """Freeze towers: they get no gradient and no dropout, and keep their weights."""
        self.frozen |= frozenset(towers)
        for part in self._list_frozen_parts():
            part.requires_grad_(False)
            part.eval()

    def compile_layers(self) -> None:
        """Compile what each layer computes beside attention, for any number of positions, when it is first used."""
        for tower in (self.model.pose_tower, self.model.text_tower):
            for layer in tower.bert.encoder.layer:
                for part in (layer.attention.output, layer.intermediate, layer.output):
                    part.compile(dynamic=True)

    def train(self, mode: bool = True) -> ContrastiveModel:
        """Switch dropout on or off. The dropout of a frozen tower stays off."""
        super().train(mode)
        for part in self._list_frozen_parts():
            part.eval()
        return self

    def _list_frozen_parts(self) -> list[nn.Module]:
        parts = {
            "text": (self.model.text_tower, self.model.text_projection),
            "pose": (self.model.pose_tower, self.model.pose_projection),
        }
        return [part for tower in self.frozen for part in parts[tower] if part is not None]

    @property
    def scale(self) -> Tensor:
        """The factor of the scores; float32 scalar."""
        return self.log_scale.exp()

    def limit_scale(self) -> None:
        """Keep a learned scale within its bound, after an update.

        The parameter itself is limited. If its value were limited in the loss, a parameter above the bound would get no
        gradient, and the scale could never fall again.
        """
        if self.settings.learn_scale:
            with torch.no_grad():
                self.log_scale.clamp_(max=math.log(self.settings.largest_scale))

    def pool(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Run both towers.

        Returns:
            Poses and texts, (pairs, width) each, in the number format of the surrounding autocast.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and "pose" not in self.frozen):
            poses = batch.pool_poses(self.model.pose_tower)
        with torch.set_grad_enabled(torch.is_grad_enabled() and "text" not in self.frozen):
            texts = batch.pool_texts(self.model.text_tower)
        return poses, texts

    def finish(self, poses: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """Turn the results of `pool` into embeddings, before the logit scale.

        Args:
            poses, texts: (pairs, width).
        Returns:
            Poses and texts, float32 (pairs, embed_dim) each.
        """
        model = self.model
        return model.finish(poses.float(), model.pose_projection), model.finish(texts.float(), model.text_projection)

    def compute_loss(self, poses: Tensor, texts: Tensor, *, targets: Tensor | None) -> Tensor:
        """Compare every text with every clip.

        Args:
            poses, texts: float32 (pairs, embed_dim), of `finish`.
            targets: float32 (texts, clips), see BatchSource.make_targets.
        Returns:
            float32 scalar, in nats.
        """
        scores = texts @ poses.T * self.scale
        return compute_info_nce(scores, targets, reduction=self.settings.reduction)

    def add_exemplars(self, exemplars: Exemplars) -> None:
        """Give the trained pose tower exemplars in place of those that it has."""
        self.model.pose_tower.exemplars = exemplars
        self._config = self._config.model_copy(update={"exemplars": len(exemplars.points)})

    def make_final_config(self) -> ModelConfig:
        """Return the configuration to serve the model with. A scale that was not learned keeps its given value."""
        if self.settings.learn_scale:
            scale = round(float(self.scale.detach()), 4)
        else:
            scale = self._config.logit_scale if self.settings.temperature is None else 1 / self.settings.temperature
        return self._config.model_copy(update={"logit_scale": scale})
