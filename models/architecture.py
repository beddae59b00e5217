"""SignCLIP's two towers: text and poses, each a BERT of its own, meeting in one space.

Source: MMFusionSeparate, J22Melody/fairseq@a8199440, examples/MMPT/mmpt/models/mmfusion.py, on transformers' BERT.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from models.catalog import ModelConfig, TowerConfig
from models.errors import ShapeError
from models.hand_geometry import HandGeometry

CONVOLUTION_KERNEL = 17
# BERT's word list is only needed for [CLS] and [SEP] in the pose tower: two rows, in this order.
POSE_CLS, POSE_SEP = 0, 1


def _bert(tower: TowerConfig, *, vocab_size: int, positions: int, dropout: float) -> BertModel:
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=tower.width,
        num_hidden_layers=tower.layers,
        num_attention_heads=tower.heads,
        intermediate_size=tower.inner,
        max_position_embeddings=positions,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        layer_norm_eps=1e-12,
        pad_token_id=None,
        attn_implementation="sdpa",
    )
    return BertModel(config, add_pooling_layer=False)


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over positions where mask is True; hidden (batch, positions, width), mask (batch, positions)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)  # (batch, positions, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


class FrameConvolution(nn.Module):
    """1D convolutions over time, run as if every clip were zero-padded to max_frames (ISLR's `videoconv`).

    From the second one on, frames near a clip's end see what the one before computes on padding.
    """

    def __init__(self, features: int, count: int, max_frames: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(features, features, CONVOLUTION_KERNEL, padding="same") for _ in range(count)
        )
        self.max_frames = max_frames

    def forward(self, pose_features: Tensor, frame_mask: Tensor) -> Tensor:
        """Map (batch, frames, features) to the same shape; every later convolution reaches 8 frames further right."""
        frames = pose_features.shape[1]
        reach = CONVOLUTION_KERNEL // 2 * (len(self.layers) - 1)
        hidden = pose_features * frame_mask.unsqueeze(-1)  # (batch, frames, features)
        hidden = functional.pad(hidden, (0, 0, 0, reach)).transpose(1, 2)  # (batch, features, frames + reach)
        # A mask, not a shorter padding: its size would be frozen where this is traced into a graph.
        inside = torch.arange(hidden.shape[2], device=hidden.device) < self.max_frames  # (frames + reach)
        for layer in self.layers:
            hidden = layer(hidden) * inside
        return hidden[:, :, :frames].transpose(1, 2)  # (batch, frames, features)


class FrameMlp(nn.Module):
    """Linear, GELU, LayerNorm, Linear on each frame (`VideoTokenMLP`); (…, features) → (…, width)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, width)
        self.LayerNorm = nn.LayerNorm(width)  # the authors' default eps of 1e-5, unlike BERT's own
        self.linear2 = nn.Linear(width, width)

    def forward(self, frames: Tensor) -> Tensor:
        mapped: Tensor = self.linear2(self.LayerNorm(functional.gelu(self.linear1(frames))))
        return mapped


class PoseTower(nn.Module):
    """[CLS] frames [SEP] through BERT, averaged over frames and [SEP]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        tower = config.pose_tower
        self.geometry = HandGeometry() if config.pose_frontend == "hand_geometry" else None
        features = config.feature_dim if self.geometry is None else self.geometry.out_dim
        self.length = config.max_frames if self.geometry is None else self.geometry.steps
        self.convolution = (
            FrameConvolution(features, config.convolutions, config.max_frames) if config.convolutions else None
        )
        self.mlp = FrameMlp(features, tower.width)
        positions = max(tower.positions, self.length + 2)
        self.bert = _bert(tower, vocab_size=2, positions=positions, dropout=config.dropout)

    def forward(self, pose_features: Tensor, frame_mask: Tensor) -> Tensor:
        """Map (batch, frames, features) to (batch, width); see SignClip.encode_pose."""
        if self.geometry is None:
            return self.encode_frames(pose_features, frame_mask)
        # Directions of bones of a few hundredths of a shoulder width: half precision would keep a percent of them.
        geometry = self.geometry(pose_features.float(), frame_mask)
        return self.encode_readings(geometry.to(self.mlp.linear1.weight.dtype))

    def encode_readings(self, geometry: Tensor) -> Tensor:
        """Map hand geometry (batch, crops, steps, out_dim) to (batch, width): the mean of the crops' unit vectors."""
        batch, crops, steps, dim = geometry.shape
        frames = geometry.reshape(batch * crops, steps, dim)
        pooled = self.encode_frames(frames, frames.new_ones(batch * crops, steps, dtype=torch.bool))
        unit = functional.normalize(pooled, dim=-1).view(batch, crops, -1)  # (batch, crops, width)
        return unit.mean(dim=1)

    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Map (batch, frames, features), masked, to (batch, width)."""
        batch, count = frame_mask.shape
        if self.convolution is not None:
            frames = self.convolution(frames, frame_mask)
        special = self.bert.embeddings.word_embeddings.weight.to(frames.dtype).expand(batch, 2, -1)
        embedded = torch.cat([special, self.mlp(frames)], dim=1)  # (batch, 2 + frames, width)
        # Attention has no order: [SEP] may stand beside [CLS] as long as its position id is the authors',
        # max_frames + 1 however short the clip, so that padding can be trimmed without moving it.
        order = torch.arange(1, count + 1, device=frames.device)
        ends = order.new_tensor([0, self.length + 1])
        position_ids = torch.cat([ends, order]).unsqueeze(0).expand(batch, -1)  # (batch, 2 + frames)
        attended = torch.cat([frame_mask.new_ones(batch, 2), frame_mask], dim=1)  # (batch, 2 + frames)
        hidden = self.bert(inputs_embeds=embedded, attention_mask=attended, position_ids=position_ids).last_hidden_state
        return _mean(hidden[:, 1:], attended[:, 1:])


class TextTower(nn.Module):
    """[CLS] pieces [SEP] through BERT, averaged over pieces and [SEP]."""

    def __init__(self, config: ModelConfig, *, vocab_size: int) -> None:
        super().__init__()
        tower = config.text_tower
        dropout = config.dropout if config.text_dropout is None else config.text_dropout
        self.bert = _bert(tower, vocab_size=vocab_size, positions=tower.positions, dropout=dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map (batch, tokens) to (batch, width); see SignClip.encode_text."""
        order = torch.arange(input_ids.shape[1], device=input_ids.device).expand(input_ids.shape[0], -1)
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask, position_ids=order).last_hidden_state
        return _mean(hidden[:, 1:], attention_mask[:, 1:])


class SignClip(nn.Module):
    """Both towers, with what follows pooling: an optional projection, L2 norm and scale."""

    def __init__(self, config: ModelConfig, *, vocab_size: int | None = None) -> None:
        super().__init__()
        vocab_size = vocab_size or config.text_tower.vocab_size
        if vocab_size is None:
            raise ShapeError(f"model {config.name!r}: neither its configuration nor a checkpoint gives vocab_size")
        self.config = config
        self.pose_tower = PoseTower(config)
        self.text_tower = TextTower(config, vocab_size=vocab_size)
        linear = config.projection.startswith("linear")
        self.pose_projection = nn.Linear(config.embed_dim, config.embed_dim, bias=False) if linear else None
        self.text_projection = nn.Linear(config.embed_dim, config.embed_dim, bias=False) if linear else None

    def encode_pose(self, pose_features: Tensor, frame_mask: Tensor) -> Tensor:
        """Place clips in the space they share with text.

        Args:
            pose_features: float32 (batch, frames, features), in shoulder widths; missing points are 0.
            frame_mask: bool (batch, frames), True where a frame is real; at least one True a row, padding at the end.
        Returns:
            float32 (batch, embed_dim), not normalized. A row never depends on its neighbours.
        Raises:
            ShapeError: features differ from config.feature_dim, or frames exceed config.max_frames.
        Source: MMFusionSeparate.forward_video, J22Melody/fairseq@a8199440.
        """
        batch, frames, features = pose_features.shape
        if features != self.config.feature_dim or not 0 < frames <= self.config.max_frames:
            raise ShapeError(
                f"poses of {frames} frames × {features} features; model {self.config.name!r} takes "
                f"1 to {self.config.max_frames} frames × {self.config.feature_dim} features"
            )
        if frame_mask.shape != (batch, frames):
            raise ShapeError(f"frame_mask is {tuple(frame_mask.shape)}, poses are ({batch}, {frames}, …)")
        return self.finish(self.pose_tower(pose_features, frame_mask), self.pose_projection)

    def encode_text(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Place texts in the space they share with clips.

        Args:
            input_ids: int64 (batch, tokens), [CLS] pieces… [SEP], padded at the end with any id.
            attention_mask: bool (batch, tokens), True where a token is real; at least [CLS] and [SEP].
        Returns:
            float32 (batch, embed_dim), not normalized. A row never depends on its neighbours.
        Raises:
            ShapeError: fewer than two tokens, or more than config.max_tokens - 1.
        Source: MMFusionSeparate.forward_text, J22Melody/fairseq@a8199440.
        """
        tokens = input_ids.shape[1]
        if not 2 <= tokens <= self.config.max_tokens - 1:
            raise ShapeError(
                f"texts of {tokens} tokens; model {self.config.name!r} takes 2 to {self.config.max_tokens - 1}"
            )
        if attention_mask.shape != input_ids.shape:
            raise ShapeError(f"attention_mask is {tuple(attention_mask.shape)}, texts {tuple(input_ids.shape)}")
        return self.finish(self.text_tower(input_ids, attention_mask), self.text_projection)

    def finish(self, pooled: Tensor, projection: nn.Linear | None) -> Tensor:
        """Turn what a tower pooled, (batch, width), into embeddings, by that tower's projection."""
        if projection is not None:
            pooled = projection(pooled)
        if self.config.projection.endswith("l2"):
            pooled = functional.normalize(pooled, dim=-1)
        scaled: Tensor = pooled * self.config.logit_scale**0.5
        return scaled
