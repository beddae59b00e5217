"""Attention within each item of a matrix that holds the positions of many, one item after another."""

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

# Takes query, key and value, (rows, heads, head_dim) each, and returns what is attended to, in the same shape.
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Segments(NamedTuple):
    """The items of a matrix of `rows` rows: offsets int32 (items + 1,) on its device, and the longest item's rows."""

    offsets: Tensor
    longest: int
    rows: int


# Makes the attention of one batch, which every layer then uses.
Prepare = Callable[[Segments], Attend]


def attend_by_length(segments: Segments) -> Attend:
    """Make the attention that reads the items' offsets itself: CUDA, float16 and bfloat16.

    Query, key and value are (rows, heads, dim).

    PyTorch calls this interface a prototype, so nothing else here knows it.
    """
    from torch.nn.attention.varlen import varlen_attn  # since PyTorch 2.10

    # It would report the kernel that it chose, for every layer of every batch.
    logging.getLogger("torch.nn.attention.varlen").setLevel(logging.WARNING)
    offsets, longest = segments.offsets, segments.longest

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        attended: Any = varlen_attn(query, key, value, offsets, offsets, longest, longest)
        return cast(Tensor, attended)

    return attend


def attend_padded(segments: Segments, *, dropout: float = 0.0) -> Attend:
    """Make an attention over items that are padded for it alone: any device and number format.

    Query, key and value are (rows, heads, dim). All other products stay without padding. Training has dropout.
    """
    offsets, longest, rows = segments
    counts = offsets.diff()  # (items)
    items = len(counts)
    order = torch.arange(longest, device=offsets.device)
    padded_rows = (offsets[:-1, None] + order).clamp_max(rows - 1)  # (items, longest)
    mask = None if items * longest == rows else (order < counts[:, None])[:, None, None]  # (items, 1, 1, longest)
    numbers = torch.arange(items, device=offsets.device)
    item_of_row = torch.repeat_interleave(numbers, counts, output_size=rows)
    places = torch.arange(rows, device=offsets.device) - offsets[item_of_row] + item_of_row * longest  # (rows)

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        q, k, v = (part[padded_rows].transpose(1, 2) for part in (query, key, value))  # (items, heads, longest, dim)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return attended.transpose(1, 2).flatten(0, 1)[places]  # (rows, heads, dim)

    return attend


def attend_by_item(segments: Segments, *, dropout: float = 0.0) -> Attend:
    """Make the attention of one item after another: for CPUs, where nothing waits to be launched.

    Query, key and value are (rows, heads, dim). Training has dropout.
    """
    # Rows past the last item belong to no item. They are kept apart, as one more item.
    spans = [(start, end) for start, end in pairwise([*segments.offsets.tolist(), segments.rows]) if start < end]

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        parts = []
        for start, end in spans:
            q, k, v = (part[start:end].transpose(0, 1) for part in (query, key, value))  # (heads, length, dim)
            attended = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
            parts.append(attended.transpose(0, 1))
        return torch.cat(parts)

    return attend


def list_attentions(device: str, dtype: torch.dtype) -> list[Prepare]:
    """Those that may run on a device in a number format, the fastest first; whether one does shows when it runs."""
    if device == "cpu":
        return [attend_by_item]
    halves = [attend_by_length] if dtype in (torch.float16, torch.bfloat16) else []
    return [*halves, attend_padded]
