"""What is known of one model on this machine; light, so that processes that never load a model can hold it."""

from dataclasses import dataclass
from typing import Literal

ModelState = Literal["available", "loading", "loaded", "missing", "failed"]


@dataclass(frozen=True)
class ModelStatus:
    """State of one model of the catalog.

    Attributes:
        name: its name in the catalog.
        reason: why it is missing (with the command that fetches it) or failed; None in every other state.
        device: where it is loaded, as "cpu" or "cuda:1"; None while it is not.
        dtype: number format of its forward pass; None while it is not loaded.
        digest: SHA-256 of the checkpoint its weights came from, hex; None while unknown.
    """

    name: str
    state: ModelState
    reason: str | None = None
    device: str | None = None
    dtype: str | None = None
    digest: str | None = None
