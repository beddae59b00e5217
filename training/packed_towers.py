"""The towers in training over clips and texts that lie one after another, so that nothing is computed on padding.

All products run on one matrix of positions. Only attention must know where items begin and end. Weights, dropout and
number formats are those of the padded modules, which this calls part by part.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.architecture import PoseTower, TextTower
from models.backends.attention import Attend, Segments, attend_by_item, attend_padded

log = logging.getLogger(__name__)
# [CLS] and [SEP], which stand before a clip's frames; see PoseTower.encode_frames.
SPECIALS = 2
# What PyTorch raises where a kernel is missing, does not fit the device, or has another interface.
_MISSING = (ImportError, AttributeError, TypeError, ValueError, RuntimeError)
# How far attention in half precision may be from that in float32, as a share of the largest value.
_TOLERANCE = 2e-2


def reads_frames(tower: PoseTower) -> bool:
    """Return whether a pose tower maps each frame by itself. Convolutions and hand geometry need padded clips."""
    return tower.geometry is None and tower.convolution is None


def pool_clips(tower: PoseTower, frames: Tensor, counts: Tensor, *, longest: int) -> Tensor:
    """Run the pose tower on clips without padding, with the numbers of its own forward.

    Args:
        tower: for which `reads_frames` is true.
        frames: float (frames of all clips, features).
        counts: int64 (clips,), the frames of each clip.
        longest: frames of the longest clip.
    Returns:
        float32 (clips, width).
    """
    items, rows = len(counts), len(frames) + SPECIALS * len(counts)
    mapped = tower.mlp(frames).float()  # (frames, width)
    item_of_frame, order = _number_rows(counts, len(frames))
    starts = _find_starts(counts + SPECIALS)
    places = (starts[:-1], starts[:-1] + 1, starts[item_of_frame] + SPECIALS + order)
    special = tower.bert.embeddings.word_embeddings.weight.float()
    sources = (special[:1].expand(items, -1), special[1:].expand(items, -1), mapped)
    ids = (order.new_zeros(items), order.new_full((items,), tower.length + 1), order + 1)
    embedded, position_ids = mapped.new_zeros(rows, mapped.shape[1]), order.new_zeros(rows)
    for place, source, position in zip(places, sources, ids, strict=True):
        embedded = embedded.index_copy(0, place, source)
        position_ids = position_ids.index_copy(0, place, position)
    hidden = _run_bert(tower.bert, embedded, position_ids, Segments(starts, longest + SPECIALS, rows))
    return _average(hidden, starts)


def pool_texts(tower: TextTower, input_ids: Tensor, counts: Tensor, *, longest: int) -> Tensor:
    """Run the text tower on texts without padding, with the numbers of its own forward.

    Args:
        tower: of a model.
        input_ids: int64 (tokens of all texts,).
        counts: int64 (texts,), the tokens of each text.
        longest: tokens of the longest text.
    Returns:
        float32 (texts, width).
    """
    _, order = _number_rows(counts, len(input_ids))
    starts = _find_starts(counts)
    embedded = tower.bert.embeddings.word_embeddings(input_ids)
    hidden = _run_bert(tower.bert, embedded, order, Segments(starts, longest, len(input_ids)))
    return _average(hidden, starts)


def unpack(rows: Tensor, mask: Tensor) -> Tensor:
    """Pad items that lie one after another.

    Args:
        rows: (rows of all items, …).
        mask: bool (items, longest), True where an item has a row.
    Returns:
        (items, longest, …), zeros after the end of each item.
    """
    # Without a boolean index, because that would wait for the device.
    item_of_row, order = _number_rows(mask.sum(dim=1), len(rows))
    padded = rows.new_zeros(mask.numel(), *rows.shape[1:])
    return padded.index_copy(0, item_of_row * mask.shape[1] + order, rows).view(*mask.shape, *rows.shape[1:])


def _find_starts(counts: Tensor) -> Tensor:
    return functional.pad(counts.cumsum(0), (1, 0))


def _number_rows(counts: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    # int64 (rows,) each: the item of every row, and the row's number in it.
    items = torch.arange(len(counts), device=counts.device)
    item_of_row = torch.repeat_interleave(items, counts, output_size=rows)
    return item_of_row, torch.arange(rows, device=counts.device) - (counts.cumsum(0) - counts)[item_of_row]


def _run_bert(bert: Any, embedded: Tensor, position_ids: Tensor, segments: Segments) -> Tensor:
    embeddings = bert.embeddings
    embedded = embedded + embeddings.token_type_embeddings.weight[0] + embeddings.position_embeddings(position_ids)
    hidden: Tensor = embeddings.dropout(embeddings.LayerNorm(embedded))  # (rows, width)
    heads = int(bert.config.num_attention_heads)
    dropout = float(bert.config.attention_probs_dropout_prob) if bert.training else 0.0
    attend = _prepare_attention(segments, _find_dtype(hidden), dropout=dropout)
    for layer in bert.encoder.layer:
        attention = layer.attention.self
        parts = [
            part(hidden).view(len(hidden), heads, -1) for part in (attention.query, attention.key, attention.value)
        ]
        attended = attend(*parts).reshape(hidden.shape)
        hidden = layer.attention.output(attended, hidden)
        hidden = layer.output(layer.intermediate(hidden), hidden)
    return hidden


def _find_dtype(hidden: Tensor) -> torch.dtype:
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


def _average(hidden: Tensor, starts: Tensor) -> Tensor:
    # The mean of each item's rows but the first, [CLS], in float32: (items, width).
    bounds = torch.stack((starts[:-1], starts[:-1] + 1), dim=1).flatten()
    bounds = torch.cat((bounds, starts[-1:]))
    return torch.segment_reduce(hidden.float(), "mean", offsets=bounds, unsafe=True)[1::2]


def attend_with_dropout(segments: Segments, *, dropout: float = 0.0) -> Attend:
    """Make the attention that reads the items' offsets itself, with dropout: CUDA, float16 and bfloat16.

    Query, key and value are (rows, heads, dim). PyTorch's public interface for offsets, varlen_attn, has no dropout.
    This calls the operator below it, as PyTorch's own attention of nested tensors does.
    """
    offsets, longest = segments.offsets.int(), segments.longest

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        attended: Tensor = torch.ops.aten._flash_attention_forward(
            query, key, value, offsets, offsets, longest, longest, dropout, False, False
        )[0]
        return attended

    return attend


def _prepare_attention(segments: Segments, dtype: torch.dtype, *, dropout: float) -> Attend:
    device = segments.offsets.device
    if device.type == "cpu":
        return attend_by_item(segments, dropout=dropout)
    prepare = attend_with_dropout if _attention_runs(device, dtype) else attend_padded
    return prepare(segments, dropout=dropout)


@lru_cache(maxsize=8)
def _attention_runs(device: torch.device, dtype: torch.dtype) -> bool:
    # Whether a small batch and its gradients come out as they do item by item on the CPU.
    if dtype == torch.float32:
        return False
    drawn = torch.randn(4, 16, 2, 64, generator=torch.Generator().manual_seed(0))
    starts = _find_starts(torch.tensor((5, 2, 9)))
    expected = _attend_and_return(attend_by_item, drawn, starts)
    try:
        found = _attend_and_return(attend_with_dropout, drawn.to(device, dtype), starts.to(device))
    except _MISSING as error:
        log.warning("attention in training is padded, because it cannot run without", extra={"error": str(error)})
        return False
    pairs = zip(found, expected, strict=True)
    differences = [float((ours.cpu().float() - theirs).abs().max() / theirs.abs().max()) for ours, theirs in pairs]
    agrees = all(difference <= _TOLERANCE for difference in differences)  # which what is not a number never is
    if not agrees:
        log.warning("attention in training is padded, because it is wrong without", extra={"error": differences})
    return agrees


def _attend_and_return(prepare: Any, drawn: Tensor, starts: Tensor) -> list[Tensor]:
    # What is attended to, and the gradients of query, key and value for a gradient of the result.
    with torch.enable_grad(), torch.autocast(drawn.device.type, enabled=False):
        parts = [part.clone().requires_grad_() for part in drawn[:3]]
        attended = prepare(Segments(starts, int(starts.diff().max()), drawn.shape[1]))(*parts)
        return [attended.detach(), *torch.autograd.grad(attended, parts, drawn[3])]
