"""Which samples make up a batch, as a function of the step: nothing to store, nothing to lose when a run resumes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng


def epoch_batch(
    n: int, batch_size: int, *, step: int, seed: int, weights: npt.ArrayLike | None = None
) -> npt.NDArray[np.int64]:
    """The samples of batch ``step``.

    Args:
        n: number of samples.
        batch_size: samples a batch; more than ``n`` is cut to ``n``.
        step: from 0. An epoch has ``n // batch_size`` steps, and an order of its own; what is left over at its end is
            left out, and another epoch leaves out others.
        seed: the orders.
        weights: ``(n,)``, not negative: samples are drawn with replacement in these proportions instead.

    Returns:
        Indices ``(batch,)`` in ``0..n-1``.
    """
    if n < 1 or batch_size < 1:
        raise RadlibError(f"{n} samples in batches of {batch_size}", remedy="give at least one of each")
    size = min(batch_size, n)
    if weights is not None:
        share = np.asarray(weights, dtype=float)
        if share.shape != (n,) or (share < 0).any() or share.sum() <= 0:
            raise RadlibError("weights do not fit the samples", remedy="give one weight of at least 0 a sample")
        return rng(seed, "weighted", step).choice(n, size=size, p=share / share.sum())
    epoch, place = divmod(step, n // size)
    return _order(n, seed, epoch)[place * size : (place + 1) * size].copy()


@lru_cache(maxsize=16)
def _order(n: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    order = rng(seed, "epoch", epoch).permutation(n)
    order.setflags(write=False)
    return order
