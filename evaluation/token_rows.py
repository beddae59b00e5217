"""Prompts that a model cannot tell apart, because the tokenizer makes the same row of tokens of them."""

from collections.abc import Hashable, Sequence

from corpora.arrays import Float32Array, Int64Array
from evaluation.retrieval import number_labels
from models.embedding import EmbeddingModel, embed_prompts

_SHOWN = 2


def find_token_rows(model: EmbeddingModel, prompts: Sequence[str]) -> tuple[Int64Array, Int64Array]:
    """Number the different rows of tokens that a model reads of prompts.

    Returns:
        int64 (prompts,), equal for prompts of equal rows; int64 (rows,), the first prompt of each row, in order.
    """
    config, tokenizer = model.config, model.tokenizer
    rows = [tokenizer.build_input_ids(pieces, max_pieces=config.max_pieces) for pieces in tokenizer.split(prompts)]
    return number_labels([row.tobytes() for row in rows])


def embed_each_row(model: EmbeddingModel, prompts: Sequence[str]) -> Float32Array:
    """Embed each different row of tokens once, so that prompts that share a row have exactly equal vectors.

    Returns:
        float32 (prompts, embed_dim), raw.
    """
    row_of, firsts = find_token_rows(model, prompts)
    vectors: Float32Array = embed_prompts(model, [prompts[first] for first in firsts])[row_of]
    return vectors


def describe_collapse(prompts: Sequence[str], rows: Sequence[Hashable]) -> str | None:
    """Describe how many prompts share their tokens with another prompt.

    Args:
        prompts: all different.
        rows: what the model reads of each prompt, such as the number of its row of tokens.
    Returns:
        A warning that says what to do; None if every prompt has a row of its own.
    """
    by_row: dict[Hashable, list[str]] = {}
    for prompt, row in zip(prompts, rows, strict=True):
        by_row.setdefault(row, []).append(prompt)
    if len(by_row) == len(prompts):
        return None
    shared = max(by_row.values(), key=len)
    count = f"{len(by_row)} different token {'row' if len(by_row) == 1 else 'rows'}"
    shown = " and ".join(map(repr, shared[:_SHOWN])) + (f" and {len(shared) - _SHOWN} more" if shared[_SHOWN:] else "")
    return (
        f"{len(prompts)} prompts, {count}: {shown} are the same tokens, so the model cannot tell them apart. Their "
        "words are unknown to the tokenizer, or differ only after max_tokens. Use other texts, or a model with another "
        "tokenizer"
    )
