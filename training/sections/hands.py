"""The `data` section of runs on fingerspelled letters: `kind: hands`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from training.fingerspelling.augmentation import Augmentation
from training.fingerspelling.prompts import PromptVariation


class RestingHands(BaseModel):
    """What changes once a tower rests: clips are read as they are served, unchanged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    same_letter: float = Field(0.0, ge=0, le=1, description="as in HandData")
    pairs: int = Field(256, ge=2, description="a step; more than before, for a dictionary tells all clips apart")


class HandData(BaseModel):
    """The fingerspelling lexicon, as described by models.hand_geometry and varied anew at every step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["hands"]
    same_letter: float = Field(0.1, ge=0, le=1, description="target of another language's clip of the same letter")
    settling: float = Field(
        0.3, ge=0, le=1, description="share of the steps, at the end, in which augmentation weakens to settled_strength"
    )
    settled_strength: float = Field(
        0.3, ge=0, le=1, description="of itself; so the model ends on clips nearly as they are"
    )
    resting: RestingHands = RestingHands()
    prompts: PromptVariation = PromptVariation()
    augmentation: Augmentation = Augmentation()

    def augmentation_at(self, step: int, steps: int) -> Augmentation:
        """Give the strengths of one step of `steps`: full at first, weakening linearly while the run settles."""
        left = (steps - step) / max(self.settling * steps, 1.0)
        return self.augmentation.scaled(self.settled_strength + (1 - self.settled_strength) * min(1.0, left))
