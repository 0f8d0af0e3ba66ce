"""Adversarial training: players that minimise losses of their own, in turns."""

from __future__ import annotations

from radlib.training.loop import Player, Trained
from radlib.training.loop import train as fit_adversarial

__all__ = ["Player", "Trained", "fit_adversarial"]
