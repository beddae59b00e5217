"""The towers over a matrix of positions, without padding, on the weights of the padded module."""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from models.architecture import SignClip
from models.backends.attention import Prepare, Segments, attend_by_length
from models.backends.shapes import POSE_SPECIALS, Places, Size, split

# Kernels for tensor cores read rows of 16 bytes, so the first product could not use them with 609 numbers in a row.
COLUMNS_MULTIPLE = 8


class Weights(NamedTuple):
    """The weight and bias of each product and norm of one layer of BERT."""

    attended: tuple[Tensor, Tensor]
    inner: tuple[Tensor, Tensor]
    outer: tuple[Tensor, Tensor]
    attention_norm: tuple[Tensor, Tensor]
    output_norm: tuple[Tensor, Tensor]


def _run_after_attention(attended: Tensor, hidden: Tensor, weights: Weights, eps: float) -> Tensor:
    """Run the rest of a layer on attended and hidden, (rows, width) each."""
    width = hidden.shape[-1:]
    hidden = functional.layer_norm(
        functional.linear(attended, *weights.attended) + hidden, width, *weights.attention_norm, eps=eps
    )
    inner = functional.gelu(functional.linear(hidden, *weights.inner))  # (rows, inner)
    return functional.layer_norm(
        functional.linear(inner, *weights.outer) + hidden, width, *weights.output_norm, eps=eps
    )


class PackedTower:
    """One BERT tower over rows of a table.

    Args:
        bert: transformers' BertModel. Its query, key and value weights become parts of one matrix, so that nothing is
            kept twice; it computes what it did.
    """

    def __init__(self, bert: Any, prepare: Prepare) -> None:
        embeddings = bert.embeddings
        types = embeddings.token_type_embeddings.weight[0].float()
        self.words: Tensor = embeddings.word_embeddings.weight
        self._positions = (embeddings.position_embeddings.weight.float() + types).to(self.words.dtype)
        self._norm = (embeddings.LayerNorm.weight, embeddings.LayerNorm.bias)
        self._eps = float(embeddings.LayerNorm.eps)
        self._heads = int(bert.config.num_attention_heads)
        self._prepare = prepare
        self._attention = [_fuse_attention(layer.attention.self) for layer in bert.encoder.layer]
        self._layers = [_read_layer(layer) for layer in bert.encoder.layer]

    def __call__(self, table: Tensor, places: Places, *, longest: int) -> Tensor:
        """Run over rows of `table`, (…, width); returns the last layer, float (rows, width)."""
        rows, width = len(places.sources), table.shape[-1]
        attend = self._prepare(Segments(places.offsets, longest, rows))
        embedded = functional.embedding(places.sources, table)
        embedded = embedded + functional.embedding(places.position_ids, self._positions)
        hidden = functional.layer_norm(embedded, (width,), *self._norm, eps=self._eps)
        for attention, weights in zip(self._attention, self._layers, strict=True):
            fused = functional.linear(hidden, *attention).view(rows, 3, self._heads, -1)
            attended = attend(*fused.unbind(1)).reshape(rows, width)
            hidden = _run_after_attention(attended, hidden, weights, self._eps)
        return hidden


def _fuse_attention(attention: Any) -> tuple[Tensor, Tensor]:
    """Join the weights, (3 · width, width), and biases, (3 · width,), of query, key and value into one product."""
    parts = (attention.query, attention.key, attention.value)
    weight = torch.cat([part.weight for part in parts])
    for part, rows in zip(parts, weight.chunk(3), strict=True):
        part.weight.data = rows
    return weight, torch.cat([part.bias for part in parts])


def _read_layer(layer: Any) -> Weights:
    products = (layer.attention.output.dense, layer.intermediate.dense, layer.output.dense)
    norms = (layer.attention.output.LayerNorm, layer.output.LayerNorm)
    return Weights(*((part.weight, part.bias) for part in (*products, *norms)))


class PackedTowers:
    """Both towers and what follows pooling, on a SignClip module that reads features, not hand geometry.

    Args:
        prepare: how attention stays within items; see models.backends.attention.
    """

    def __init__(self, module: SignClip, prepare: Prepare) -> None:
        self._module = module
        self._towers = {
            "text": PackedTower(module.text_tower.bert, prepare),
            "pose": PackedTower(module.pose_tower.bert, prepare),
        }
        # In float32, because what follows pooling is small and then loses no accuracy.
        self._projections = {
            "text": copy.deepcopy(module.text_projection).float() if module.text_projection is not None else None,
            "pose": copy.deepcopy(module.pose_projection).float() if module.pose_projection is not None else None,
        }
        first = module.pose_tower.mlp.linear1
        self.features = module.config.feature_dim
        self.columns = -(-self.features // COLUMNS_MULTIPLE) * COLUMNS_MULTIPLE
        self.dtype = first.weight.dtype
        self.device = first.weight.device
        self._first_weight = functional.pad(first.weight, (0, self.columns - self.features))
        self.longest = {"text": module.config.max_tokens - 1, "pose": module.config.max_frames + POSE_SPECIALS}
        self.sep_position = module.pose_tower.length + 1
        self._convolves = module.pose_tower.convolution is not None
        # A captured forward has one shape, so padding may not depend on the batch.
        self.can_be_captured = prepare is attend_by_length and not self._convolves

    def make_frames(self, rows: int) -> Tensor:
        """Make room for that many frames: zeros, (rows, columns)."""
        return torch.zeros(rows, self.columns, dtype=self.dtype, device=self.device)

    def encode(self, flat: Tensor, size: Size, frames: Tensor | None, *, longest: int) -> Tensor:
        """Embed texts or, if there are frames, clips.

        Args:
            flat: int32, a layout flattened to `size`.
            frames: (frames of all clips, columns), as `make_frames` makes it, its first `features` columns filled.
            longest: rows of the longest item, or more.
        Returns:
            float32 (items, embed_dim), raw.
        """
        places = split(flat, *size)
        if frames is not None:
            return self._encode_pose(places, frames, longest)
        tower = self._towers["text"]
        return self._pool("text", tower(tower.words, places, longest=longest), places)

    def _encode_pose(self, places: Places, frames: Tensor, longest: int) -> Tensor:
        if self._convolves:
            frames = self._convolve(frames, places.offsets, longest - POSE_SPECIALS)
        mlp = self._module.pose_tower.mlp
        inner = functional.gelu(functional.linear(frames, self._first_weight, mlp.linear1.bias))
        tower = self._towers["pose"]
        table = torch.cat([tower.words, mlp.linear2(mlp.LayerNorm(inner))])  # (2 + frames, width)
        return self._pool("pose", tower(table, places, longest=longest), places)

    def _convolve(self, frames: Tensor, offsets: Tensor, longest: int) -> Tensor:
        """Convolve clips as the module does, which needs padding; offsets are those of positions."""
        items, rows = len(offsets) - 1, len(frames)
        numbers = torch.arange(items, device=frames.device)
        counts = offsets.diff() - POSE_SPECIALS
        item_of_frame = torch.repeat_interleave(numbers, counts, output_size=rows)
        starts = offsets[:-1] - POSE_SPECIALS * numbers
        places = torch.arange(rows, device=frames.device) - starts[item_of_frame] + item_of_frame * longest
        padded = frames.new_zeros(items * longest, self.features).index_copy_(0, places, frames[:, : self.features])
        mask = torch.arange(longest, device=frames.device) < counts[:, None]  # (items, longest)
        convolution = self._module.pose_tower.convolution
        assert convolution is not None
        convolved = convolution(padded.view(items, longest, -1), mask).reshape(items * longest, -1)
        return functional.pad(convolved[places], (0, self.columns - self.features))

    def _pool(self, tower: str, hidden: Tensor, places: Places) -> Tensor:
        """Average the rows of each item but the first, in float32, always added in the same order."""
        means = torch.segment_reduce(hidden.float(), "mean", offsets=places.bounds, unsafe=True)
        return self._module.finish(means[1::2], self._projections[tower])
