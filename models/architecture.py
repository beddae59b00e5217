"""SignCLIP's two towers: a BERT for text and a BERT for poses, whose vectors lie in one space.

Source: MMFusionSeparate, J22Melody/fairseq@a8199440, examples/MMPT/mmpt/models/mmfusion.py, on transformers' BERT.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from models.catalog import ModelConfig, TowerConfig
from models.errors import ShapeError
from models.exemplars import Exemplars
from models.hand_geometry import HandGeometry

CONVOLUTION_KERNEL = 17
# The pose tower keeps two rows of BERT's word list, [CLS] and [SEP], in this order.
POSE_CLS, POSE_SEP = 0, 1


def _build_bert(tower: TowerConfig, *, vocab_size: int, positions: int, dropout: float) -> BertModel:
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


def _average(hidden: Tensor, mask: Tensor) -> Tensor:
    """Average hidden (batch, positions, width) over the positions where mask (batch, positions) is True."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)  # (batch, positions, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


class FrameConvolution(nn.Module):
    """1D convolutions over time, as if every clip were zero-padded to max_frames (ISLR's `videoconv`).

    The first convolution also computes numbers on the padding. The second one sees them from the last frames of a clip.
    """

    def __init__(self, features: int, count: int, max_frames: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(features, features, CONVOLUTION_KERNEL, padding="same") for _ in range(count)
        )
        self.max_frames = max_frames

    def forward(self, pose_features: Tensor, frame_mask: Tensor) -> Tensor:
        """Map (batch, frames, features) to the same shape. Each convolution after the first sees 8 more frames."""
        frames = pose_features.shape[1]
        reach = CONVOLUTION_KERNEL // 2 * (len(self.layers) - 1)
        hidden = pose_features * frame_mask.unsqueeze(-1)  # (batch, frames, features)
        hidden = functional.pad(hidden, (0, 0, 0, reach)).transpose(1, 2)  # (batch, features, frames + reach)
        # A mask, not shorter padding, because tracing this into a graph would freeze the size of the padding.
        inside = torch.arange(hidden.shape[2], device=hidden.device) < self.max_frames  # (frames + reach)
        for layer in self.layers:
            hidden = layer(hidden) * inside
        return hidden[:, :, :frames].transpose(1, 2)  # (batch, frames, features)


class FrameMlp(nn.Module):
    """Linear, GELU, LayerNorm and Linear on each frame (the authors' `VideoTokenMLP`).

    Dropout follows LayerNorm and the second Linear. The authors have it only where an experiment sets dropout.
    """

    def __init__(self, features: int, width: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.linear1 = nn.Linear(features, width)
        self.LayerNorm = nn.LayerNorm(width)  # with eps 1e-5, as the authors' code; BERT's own is 1e-12
        self.linear2 = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (…, features) to (…, width)."""
        hidden = self.dropout(self.LayerNorm(functional.gelu(self.linear1(frames))))  # (…, width)
        mapped: Tensor = self.dropout(self.linear2(hidden))
        return mapped


class PoseTower(nn.Module):
    """Runs [CLS] frames [SEP] through BERT, and averages over the frames and [SEP]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        tower = config.pose_tower
        self.geometry = HandGeometry() if config.pose_frontend == "hand_geometry" else None
        features = config.feature_dim if self.geometry is None else self.geometry.out_dim
        self.length = config.max_frames if self.geometry is None else self.geometry.steps
        self.exemplars = Exemplars(config.exemplars, features, tower.width) if config.exemplars else None
        self.convolution = (
            FrameConvolution(features, config.convolutions, config.max_frames) if config.convolutions else None
        )
        self.mlp = FrameMlp(features, tower.width, dropout=config.frame_dropout)
        positions = max(tower.positions, self.length + 2)
        self.bert = _build_bert(tower, vocab_size=2, positions=positions, dropout=config.dropout)

    def forward(self, pose_features: Tensor, frame_mask: Tensor) -> Tensor:
        """Map (batch, frames, features) to (batch, width); see SignClip.encode_pose."""
        if self.geometry is None:
            return self.encode_frames(pose_features, frame_mask)
        # In float32, because half precision would keep few digits of bones of some hundredths of a shoulder width.
        geometry = self.geometry(pose_features.float(), frame_mask)
        pooled = self.encode_readings(geometry.to(self.mlp.linear1.weight.dtype))
        if self.exemplars is None:
            return pooled
        votes: Tensor = self.exemplars(geometry)
        return functional.normalize(pooled.float(), dim=-1) + votes

    def encode_readings(self, geometry: Tensor) -> Tensor:
        """Map hand geometry (batch, crops, steps, out_dim) to (batch, width), the mean of the crops' unit vectors."""
        batch, crops, steps, dim = geometry.shape
        frames = geometry.reshape(batch * crops, steps, dim)
        pooled = self.encode_frames(frames, frames.new_ones(batch * crops, steps, dtype=torch.bool))
        unit = functional.normalize(pooled, dim=-1).view(batch, crops, -1)  # (batch, crops, width)
        return unit.mean(dim=1)

    def encode_frames(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """Map (batch, frames, features) to (batch, width); frame_mask (batch, frames) is True where a frame is real."""
        batch, count = frame_mask.shape
        if self.convolution is not None:
            frames = self.convolution(frames, frame_mask)
        special = self.bert.embeddings.word_embeddings.weight.to(frames.dtype).expand(batch, 2, -1)
        embedded = torch.cat([special, self.mlp(frames)], dim=1)  # (batch, 2 + frames, width)
        # Attention has no order, so [SEP] may stand beside [CLS] as long as it has the authors' position id. That is
        # max_frames + 1 however short a clip is. Padding behind the frames can then be trimmed without moving [SEP].
        order = torch.arange(1, count + 1, device=frames.device)
        ends = order.new_tensor([0, self.length + 1])
        position_ids = torch.cat([ends, order]).unsqueeze(0).expand(batch, -1)  # (batch, 2 + frames)
        attended = torch.cat([frame_mask.new_ones(batch, 2), frame_mask], dim=1)  # (batch, 2 + frames)
        hidden = self.bert(inputs_embeds=embedded, attention_mask=attended, position_ids=position_ids).last_hidden_state
        return _average(hidden[:, 1:], attended[:, 1:])


class TextTower(nn.Module):
    """Runs [CLS] pieces [SEP] through BERT, and averages over the pieces and [SEP]."""

    def __init__(self, config: ModelConfig, *, vocab_size: int) -> None:
        super().__init__()
        tower = config.text_tower
        dropout = config.dropout if config.text_dropout is None else config.text_dropout
        self.bert = _build_bert(tower, vocab_size=vocab_size, positions=tower.positions, dropout=dropout)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Map (batch, tokens) to (batch, width); see SignClip.encode_text."""
        order = torch.arange(input_ids.shape[1], device=input_ids.device).expand(input_ids.shape[0], -1)
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask, position_ids=order).last_hidden_state
        return _average(hidden[:, 1:], attention_mask[:, 1:])


class SignClip(nn.Module):
    """Both towers, and what follows pooling: an optional projection, L2 norm and scale.

    Args:
        config: of the model.
        vocab_size: rows of the text tower's word list, where the configuration leaves it open.
    Raises:
        ShapeError: neither the configuration nor the caller gives vocab_size.
    """

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
            ShapeError: features differ from config.feature_dim, frames exceed config.max_frames, or the mask is of
                another shape.
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
            ShapeError: tokens are fewer than 2 or more than config.max_tokens - 1, or the mask is of another shape.
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
        """Turn what a tower pooled, (batch, width), into embeddings (batch, embed_dim), by that tower's projection."""
        if projection is not None:
            pooled = projection(pooled)
        if self.config.projection.endswith("l2"):
            pooled = functional.normalize(pooled, dim=-1)
        scaled: Tensor = pooled * self.config.logit_scale**0.5
        return scaled
