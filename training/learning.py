"""One step of learning: embeddings, loss, gradients and update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from models.architecture import SignClip
from models.exemplars import Exemplars
from training.batches import PairBatch, ProcessShare
from training.contrastive_model import ContrastiveModel
from training.distribution import Traffic, gather_rows, sum_gradients
from training.errors import DivergedError
from training.experiment import Experiment
from training.optimization import build_optimizer, compute_learning_rate, set_learning_rate
from training.sections.run import Optimizer
from training.seeds import DROPOUT, derive_seed

if TYPE_CHECKING:
    from accelerate import Accelerator

MakeTargets = Callable[[Tensor], Tensor | None]


def describe_divergence(broken: str, settings: Optimizer) -> DivergedError:
    """Make the error for a model that has diverged, which says what to train with instead.

    Args:
        broken: what are no finite numbers.
        settings: that it was trained with.
    """
    return DivergedError(
        f"the model has diverged: {broken} are no finite numbers. Train again with a smaller optimizer.learning_rate "
        f"({settings.learning_rate:g} now) or more optimizer.warmup ({settings.warmup} steps now), and --restart"
    )


class Learner:
    """The weights in training, and the state of Adam. A step depends only on these, its batch and its number.

    Args:
        run: the recipe.
        model: trained in place.
        accelerator: device, number format and processes.
        steps: of the whole run.
    Attributes:
        contrastive: the model in training.
        optimizer: Adam.
        traffic: what this process has sent to the others.
    """

    def __init__(self, run: Experiment, model: SignClip, *, accelerator: Accelerator, steps: int) -> None:
        self.run = run
        self.steps = steps
        self.accelerator = accelerator
        self.traffic = Traffic()
        self.contrastive = ContrastiveModel(model, run.loss, frozen=run.start.freeze).to(accelerator.device).train()
        if run.compile:
            self.contrastive.compile_layers()
        self.optimizer = accelerator.prepare(build_optimizer(self.contrastive.parameters(), run.optimizer))
        self._towers = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def learn(self, step: int, batch: PairBatch, *, make_targets: MakeTargets) -> Tensor:
        """Do one step.

        Args:
            step: from 0.
            batch: this process's rows.
            make_targets: see BatchSource.make_targets.
        Returns:
            The loss of the joint batch, a float32 scalar on the device.
        """
        rate = compute_learning_rate(*self._find_stage(step), settings=self.run.optimizer)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.accumulate_gradients(step, batch, make_targets=make_targets)
        if self.run.optimizer.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self._towers, self.run.optimizer.clip_norm)
        self.optimizer.step()
        self.contrastive.limit_scale()
        return loss

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def _find_stage(self, step: int) -> tuple[int, int]:
        # The step's number in its stage, and the stage's steps. This runs at every step, so that a resumed run freezes
        # the tower too.
        freeze_after = self.run.freeze_after
        if freeze_after is None:
            return step, self.steps
        if step < freeze_after.steps:
            return step, min(freeze_after.steps, self.steps)
        if freeze_after.tower not in self.contrastive.frozen:
            self.contrastive.freeze({freeze_after.tower})
        return step - freeze_after.steps, self.steps - freeze_after.steps

    def accumulate_gradients(self, step: int, batch: PairBatch, *, make_targets: MakeTargets) -> Tensor:
        """Add the gradients of the joint batch's loss to the parameters. All processes end with the same gradients.

        A batch of several chunks goes through the towers twice. The first pass runs without gradients and gives the
        embeddings, from which the loss and its gradient by the embeddings are computed. The second pass runs chunk by
        chunk, with the same dropout, and passes that gradient back. Memory is that of one chunk.

        Args:
            step: from 0; dropout follows from it.
            batch: this process's rows, still on the CPU, because finding a chunk's rows on a device would wait for it.
            make_targets: see BatchSource.make_targets.
        Returns:
            The loss of the joint batch, a float32 scalar on the device.
        Source: Gao et al., 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup (GradCache).
        """
        size = self.run.batch.chunk or len(batch)
        places = [slice(start, min(start + size, len(batch))) for start in range(0, len(batch), size)]
        if len(places) == 1:
            poses, texts = self._embed(batch.to(self.accelerator.device), step, 0)
            loss = self._backward(poses, texts, batch, make_targets=make_targets)
        else:
            chunks = [batch.select(place).to(self.accelerator.device) for place in places]
            with torch.no_grad():
                embedded = [self._embed(chunk, step, number) for number, chunk in enumerate(chunks)]
            poses, texts = (torch.cat(parts).requires_grad_() for parts in zip(*embedded, strict=True))
            loss = self._backward(poses, texts, batch, make_targets=make_targets)
            for number, (chunk, place) in enumerate(zip(chunks, places, strict=True)):
                self._pass_back(self._embed(chunk, step, number), by=(poses.grad, texts.grad), place=place)
        self._join_gradients()
        return loss.detach()

    def _embed(self, batch: PairBatch, step: int, chunk: int) -> tuple[Tensor, Tensor]:
        # Only the towers run in the short number format, because the loss compares numbers that are close.
        torch.manual_seed(derive_seed(self.run.seed, DROPOUT, step, self.accelerator.process_index, chunk))
        with self.accelerator.autocast():
            pooled = self.contrastive.pool(batch)
        return self.contrastive.finish(*pooled)

    def _backward(self, poses: Tensor, texts: Tensor, batch: PairBatch, *, make_targets: MakeTargets) -> Tensor:
        accelerator = self.accelerator
        processes = accelerator.num_processes
        counts = ProcessShare.count_rows(batch.joint_pairs or processes * len(batch), processes)
        gather = partial(gather_rows, accelerator=accelerator, counts=counts, traffic=self.traffic)
        targets = make_targets(gather(batch.marks.to(accelerator.device, non_blocking=True)))
        loss = self.contrastive.compute_loss(gather(poses), gather(texts), targets=targets)
        accelerator.backward(loss)
        return loss

    @staticmethod
    def _pass_back(embeddings: tuple[Tensor, Tensor], *, by: tuple[Tensor | None, Tensor | None], place: slice) -> None:
        # The embeddings of a frozen tower need no gradient.
        pairs = [
            (rows, gradient[place])
            for rows, gradient in zip(embeddings, by, strict=True)
            if rows.requires_grad and gradient is not None
        ]
        torch.autograd.backward([rows for rows, _ in pairs], [gradient for _, gradient in pairs])

    def _join_gradients(self) -> None:
        sum_gradients(self._towers, self.accelerator, traffic=self.traffic)
        if self.contrastive.log_scale.grad is not None:
            # Every process has the whole gradient of the scale, so the sum counts it once a process.
            sum_gradients([self.contrastive.log_scale], self.accelerator, traffic=self.traffic)
            self.contrastive.log_scale.grad /= self.accelerator.num_processes

    def check_weights(self) -> None:
        """Refuse weights that are no finite numbers. Reading them waits for the device.

        Raises:
            DivergedError: a weight is no finite number.
        """
        largest = torch.stack([parameter.detach().abs().amax() for parameter in self.contrastive.parameters()])
        broken = int((~largest.isfinite()).sum())
        if broken:
            raise describe_divergence(f"{broken} of its {len(largest)} tensors of weights", self.run.optimizer)

    def add_exemplars(self, find: Callable[[SignClip], Exemplars] | None) -> None:
        """Add exemplars to the trained model, which the towers did not learn with.

        Args:
            find: see Sources.find_exemplars.
        Raises:
            DivergedError: a weight is no finite number.
        """
        if find is None:
            return
        self.check_weights()
        self.contrastive.add_exemplars(find(self.contrastive.model.to("cpu").eval()))
        self.contrastive.to(self.accelerator.device).train()

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on, as plain values and tensors."""
        scaler = self.accelerator.scaler
        return {
            # These names are part of the state's file.
            "contrast": self.contrastive.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.contrastive.load_state_dict(state["contrast"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def finish(self) -> SignClip:
        """Return the model as it is served: on the CPU, in evaluation mode, with its final logit scale."""
        model = self.contrastive.model
        model.config = self.contrastive.make_final_config()
        return model.to("cpu").eval()
