"""Random numbers that depend on a seed and a name, and on nothing else."""

from __future__ import annotations

import hashlib
import random

import numpy as np


def named_seed(seed: int, *names: object) -> int:
    """A 63-bit seed that depends on ``seed`` and ``names`` only (not on call order or process)."""
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def rng(seed: int, *names: object) -> np.random.Generator:
    """A NumPy generator for one purpose: ``rng(0, "subject", 17, "genes")`` is the same stream everywhere."""
    return np.random.default_rng(named_seed(seed, *names))


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch for code that uses their global generators."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
