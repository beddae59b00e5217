"""The `data` section of runs on fingerspelled letters: `kind: hands`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from training.sections.section import DataSection, Section

if TYPE_CHECKING:
    from accelerate import Accelerator

    from training.experiment import Experiment
    from training.loop import PreparedRun

Share = Annotated[float, Field(ge=0, le=1)]
Strength = Annotated[float, Field(ge=0)]


_AS_SERVED = frozenset(
    {"least_crop", "crop", "holding", "longest_hold", "raising", "no_depth", "leaning", "lean", "lost_hands"}
)


class HandAugmentation(Section):
    """The strengths of augmentation. If all are zero, nothing changes.

    The shipped model has these defaults, and what webcams do beside them: see configs/experiments/fingerspelling.yaml.

    Strengths without another unit are standard deviations in shoulder widths, or in shares of a size.
    """

    least_crop: Share = Field(0.05, description="share of a clip that is always cut off at either end")
    crop: Share = Field(0.35, description="share of a clip that may be cut off at either end")
    time_jitter: Strength = Field(0.3, description="of sampled frames, in shares of the distance between them")
    time_warp: Strength = Field(0.1, description="largest bend of the pace, in shares of the sampled part")
    rotation: Strength = Field(7.0, description="of the picture, in degrees")
    scale: Strength = Field(0.1, description="of the picture's width and height")
    shear: Strength = Field(0.06, description="of the picture, x by y")
    depth: Strength = Field(0.25, description="of the logarithm of the scale of depth")
    corrected_depth: Share = Field(0.25, description="share of clips whose depth is corrected")
    hand_rotation: Strength = Field(12.0, description="of each hand, in degrees")
    shift: Strength = Field(0.15, description="of both hands together")
    hand_shift: Strength = Field(0.04, description="of each hand")
    noise: Strength = Field(0.004, description="of each point")
    point_dropout: Share = Field(0.05, description="share of points that fall onto the wrist")
    mirrored_pairs: Share = Field(0.2, description="share of two-handed clips that are mirrored")
    left_dropout: Share = Field(0.05, description="share of clips that lose the left hand")
    frame_dropout: Share = Field(0.08, description="share of sampled frames that lose a hand")
    idle_left: Share = Field(0.2, description="share of one-handed clips that get an idle left hand")
    holding: Share = Field(0.0, description="share of clips before and after which the signer holds still")
    longest_hold: Strength = Field(0.0, description="longest hold at either end, in lengths of the clip")
    raising: Share = Field(0.0, description="share of clips in which hands come from below and leave")
    no_depth: Share = Field(0.0, description="share of clips without depth")
    leaning: Share = Field(0.0, description="share of clips whose signer leans")
    lean: Strength = Field(0.0, description="of the lean in each direction, in degrees")
    lost_hands: Share = Field(0.0, description="share of clips that lose both hands in 10 to 60 % of frames")

    def weaken(self, factor: float) -> HandAugmentation:
        """Multiply strengths by a factor, but not those of what clips have when they are served.

        No clip is read whole then, and clips of webcams have what the lexicon's lack.
        """
        weaker = {name: value * factor for name, value in self.model_dump().items() if name not in _AS_SERVED}
        return self.model_copy(update=weaker)


class PromptVariation(Section):
    """How often a training prompt differs from the lexicon's own `<spoken> <sign> letter`, as shares of prompts."""

    untagged: Share = Field(0.3, description="the letter alone")
    unknown_sign: Share = Field(0.05, description="of the others: a sign language that the model does not know")
    english: Share = Field(0.2, description="of the others: English as the spoken language")
    other_spoken: Share = Field(0.1, description="of the others: some other spoken language")
    no_spoken: Share = Field(0.1, description="of the others: no spoken language")

    @model_validator(mode="after")
    def _shares_fit_into_one(self) -> Self:
        total = self.english + self.other_spoken + self.no_spoken
        if total > 1:
            raise ValueError(f"english, other_spoken and no_spoken add up to {total:g}; together they can be 1 at most")
        return self


class UnknownClips(Section):
    """Drawn clips that show no letter; see training.fingerspelling.unknown."""

    clips: int = Field(0, ge=0, description="of each kind: rest, raising, waving, other signs, noise")
    share: Share = Field(0.0, description="of the pairs of a batch")


class ExemplarVotes(Section):
    """Votes of the clips that a run learned from; see training.fingerspelling.exemplars."""

    share: Strength = Field(0.0, description="length of a whole vote beside the tower's vector; 0: no votes")
    own_text: Strength = Field(0.5, description="how far a vote also goes from a letter's texts to a clip's own")
    ridge: float = Field(0.1, gt=0, description="how much smaller votes are preferred to a closer fit")


class FrozenStage(Section):
    """The second stage of a run, in which a tower is frozen and clips are read as they are served."""

    same_letter: float = Field(0.0, ge=0, le=1, description="as in HandData")
    pairs: int = Field(256, ge=2, description="of a step; more than before, because a dictionary tells all clips apart")


class HandData(DataSection):
    """The fingerspelling lexicon, described by models.hand_geometry and augmented anew at every step."""

    # Clips are drawn with replacement.
    has_epochs: ClassVar[bool] = False

    kind: Literal["hands"]
    same_letter: float = Field(0.1, ge=0, le=1, description="target of a clip of the same letter in another language")
    annealing: float = Field(
        0.3, ge=0, le=1, description="share of the steps, at the end, in which augmentation weakens"
    )
    annealed_strength: float = Field(
        0.3, ge=0, le=1, description="factor of augmentation in the last step, when clips are almost as served"
    )
    after_freeze: FrozenStage = FrozenStage()
    unknown: UnknownClips = UnknownClips()
    exemplars: ExemplarVotes = ExemplarVotes()
    prompts: PromptVariation = PromptVariation()
    augmentation: HandAugmentation = HandAugmentation()

    @property
    def follows_length(self) -> bool:
        """Whether the batch of a step depends on the number of steps of the run: annealing ends with the run."""
        return self.annealing > 0 and self.annealed_strength < 1

    def anneal(self, step: int, steps: int) -> HandAugmentation:
        """Return the augmentation of a step: full strength at first, then weakening linearly up to the last step.

        Args:
            step: from 0.
            steps: of the run, or of its first stage.
        """
        left = (steps - step) / max(self.annealing * steps, 1.0)
        return self.augmentation.weaken(self.annealed_strength + (1 - self.annealed_strength) * min(1.0, left))

    def prepare(self, run: Experiment, accelerator: Accelerator) -> PreparedRun:
        """Prepare a run on the whole lexicon; see DataSection.

        Raises:
            CorpusError: the lexicon cannot be read.
            TrainingError: see prepare_letters.
        """
        # Imported here, because reading an experiment file needs neither torch nor the lexicon.
        from poses import FeatureOptions
        from training.fingerspelling.lexicon import read_lexicon
        from training.fingerspelling.preparation import prepare_letters
        from training.fingerspelling.prompts import build_tokenizer

        clips = read_lexicon(options=FeatureOptions(trim=run.model.trim))
        return prepare_letters(run, self, clips=clips, tokenizer=build_tokenizer(clips), accelerator=accelerator)
