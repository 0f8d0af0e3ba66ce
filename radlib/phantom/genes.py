"""Expression of 1740 genes: programmes that genes share, and a few genes that act on survival.

Verhaak et al. 2010 give 1740 genes for 202 glioblastomas, the table that Islam et al. 2020 use. The simulated genes
have its size, spread and correlation. Only the genes that Islam et al. name carry their names, because they are the
ones with a stated effect; all others are called ``G0001`` and so on, so that nobody takes them for measurements.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from radlib.core.seeds import rng

N_GENES = 1740
N_PROGRAMMES = 30
N_SHARED = 6
"""Programmes on which every gene loads; each other programme belongs to one block of genes."""

PROLIFERATION, METHYLATOR, AGEING = 0, 1, 2
"""The programmes on which aggressiveness and grade, IDH, and age act."""

PROGNOSTIC: dict[str, float] = {
    # Signs after Islam et al. 2020, section IV: higher expression goes with longer survival for the first five
    # of the named genes and with shorter for LDNRA (the paper's spelling; no gene has that name). For LDLR the
    # paper states a high impact and no direction; here it shortens.
    "LRRC17": 0.18,
    "LDLR": -0.18,
    "EDNRA": 0.12,
    "AHNAK2": 0.12,
    "TMSL8": 0.12,
    "SLIT1": 0.12,
    "LDNRA": -0.12,
    "G0101": 0.12,
    "G0404": -0.12,
    "G0707": 0.12,
    "G1010": -0.12,
    "G1313": 0.12,
}
"""Log survival time per standard deviation of expression, for each gene that acts on survival."""


@dataclass(frozen=True, kw_only=True)
class GeneModel:
    """What is the same in every cohort.

    Attributes:
        names: ``N_GENES`` gene names.
        loadings: ``(N_GENES, N_PROGRAMMES)``; the squares of a row add up to the share of a gene's variance that
            the programmes explain, below 1.
        sd: ``(N_GENES,)`` standard deviation of a gene's log ratio.
        coefficients: ``(N_GENES,)`` log survival time per standard deviation; zero but for :data:`PROGNOSTIC`.
    """

    names: tuple[str, ...]
    loadings: np.ndarray
    sd: np.ndarray
    coefficients: np.ndarray


@cache
def gene_model() -> GeneModel:
    """The genes: names, loadings, spreads and coefficients, the same for every cohort and seed."""
    draw = rng(0, "phantom", "genes")
    real = [name for name in PROGNOSTIC if not name.startswith("G0") and not name.startswith("G1")]
    names = (*real, *(f"G{number:04d}" for number in range(1, N_GENES - len(real) + 1)))
    # Shares of variance: shared programmes fall off as the leading eigenvalues of the published table do.
    shares = np.array([0.24, 0.11, 0.085, 0.055, 0.04, 0.035])
    loadings = np.zeros((N_GENES, N_PROGRAMMES))
    loadings[:, :N_SHARED] = draw.standard_normal((N_GENES, N_SHARED)) * np.sqrt(shares)
    block = draw.integers(N_SHARED, N_PROGRAMMES, size=N_GENES)
    loadings[np.arange(N_GENES), block] = 0.55 * draw.choice([-1.0, 1.0], size=N_GENES, p=[0.3, 0.7])
    explained = np.square(loadings).sum(axis=1)
    loadings *= np.sqrt(np.minimum(1.0, 0.9 / explained))[:, None]
    sd = 0.48 + np.exp(draw.normal(-1.05, 0.6, size=N_GENES))
    coefficients = np.array([PROGNOSTIC.get(name, 0.0) for name in names])
    return GeneModel(names=names, loadings=loadings, sd=sd, coefficients=coefficients)


def standardised_expression(programmes: np.ndarray, noise: np.ndarray, *, strength: float) -> np.ndarray:
    """Expression in units of each gene's standard deviation.

    Args:
        programmes: ``(n, N_PROGRAMMES)`` activity of the programmes, SD.
        noise: ``(n, N_GENES)`` standard normal.
        strength: share of the loadings, 0 (independent genes) to 1.

    Returns:
        ``(n, N_GENES)``, variance 1 where the programmes have variance 1.
    """
    loadings = gene_model().loadings * strength
    own = np.sqrt(np.maximum(0.0, 1.0 - np.square(loadings).sum(axis=1)))
    return programmes @ loadings.T + noise * own
