"""Batches of clips of any data set in corpora: the `data` section of `kind: clips`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from corpora.examples import Split


class ClipSource(BaseModel):
    """A part of a data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str = Field(description="a key of corpora.CORPORA")
    root: str
    split: Split


class ClipData(BaseModel):
    """What a run on clips learns from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["clips"]
    train: tuple[ClipSource, ...] = Field(min_length=1, description="joined")
    validation: tuple[ClipSource, ...] = ()
    features: str | None = Field(None, description="a kind of corpora.feature_kinds; None: the model's")
    cache: str | None = Field("runs/cache", description="folder of the feature cache; None: none")
    workers: int = Field(2, ge=0, description="loader processes")
    unique_texts: bool = Field(False, description="no text twice in one batch")
