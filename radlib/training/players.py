"""Who trains what, what a training leaves, and trainings that are only begun."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.training.settings import OptimizerSettings

Batch = dict[str, torch.Tensor]
Networks = Mapping[str, nn.Module]
Losses = torch.Tensor | Mapping[str, torch.Tensor]
MakeBatch = Callable[[int, np.random.Generator], Batch]

FIRST = 10
"""The first steps are logged one by one, as the part ``first`` of the history: what another machine can compute again
in seconds to see whether it is on the same course."""


class Beginning(Exception):  # noqa: N818 - no error: the end that was asked for
    """A training that was to be begun only has come as far as it should; ``history`` holds its first steps."""

    def __init__(self, history: pd.DataFrame) -> None:
        super().__init__(f"{len(history)} first steps")
        self.history = history


_seconds_of_beginning: float | None = None


def seconds_of_beginning() -> float | None:
    """How long a training may take that is to be begun only; None for a whole one."""
    return _seconds_of_beginning


@contextlib.contextmanager
def only_beginnings(seconds: float) -> Generator[None]:
    """Within this block a training ends with :class:`Beginning` after its first steps, or ``seconds``."""
    global _seconds_of_beginning
    _seconds_of_beginning = seconds
    try:
        yield
    finally:
        _seconds_of_beginning = None


@dataclass(frozen=True, kw_only=True)
class Player:
    """Who minimises what.

    Attributes:
        name: shown in the history as ``<name>.<metric>``.
        trains: the networks whose parameters it updates.
        loss: ``loss(networks, batch, shared)``; a scalar, or scalars by name of which ``loss`` is minimised and the
            others are logged. Networks it does not train are frozen meanwhile; what another player made is detached
            by the loss.
        optimizer: its optimiser.
        every: it acts in every so-many-th step only.
        repeats: updates a step on the same batch. More than one needs a loss that does not differentiate ``shared``.
    """

    name: str
    trains: tuple[str, ...]
    loss: Callable[[Networks, Batch, dict[str, Any]], Losses]
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    every: int = 1
    repeats: int = 1


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training leaves.

    Attributes:
        networks: in evaluation mode, on the device they were trained on; the best weights where a metric was
            monitored, else the averaged ones where there is an average, else the last.
        history: one row a log or validation: ``step`` (updates done), ``part`` (``first``, ``training`` or
            ``validation``), ``seconds`` since the start, ``learning_rate``, and the metrics.
        best_step: the step whose weights were kept.
        seconds: time spent in training, over all pieces of an interrupted run.
        steps_per_second: over the same time, validation included.
        data_share: share of that time in which the loop waited for batches.
        peak_memory: bytes, of the GPU where there is one, else of the process.
    """

    networks: dict[str, nn.Module]
    history: pd.DataFrame
    best_step: int
    seconds: float
    steps_per_second: float
    data_share: float
    peak_memory: int

    @property
    def network(self) -> nn.Module:
        """The network of a supervised training."""
        return self.networks["network"]


def check_players(networks: Networks, players: Sequence[Player]) -> None:
    """Raise :class:`RadlibError` unless somebody trains, and only networks that there are."""
    if not players:
        raise RadlibError("a training needs a player", remedy="say who minimises what")
    for player in players:
        if unknown := [name for name in player.trains if name not in networks]:
            raise RadlibError(
                f"player {player.name!r} trains {unknown[0]!r}, which is no network",
                remedy=f"the networks are {', '.join(networks)}",
            )
