"""Supervised training of one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from torch import nn

from radlib.training.loop import train
from radlib.training.players import Batch, Losses, MakeBatch, Player
from radlib.training.settings import LoopSettings, OptimizerSettings


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network; the other attributes are those of :class:`radlib.training.loop.Trained`."""

    network: nn.Module
    history: pd.DataFrame
    best_step: int
    seconds: float
    steps_per_second: float
    data_share: float
    peak_memory: int


def fit(
    network: nn.Module,
    *,
    batch: MakeBatch,
    loss: Callable[[nn.Module, Batch], Losses],
    optimizer: OptimizerSettings,
    loop: LoopSettings,
    seed: int,
    name: str = "training",
    validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    folder: Path | None = None,
    device: str = "auto",
) -> Fitted:
    """Minimise a loss over one network's parameters; see :func:`radlib.training.loop.train` for everything else.

    Args:
        network: changed in place.
        batch: ``batch(step, generator)``, tensors by name.
        loss: ``loss(network, batch)``, under autocast: take logits as float32 (``.float()``) where it matters. A
            scalar, or scalars by name of which ``loss`` is minimised.
        optimizer: optimiser and schedule.
        loop: length, logging, validation, checkpoints, precision.
        seed: of batches, dropout and noise.
        name: shown with the progress, and part of every seed.
        validate: ``validate(network)`` in evaluation mode, without gradients.
        folder: for checkpoints; a training that was interrupted there goes on.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    trained = train(
        {"network": network},
        players=[
            Player(
                name="network",
                trains=("network",),
                loss=lambda networks, data, _: loss(networks["network"], data),
                optimizer=optimizer,
            )
        ],
        batch=batch,
        loop=loop,
        seed=seed,
        name=name,
        validate=None if validate is None else lambda networks: validate(networks["network"]),
        folder=folder,
        device=device,
    )
    return Fitted(
        network=trained.networks["network"],
        history=trained.history,
        best_step=trained.best_step,
        seconds=trained.seconds,
        steps_per_second=trained.steps_per_second,
        data_share=trained.data_share,
        peak_memory=trained.peak_memory,
    )
