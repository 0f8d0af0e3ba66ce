"""Supervised training of one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from radlib.training.loop import train
from radlib.training.players import Batch, Losses, MakeBatch, Player, Trained
from radlib.training.settings import LoopSettings, OptimizerSettings


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
) -> Trained:
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
    return train(
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
