"""The structural equations of the causal graph, one function a variable.

An equation gets the variables with an arrow into it in :data:`radlib.phantom.causal.ARROWS`, the strengths of those
arrows, and noise of its own; nothing else reaches it, so the graph cannot leave out what the simulation does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from radlib.phantom.genes import (
    AGEING,
    METHYLATOR,
    N_GENES,
    N_PROGRAMMES,
    PROLIFERATION,
    gene_model,
    standardised_expression,
)
from radlib.phantom.survival import SIGMA, log_error
from radlib.phantom.templates.schema import Template
from radlib.phantom.traits import Lobe

LOBES: tuple[Lobe, ...] = get_args(Lobe)
LOBE_SHARES: dict[str, tuple[float, ...]] = {
    # frontal, temporal, parietal, occipital, insular. IDH-mutant gliomas prefer the frontal lobe (Ellingson et al.
    # 2013, AJNR 34:533) and the insula; the shares themselves are this simulation's choice.
    "wildtype": (0.30, 0.31, 0.24, 0.07, 0.08),
    "mutant": (0.58, 0.14, 0.09, 0.01, 0.18),
}
"""The lobe of the first focus for a wild-type tumour and for a mutant one at full strength."""

REFERENCE_AGE = 60.0
"""Age of the reference subject, years."""

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What one equation may see.

    Attributes:
        of: the parents, ``(n,)`` each but for ``pathways`` and ``genes``, which have a column a programme or gene.
        s: the strength of the arrow from each parent.
        draw: the random stream of this variable.
        n: number of subjects.
        template: the cohort's recipe, for medians and base rates.
    """

    of: Values
    s: Mapping[str, float]
    draw: np.random.Generator
    n: int
    template: Template

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal noise ``(n, *shape)``."""
        return self.draw.standard_normal((self.n, *shape))

    def uniform(self) -> np.ndarray:
        """Uniform noise ``(n,)`` in (0, 1)."""
        return self.draw.uniform(np.finfo(float).tiny, 1.0, self.n)

    def sum(self, **shapes: np.ndarray | float) -> np.ndarray:
        """The sum over the parents of strength times parent, a parent given in ``shapes`` taken in that form."""
        total = np.zeros(self.n)
        for parent, strength in self.s.items():
            total += strength * np.asarray(shapes.get(parent, self.of[parent]), dtype=float)
        return total


def _codel(x: Inputs) -> np.ndarray:
    odds = logit(x.template.codel_given_mutant) + x.sum(idh=x.of["idh"] - 1, grade=x.of["grade"] - 2.5)
    return (x.uniform() < expit(odds)).astype(float)


def _mgmt(x: Inputs) -> np.ndarray:
    return (x.uniform() < expit(logit(0.4) + x.sum())).astype(float)


def _aggressiveness(x: Inputs) -> np.ndarray:
    return x.sum(grade=x.of["grade"] - 4) + x.normal()


def _location(x: Inputs) -> np.ndarray:
    wild, mutant = (np.log(LOBE_SHARES[key]) for key in ("wildtype", "mutant"))
    odds = wild + (x.s["idh"] * x.of["idh"])[:, None] * (mutant - wild)
    shares = np.exp(odds - odds.max(axis=1, keepdims=True))
    edges = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    return np.minimum((x.uniform()[:, None] > edges).sum(axis=1), len(LOBES) - 1).astype(float)


def _volume(x: Inputs) -> np.ndarray:
    """Log of the volume in ml."""
    return np.log(x.template.volume_ml) + x.sum(grade=x.of["grade"] - 4) + 0.57 * x.normal()


def _enhancement(x: Inputs) -> np.ndarray:
    """Log ratio of enhancing tumour to oedema. Its spread grows with the distance from grade 4 as its mean falls."""
    below = 4 - x.of["grade"]
    spread = 0.95 * np.exp(0.27 * abs(x.s["grade"]) * below)
    return -0.9 + x.sum(grade=-below) + spread * x.normal()


def _core(x: Inputs) -> np.ndarray:
    """Log ratio of necrotic and non-enhancing core to oedema."""
    return -1.85 + x.sum(grade=x.of["grade"] - 4) + 1.25 * x.normal()


def _necrosis(x: Inputs) -> np.ndarray:
    return 0.6 + x.sum(grade=x.of["grade"] - 4) + 1.0 * x.normal()


def _border(x: Inputs) -> np.ndarray:
    return -0.4 + x.sum(grade=x.of["grade"] - 4) + 0.8 * x.normal()


def _mismatch(x: Inputs) -> np.ndarray:
    """Share of mismatch, 0 to 1: mostly above a half where the sign is present, near 0 where it is not."""
    present = x.uniform() < expit(-5.0 + x.sum(grade=x.of["grade"] - 3))
    return np.where(present, x.draw.beta(8.0, 2.0, x.n), x.draw.beta(1.0, 30.0, x.n))


def _foci(x: Inputs) -> np.ndarray:
    second = x.uniform() < expit(-2.1 + x.sum(grade=x.of["grade"] - 4))
    third = x.uniform() < 0.2
    return 1.0 + second + (second & third)


def _mass_effect(x: Inputs) -> np.ndarray:
    return -0.3 + x.sum(volume=x.of["volume"] - np.log(100.0)) + 0.6 * x.normal()


def _heterogeneity(x: Inputs) -> np.ndarray:
    return 0.3 + x.sum(grade=x.of["grade"] - 4) + 0.7 * x.normal()


def _ventricles(x: Inputs) -> np.ndarray:
    """Apparent age, years."""
    return np.clip(55.0 + x.sum(age=x.of["age"] - 55.0) + 4.0 * x.normal(), 15.0, 95.0)


def _pathways(x: Inputs) -> np.ndarray:
    """Activity of the gene programmes, ``(n, N_PROGRAMMES)``, in SD of their own variation."""
    activity = x.normal(N_PROGRAMMES)
    activity[:, PROLIFERATION] += x.s["aggressiveness"] * x.of["aggressiveness"]
    activity[:, PROLIFERATION] += x.s["grade"] * (x.of["grade"] - 4)
    activity[:, METHYLATOR] += x.s["idh"] * x.of["idh"]
    activity[:, AGEING] += x.s["age"] * (x.of["age"] - REFERENCE_AGE) / 10
    return activity


def _genes(x: Inputs) -> np.ndarray:
    """Expression of every gene in its SD, ``(n, N_GENES)``."""
    return standardised_expression(x.of["pathways"], x.normal(N_GENES), strength=x.s["pathways"])


def _survival(x: Inputs) -> np.ndarray:
    """True survival, days: the accelerated-failure-time model of :mod:`radlib.phantom.survival`."""
    forms = survival_covariates(x.of)
    genes = x.of["genes"] @ gene_model().coefficients
    return x.template.median_survival * np.exp(x.sum(**forms, genes=genes) + SIGMA * log_error(x.uniform()))


EQUATIONS: Mapping[str, Callable[[Inputs], np.ndarray]] = {
    "codel": _codel,
    "mgmt": _mgmt,
    "aggressiveness": _aggressiveness,
    "location": _location,
    "volume": _volume,
    "enhancement": _enhancement,
    "core": _core,
    "necrosis": _necrosis,
    "border": _border,
    "mismatch": _mismatch,
    "foci": _foci,
    "mass_effect": _mass_effect,
    "heterogeneity": _heterogeneity,
    "ventricles": _ventricles,
    "pathways": _pathways,
    "genes": _genes,
    "survival": _survival,
}


def survival_covariates(variables: Values | pd.DataFrame) -> dict[str, Any]:
    """The parents of survival but the genes, centred at the reference subject and in the units of their arrows."""
    return {
        "age": (variables["age"] - REFERENCE_AGE) / 10,
        "sex": variables["sex"],
        "grade": variables["grade"] - 4,
        "idh": variables["idh"],
        "codel": variables["codel"],
        "mgmt": variables["mgmt"],
        "aggressiveness": variables["aggressiveness"],
        "volume": variables["volume"] - np.log(100.0),
        "enhancement": variables["enhancement"] + 0.9,
    }
