"""The sections that every experiment file has, whatever its data: start, batch, optimizer, loss and validation."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.catalog import Tower
from training.sections.section import Section


class Start(Section):
    """Where weights come from before training."""

    model: str | None = Field(None, description="a served model's name, or a folder with config.yaml; for both towers")
    text: str = Field("scratch", description="scratch, or a BERT with weights: a folder, or its name on the hub")
    pose: str = Field("scratch", description="the same; the authors start from the first layers of the text's BERT")
    vocabulary: int | None = Field(
        None,
        ge=64,
        description="make a tokenizer of at most this many word pieces of the run's own texts; None: the tokenizer of "
        "the model or BERT that training starts from",
    )
    freeze: frozenset[Tower] = Field(frozenset(), description="towers that keep their weights, without dropout")

    @model_validator(mode="after")
    def _new_words_have_no_weights(self) -> Self:
        if self.vocabulary is not None and (self.model is not None or self.text != "scratch"):
            given = f"start.model {self.model}" if self.model is not None else f"start.text {self.text}"
            raise ValueError(
                f"vocabulary {self.vocabulary} makes a new tokenizer, but {given} has its own: set "
                "start.vocabulary=null, or start.model=null and start.text=scratch"
            )
        return self


class FreezeAfter(Section):
    """A tower that is frozen after some steps, which makes a run of two stages.

    The longer a pose tower is trained to tell every clip from every other, the worse it names the letters of new
    signers. A text tower may be trained on, because a dictionary is meant to tell clips apart.
    """

    tower: Tower
    steps: int = Field(ge=1, description="after these the tower keeps its weights, and the learning rate starts again")


class BatchSize(Section):
    """How many pairs a step compares."""

    size: int = Field(448, ge=2, description="pairs of all processes together")
    chunk: int | None = Field(
        None, ge=1, description="pairs of a process in one forward pass, with cached gradients; None: all at once"
    )


class Optimizer(Section):
    """Adam with decoupled weight decay; the defaults are the authors'.

    Source: projects/retri/signclip_v1_1/baseline_sp_b768.yaml in J22Melody/fairseq, examples/MMPT; fairseq's Adam.
    """

    learning_rate: float = Field(5e-5, gt=0, description="the largest of the schedule")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.98)
    epsilon: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0, description="of matrices; biases, norms and the logit scale never decay")
    clip_norm: float | None = Field(2.0, gt=0, description="largest norm of all gradients together; None: no limit")
    schedule: Literal["polynomial", "cosine", "constant"] = "polynomial"
    warmup: int = Field(1000, ge=0, description="steps over which the learning rate rises")
    power: float = Field(1.0, gt=0, description="of the polynomial")
    decay_steps: int | None = Field(
        1_000_000, ge=1, description="where the polynomial reaches 0 (total_num_update); None: at the run's end"
    )


class Loss(Section):
    """Symmetric InfoNCE; the defaults are the authors' MMContraLoss."""

    reduction: Literal["sum", "mean"] = Field("sum", description="of the two directions' cross entropies")
    temperature: float | None = Field(
        None, gt=0, description="1 / logit scale at the start; None: the model's own, which is 1 for SignCLIP"
    )
    learn_scale: bool = False
    largest_scale: float = Field(100.0, gt=0, description="upper bound of a learned scale (Radford et al., 2021, 2.5)")

    @model_validator(mode="after")
    def _learned_scale_starts_below_its_bound(self) -> Self:
        if self.learn_scale and self.temperature is not None and 1 / self.temperature > self.largest_scale:
            raise ValueError(
                f"temperature {self.temperature:g} is a scale of {1 / self.temperature:g}, above loss.largest_scale, "
                f"{self.largest_scale:g}: set a larger one of the two, or loss.learn_scale=false"
            )
        return self


class Validation(Section):
    """When the model is validated, and which weights count as the best."""

    every: int | None = Field(None, ge=1, description="steps; None: once an epoch")
    best: Literal["loss", "text_to_pose", "pose_to_text"] = Field(
        "loss", description="the lowest loss, as in fairseq, or the highest R@1 (text_to_pose: P@1)"
    )
    keep: Literal["best", "last"] = Field("best", description="the weights that are written to the model's folder")
