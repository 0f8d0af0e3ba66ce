"""What can be set about a training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import Field

from radlib.core.errors import RadlibError
from radlib.core.models import Strict

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class OptimizerSettings(Strict):
    """An optimiser and the course of its learning rate.

    Attributes:
        kind: ``adam``, ``sgd`` or ``adagrad``.
        learning_rate: at the start of the schedule (``one_cycle``: its maximum).
        betas: of Adam; a paper that speaks of momentum with Adam means the first.
        momentum: of SGD.
        weight_decay: L2 penalty.
        schedule: ``constant``; ``cosine`` and ``polynomial`` (power 0.9) fall to 0 at the last step; ``one_cycle``;
            ``step`` multiplies by ``decay`` every ``decay_every`` steps, ``milestones`` at each of ``milestones``
            (shares of all steps).
    """

    kind: Literal["adam", "sgd", "adagrad"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "cosine", "polynomial", "one_cycle", "step", "milestones"] = "constant"
    decay_every: int | None = Field(default=None, ge=1)
    milestones: tuple[float, ...] = ()
    decay: float = Field(default=0.1, gt=0, le=1)

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """The torch optimiser over ``parameters``."""
        chosen = list(parameters)
        rate, decay = self.learning_rate, self.weight_decay
        if self.kind == "adam":
            return torch.optim.Adam(chosen, rate, betas=self.betas, weight_decay=decay)
        if self.kind == "sgd":
            return torch.optim.SGD(chosen, rate, momentum=self.momentum, weight_decay=decay)
        return torch.optim.Adagrad(chosen, rate, weight_decay=decay)

    def rate(self, step: int, *, steps: int) -> float:
        """The learning rate of ``step`` (from 0) out of ``steps``: a function of the step alone, so it resumes exactly.

        Raises:
            RadlibError: if ``step`` is the schedule and ``decay_every`` is not given.
        """
        done = step / max(1, steps)
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + float(torch.cos(torch.tensor(done * torch.pi))))
        if self.schedule == "polynomial":
            return self.learning_rate * (1 - done) ** 0.9
        if self.schedule == "one_cycle":
            return self.learning_rate * _one_cycle(done)
        if self.schedule == "step":
            if self.decay_every is None:
                raise RadlibError("schedule 'step' has no decay_every", remedy="give the steps between two decays")
            return self.learning_rate * self.decay ** (step // self.decay_every)
        if self.schedule == "milestones":
            return self.learning_rate * self.decay ** sum(step >= round(share * steps) for share in self.milestones)
        return self.learning_rate


def _one_cycle(done: float, *, rise: float = 0.3) -> float:
    """Share of the maximum: from 1/25 up in ``rise`` of the steps, then down to nearly 0, along cosines."""

    def between(first: float, last: float, share: float) -> float:
        return last + (first - last) * 0.5 * (1 + float(torch.cos(torch.tensor(share * torch.pi))))

    if done < rise:
        return between(1 / 25, 1.0, done / rise)
    return between(1.0, 1e-4, (done - rise) / (1 - rise))


class LoopSettings(Strict):
    """How long and how a training runs.

    Attributes:
        steps: updates of each player.
        log_every: steps between two rows of the history; a row is the mean since the last.
        validate_every: steps between two validations; None validates never.
        patience: validations without improvement of ``monitor`` before the training stops; None runs all steps.
        monitor: the validation metric by which the best weights are kept; None keeps the last.
        mode: whether ``monitor`` is best at its ``min`` or ``max``.
        checkpoint_every: steps between two checkpoints; None writes one at the end only.
        clip_norm: largest norm of the gradient.
        precision: ``auto`` is fp32 on a CPU, where results shall not depend on its model, and bf16 autocast (before
            Ampere: fp16) on a GPU; ``32-true``, ``bf16-mixed`` or ``16-mixed`` to say it.
        ema: decay of an exponential moving average of the weights, such as 0.999, which is then what is validated and
            kept; None for none.
        channels_last: memory format of 2D networks, faster on GPUs and with bf16.
        devices: GPUs, or processes on the CPU.
    """

    steps: int = Field(ge=1)
    log_every: int = Field(default=10, ge=1)
    validate_every: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)
    monitor: str | None = None
    mode: Literal["min", "max"] = "min"
    checkpoint_every: int | None = Field(default=None, ge=1)
    clip_norm: float | None = Field(default=None, gt=0)
    precision: Precision = "auto"
    ema: float | None = Field(default=None, gt=0, lt=1)
    channels_last: bool = False
    devices: int = Field(default=1, ge=1)

    def check(self) -> None:
        """Raise :class:`RadlibError` where a setting waits for another that is not given."""
        if self.patience is not None and self.monitor is None:
            raise RadlibError("patience is set but monitor is not", remedy="name the validation metric to watch")
        if self.monitor is not None and self.validate_every is None:
            raise RadlibError(f"monitor is {self.monitor!r} but nothing validates", remedy="set validate_every")

    def scaled(self, budget: float) -> LoopSettings:
        """The settings of a training of ``budget`` (0 to 1) times the steps; validations move along."""
        if budget == 1:
            return self
        every = self.validate_every and max(1, round(budget * self.validate_every))
        return self.model_copy(update={"steps": max(1, round(budget * self.steps)), "validate_every": every})


def precision_on(device: torch.device, precision: Precision) -> str:
    """What ``auto`` means on ``device``; anything else as it is."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return "32-true"
