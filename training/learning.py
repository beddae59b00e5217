"""One step of learning: embeddings, loss, gradients, update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from models.architecture import SignClip
from training.batches import Batch
from training.contrastive_model import Contrast
from training.distribution import gather_rows, sum_gradients
from training.experiment import Experiment
from training.optimization import build_optimizer, learning_rate, set_learning_rate
from training.seeds import DROPOUT, derive_seed

Targets = Callable[[Tensor], Tensor | None]


class Learner:
    """Weights and what Adam remembers of them. A step depends on these, its batch and its number alone.

    Attributes:
        contrast: the model in training.
        accelerator: device, number format and processes.
        steps: of the run.
    """

    def __init__(self, run: Experiment, model: SignClip, accelerator: Accelerator, *, steps: int) -> None:
        self.run = run
        self.steps = steps
        self.accelerator = accelerator
        self.contrast = Contrast(model, run.loss, frozen=run.start.freeze).to(accelerator.device).train()
        self.optimizer = accelerator.prepare(build_optimizer(self.contrast.parameters(), run.optimizer))
        self._towers = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def learn(self, step: int, batch: Batch, targets: Targets) -> Tensor:
        """Do one step.

        Args:
            step: from 0.
            batch: this process's rows.
            targets: see BatchSource.targets.
        Returns:
            the loss of the joint batch, a scalar on the device.
        """
        set_learning_rate(self.optimizer, learning_rate(*self._stage(step), self.run.optimizer))
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.find_gradients(step, batch.to(self.accelerator.device), targets)
        if self.run.optimizer.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self._towers, self.run.optimizer.clip_norm)
        self.optimizer.step()
        return loss

    @property
    def learning_rate(self) -> float:
        """Of the step that was just done."""
        return float(self.optimizer.param_groups[0]["lr"])

    def _stage(self, step: int) -> tuple[int, int]:
        # The step's number in its stage, and how many steps that has. Asked at every step, so a resumed run rests too.
        rest = self.run.rest
        if rest is None:
            return step, self.steps
        if step < rest.after:
            return step, min(rest.after, self.steps)
        if rest.tower not in self.contrast.frozen:
            self.contrast.freeze({rest.tower})
        return step - rest.after, self.steps - rest.after

    def find_gradients(self, step: int, batch: Batch, targets: Targets) -> Tensor:
        """Add the gradients of the joint batch's loss to the parameters; the same in every process afterwards.

        A batch of several chunks goes through the towers twice: without gradients, for the embeddings that the loss
        and its gradient by them need, then chunk by chunk with that gradient, the same dropout each time. Memory is
        that of one chunk.

        Source: Gao et al., 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup (GradCache).
        """
        size = self.run.batch.chunk or len(batch)
        places = [slice(start, min(start + size, len(batch))) for start in range(0, len(batch), size)]
        if len(places) == 1:
            poses, texts = self._embed(batch, step, 0)
            loss = self._backward(poses, texts, batch.marks, targets)
        else:
            chunks = [batch.rows(place) for place in places]
            with torch.no_grad():
                embedded = [self._embed(chunk, step, number) for number, chunk in enumerate(chunks)]
            poses, texts = (torch.cat(parts).requires_grad_() for parts in zip(*embedded, strict=True))
            loss = self._backward(poses, texts, batch.marks, targets)
            for number, (chunk, place) in enumerate(zip(chunks, places, strict=True)):
                self._pass_back(self._embed(chunk, step, number), (poses.grad[place], texts.grad[place]))
        self._join_gradients()
        return loss.detach()

    def _embed(self, batch: Batch, step: int, chunk: int) -> tuple[Tensor, Tensor]:
        # Only the towers run in the short number format: the loss compares numbers that are close.
        torch.manual_seed(derive_seed(self.run.seed, DROPOUT, step, self.accelerator.process_index, chunk))
        with self.accelerator.autocast():
            pooled = self.contrast.pool(batch)
        return self.contrast.finish(*pooled)

    def _backward(self, poses: Tensor, texts: Tensor, marks: Tensor, targets: Targets) -> Tensor:
        accelerator = self.accelerator
        joint_marks = marks if accelerator.num_processes == 1 else accelerator.gather(marks)
        wanted = targets(joint_marks)
        loss = self.contrast.loss(gather_rows(poses, accelerator), gather_rows(texts, accelerator), wanted)
        accelerator.backward(loss)
        return loss

    @staticmethod
    def _pass_back(embeddings: tuple[Tensor, Tensor], gradients: tuple[Tensor, Tensor]) -> None:
        pairs = [(rows, by) for rows, by in zip(embeddings, gradients, strict=True) if rows.requires_grad]
        torch.autograd.backward([rows for rows, _ in pairs], [by for _, by in pairs])

    def _join_gradients(self) -> None:
        sum_gradients(self._towers, self.accelerator)
        if self.contrast.log_scale.grad is not None:
            # Every process has found the whole of this one.
            count = self.accelerator.num_processes
            sum_gradients([self.contrast.log_scale], self.accelerator)
            self.contrast.log_scale.grad /= count

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as plain values and tensors."""
        scaler = self.accelerator.scaler
        return {
            "contrast": self.contrast.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.contrast.load_state_dict(state["contrast"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def trained_model(self) -> SignClip:
        """The model as it is served: on the CPU, its logit scale in its configuration, in evaluation mode."""
        model = self.contrast.model
        model.config = self.contrast.final_config()
        return model.to("cpu").eval()
