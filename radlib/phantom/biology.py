"""Who the simulated patients are: the structural equations of the causal graph, and the tables they give.

One function an equation, named for the variable it sets. It gets the variables with an arrow into it in
:data:`radlib.phantom.causal.ARROWS`, the strengths of those arrows, and noise of its own; nothing else reaches it.
Each variable draws from a stream of its own, so taking an arrow away changes its target and what follows from it,
and leaves everything else as it was, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import truncnorm

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.data.cohort import COLUMNS, MODALITIES, NUMBER_COLUMNS
from radlib.phantom.causal import ARROWS, DESIGNED, order, parents, resolve_strengths
from radlib.phantom.genes import (
    AGEING,
    METHYLATOR,
    N_GENES,
    N_PROGRAMMES,
    PROGNOSTIC,
    PROLIFERATION,
    gene_model,
    standardised_expression,
)
from radlib.phantom.survival import SIGMA, censor, log_error
from radlib.phantom.templates import Stratum, Template, apportion, quota
from radlib.phantom.traits import ImagingTraits, Lobe

LOBES: tuple[Lobe, ...] = get_args(Lobe)
LOBE_SHARES: dict[str, tuple[float, ...]] = {
    # frontal, temporal, parietal, occipital, insular. Mutant gliomas sit frontally and in the insula, wild-type ones
    # are spread with the white matter; rounded from the atlases of Ellingson et al. 2013 and Wang et al. 2015.
    "wildtype": (0.30, 0.31, 0.24, 0.07, 0.08),
    "mutant": (0.58, 0.14, 0.09, 0.01, 0.18),
}
LEAST_ENHANCEMENT_ML = 0.35
"""A tumour whose enhancing part would be smaller than this has none: Bakas et al. 2017 give it to 30 % of the LGG."""

REFERENCE_AGE = 60.0
Values = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """What :func:`sample_subjects` gives. Every table has one row a subject, indexed by ``id``, in one order.

    Attributes:
        participants: the columns of :data:`radlib.data.cohort.COLUMNS`; what the template hides or lacks is NaN.
        traits: for each subject, what the image has to show.
        latents: every variable of the graph without what hides it: designed ones, latent ones, traits on their
            unbounded scales, true survival and follow-up in days, and ``gene:NAME`` in SD for each prognostic gene.
        expression: ``(n, 1740)`` log ratios as float32, or None where the template releases none.
        effects: strengths of the arrows, the survival model, coefficients of the prognostic genes; plain values.
    """

    participants: pd.DataFrame
    traits: dict[str, ImagingTraits]
    latents: pd.DataFrame
    expression: pd.DataFrame | None
    effects: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Inputs:
    """What one equation may see."""

    of: Values
    s: Mapping[str, float]
    draw: np.random.Generator
    n: int
    template: Template

    def normal(self, *shape: int) -> np.ndarray:
        return self.draw.standard_normal((self.n, *shape))

    def uniform(self) -> np.ndarray:
        return self.draw.uniform(np.finfo(float).tiny, 1.0, self.n)

    def sum(self, **shapes: np.ndarray | float) -> np.ndarray:
        """The sum over the parents of strength times parent, a parent given in ``shapes`` taken in that form."""
        total = np.zeros(self.n)
        for parent, strength in self.s.items():
            total += strength * np.asarray(shapes.get(parent, self.of[parent]), dtype=float)
        return total


def _codel(x: _Inputs) -> np.ndarray:
    odds = logit(x.template.codel_given_mutant) + x.sum(idh=x.of["idh"] - 1, grade=x.of["grade"] - 2.5)
    return (x.uniform() < expit(odds)).astype(float)


def _mgmt(x: _Inputs) -> np.ndarray:
    return (x.uniform() < expit(logit(0.4) + x.sum())).astype(float)


def _aggressiveness(x: _Inputs) -> np.ndarray:
    return x.sum(grade=x.of["grade"] - 4) + x.normal()


def _location(x: _Inputs) -> np.ndarray:
    wild, mutant = (np.log(LOBE_SHARES[key]) for key in ("wildtype", "mutant"))
    odds = wild + (x.s["idh"] * x.of["idh"])[:, None] * (mutant - wild)
    shares = np.exp(odds - odds.max(axis=1, keepdims=True))
    edges = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
    return np.minimum((x.uniform()[:, None] > edges).sum(axis=1), len(LOBES) - 1).astype(float)


def _volume(x: _Inputs) -> np.ndarray:
    """Log of the volume in ml."""
    return np.log(x.template.volume_ml) + x.sum(grade=x.of["grade"] - 4) + 0.57 * x.normal()


def _enhancement(x: _Inputs) -> np.ndarray:
    """Log ratio of enhancing tumour to oedema. Its spread grows with the distance from grade 4 as its mean falls."""
    below = 4 - x.of["grade"]
    spread = 0.85 * np.exp(0.27 * abs(x.s["grade"]) * below)
    return -0.9 + x.sum(grade=-below) + spread * x.normal()


def _core(x: _Inputs) -> np.ndarray:
    """Log ratio of necrotic and non-enhancing core to oedema."""
    return -1.85 + x.sum(grade=x.of["grade"] - 4) + 1.25 * x.normal()


def _necrosis(x: _Inputs) -> np.ndarray:
    return 0.9 + x.sum(grade=x.of["grade"] - 4) + 0.8 * x.normal()


def _border(x: _Inputs) -> np.ndarray:
    return -0.4 + x.sum(grade=x.of["grade"] - 4) + 0.8 * x.normal()


def _mismatch(x: _Inputs) -> np.ndarray:
    """Share of mismatch, 0 to 1: mostly above a half where the sign is present, near 0 where it is not."""
    present = x.uniform() < expit(-5.0 + x.sum(grade=x.of["grade"] - 3))
    return np.where(present, x.draw.beta(6.0, 2.0, x.n), x.draw.beta(1.0, 15.0, x.n))


def _foci(x: _Inputs) -> np.ndarray:
    second = x.uniform() < expit(-2.1 + x.sum(grade=x.of["grade"] - 4))
    third = x.uniform() < 0.2
    return 1.0 + second + (second & third)


def _mass_effect(x: _Inputs) -> np.ndarray:
    return -0.3 + x.sum(volume=x.of["volume"] - np.log(100.0)) + 0.6 * x.normal()


def _heterogeneity(x: _Inputs) -> np.ndarray:
    return 0.3 + x.sum(grade=x.of["grade"] - 4) + 0.7 * x.normal()


def _ventricles(x: _Inputs) -> np.ndarray:
    """Apparent age, years."""
    return np.clip(55.0 + x.sum(age=x.of["age"] - 55.0) + 4.0 * x.normal(), 15.0, 95.0)


def _pathways(x: _Inputs) -> np.ndarray:
    """Activity of the gene programmes, ``(n, N_PROGRAMMES)``, in SD of their own variation."""
    activity = x.normal(N_PROGRAMMES)
    activity[:, PROLIFERATION] += x.s["aggressiveness"] * x.of["aggressiveness"]
    activity[:, PROLIFERATION] += x.s["grade"] * (x.of["grade"] - 4)
    activity[:, METHYLATOR] += x.s["idh"] * x.of["idh"]
    activity[:, AGEING] += x.s["age"] * (x.of["age"] - REFERENCE_AGE) / 10
    return activity


def _genes(x: _Inputs) -> np.ndarray:
    """Expression of every gene in its SD, ``(n, N_GENES)``."""
    return standardised_expression(x.of["pathways"], x.normal(N_GENES), strength=x.s["pathways"])


def _survival(x: _Inputs) -> np.ndarray:
    """True survival, days: the accelerated-failure-time model of :mod:`radlib.phantom.survival`."""
    forms = survival_covariates(x.of)
    genes = x.of["genes"] @ gene_model().coefficients
    return x.template.median_survival * np.exp(x.sum(**forms, genes=genes) + SIGMA * log_error(x.uniform()))


_EQUATIONS: dict[str, Callable[[_Inputs], np.ndarray]] = {
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


def survival_covariates(variables: Mapping[str, Any]) -> dict[str, Any]:
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


def sample_subjects(
    template: Template,
    *,
    n: int | None = None,
    seed: int,
    strengths: str | Mapping[str, float] | None = None,
) -> Subjects:
    """Draw the subjects of a cohort, without their images.

    Args:
        template: the recipe; see :func:`radlib.phantom.templates.load_template`.
        n: how many subjects, at least 1; the template's own number where None.
        seed: the same seed, template, n and strengths give the same subjects.
        strengths: of the arrows: ``signal``, ``null``, or values by name (:func:`causal.resolve_strengths`).

    Raises:
        RadlibError: if n is below 1, or a strength is unknown or impossible.
    """
    n = template.n if n is None else n
    if n < 1:
        raise RadlibError(f"{n} subjects were asked for", remedy="ask for at least 1")
    values = resolve_strengths(strengths)
    design = _design(template, n, seed=seed)
    variables: dict[str, np.ndarray] = {name: design[name].to_numpy(dtype=float) for name in DESIGNED}
    for node in order():
        if node in DESIGNED:
            continue
        above = parents(node)
        variables[node] = _EQUATIONS[node](
            _Inputs(
                of={name: variables[name] for name in above},
                s={name: values[f"{name}->{node}"] for name in above},
                draw=rng(seed, "phantom", template.name, node),
                n=n,
                template=template,
            )
        )
    follow_up = None
    if template.follow_up is not None:
        follow_up = rng(seed, "phantom", template.name, "follow-up").uniform(*template.follow_up, n)
    return Subjects(
        participants=_participants(template, design, variables, follow_up),
        traits=_traits(design.index, variables, seed=seed, template=template),
        latents=_latents(design.index, variables, follow_up),
        expression=_expression(design.index, variables["genes"]) if template.expression else None,
        effects=_effects(template, values),
    )


def _design(template: Template, n: int, *, seed: int) -> pd.DataFrame:
    """What recruitment fixes: strata by quota, then sex, age, grade, IDH, scans and site within each."""
    counts = apportion(dict(enumerate(stratum.count for stratum in template.strata)), n)
    parts = [
        _stratum(template.strata[number], count, rng(seed, "phantom", template.name, "stratum", number))
        for number, count in counts.items()
        if count
    ]
    draw = rng(seed, "phantom", template.name, "design")
    table = pd.concat(parts, ignore_index=True).iloc[draw.permutation(n)].reset_index(drop=True)
    weights = np.array([site.weight for site in template.sites])
    sites = np.array([site.name for site in template.sites])
    table["site"] = sites[draw.choice(len(sites), size=n, p=weights / weights.sum())]
    prefix = "SIM-" + template.name.replace("-", "").upper()
    width = max(4, len(str(n)))
    table.index = pd.Index([f"{prefix}-{number:0{width}d}" for number in range(1, n + 1)], name="id")
    return table


def _stratum(stratum: Stratum, n: int, draw: np.random.Generator) -> pd.DataFrame:
    of = stratum.count
    groups = {number: group.count for number, group in enumerate(stratum.ages.groups)}
    chosen = quota(groups, n, of=of, draw=draw) if groups else [-1] * n
    # Sex and age are unknown together where both are for some, so the unknown come first in both and go
    # through one permutation.
    sexes = quota(dict(stratum.sex), n, of=of, draw=draw)
    sexes.sort(key=lambda value: value is not None)
    chosen.sort(key=lambda value: value is not None)
    known = [value for value in chosen if value is not None]
    chosen = [None] * (n - len(known)) + [known[index] for index in draw.permutation(len(known))]
    bounds = np.array(
        [
            (stratum.ages.low, stratum.ages.high)
            if value is None or value < 0
            else (stratum.ages.groups[value].low, stratum.ages.groups[value].high)
            for value in chosen
        ]
    )
    mean, sd = stratum.ages.mean, stratum.ages.sd
    low, high = ((bounds[:, side] - mean) / sd for side in (0, 1))
    age = np.clip(truncnorm.rvs(low, high, loc=mean, scale=sd, random_state=draw), bounds[:, 0], None)
    table = pd.DataFrame({"age": np.minimum(np.floor(age * 10) / 10, bounds[:, 1] - 0.1)})
    table["age_known"] = [value is not None for value in chosen]
    table["sex_known"] = [value is not None for value in sexes]
    guess = draw.uniform(size=n) < 0.5
    table["sex"] = [float(value == "M") if value else float(other) for value, other in zip(sexes, guess, strict=True)]
    table = table.iloc[draw.permutation(n)].reset_index(drop=True)
    table["grade"] = np.array(quota(dict(stratum.grade), n, of=of, draw=draw), dtype=float)
    table["idh"] = [float(value == "mutant") for value in quota(dict(stratum.idh), n, of=of, draw=draw)]
    table["scans"] = quota({scan.modalities: scan.count for scan in stratum.scans}, n, of=of, draw=draw)
    table["survival_known"] = [bool(value) for value in quota({True: stratum.survival}, n, of=of, draw=draw)]
    table["collection"], table["split"] = stratum.collection, stratum.split
    table["grade_group"] = stratum.grade_group
    return table


def _participants(
    template: Template, design: pd.DataFrame, variables: Values, follow_up: np.ndarray | None
) -> pd.DataFrame:
    days, event = censor(variables["survival"], follow_up)
    table = pd.DataFrame(index=design.index)
    scanned = design["scans"].map(bool)
    table["site"] = design["site"].where(scanned)
    table["collection"] = design["collection"]
    table["age"] = design["age"].where(design["age_known"])
    table["sex"] = design["sex"].map({0.0: "F", 1.0: "M"}).where(design["sex_known"])
    table["grade"] = design["grade"]
    table["grade_group"] = design["grade_group"]
    table["idh"] = design["idh"].map({0.0: "wildtype", 1.0: "mutant"})
    table["codel_1p19q"] = np.where(variables["codel"] > 0, "codel", "non-codel")
    table["mgmt"] = np.where(variables["mgmt"] > 0, "methylated", "unmethylated")
    table["survival_days"] = pd.Series(days, index=table.index).where(design["survival_known"])
    table["event"] = pd.Series(event, index=table.index).where(design["survival_known"])
    table["split"] = design["split"]
    folder = design["split"].where(design["split"] == "validation", design["grade_group"])
    for modality in (*MODALITIES, "seg"):
        has = scanned if modality == "seg" else design["scans"].map(lambda scans, m=modality: m in scans)
        ids = table.index.to_series()
        table[modality] = (folder + "/" + ids + "/" + ids + f"_{modality}.nii.gz").where(has)
    table["label_encoding"] = pd.Series("brats", index=table.index).where(scanned)
    for column in template.hidden:
        table[column] = np.nan
    for column in COLUMNS:
        table[column] = table[column].astype(float if column in NUMBER_COLUMNS else "str")
    return table[list(COLUMNS)]


def fractions(volume_ml: np.ndarray, enhancement: np.ndarray, core: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of enhancing tumour and core from their log ratios to oedema; small enhancement is none.

    Args:
        volume_ml: ``(n,)`` volume of the whole tumour, ml.
        enhancement, core: ``(n,)`` log ratios.

    Returns:
        ``(n,)`` share of enhancing tumour, 0 or at least ``LEAST_ENHANCEMENT_ML / volume_ml``, and of core.
    """
    enhancing, solid = np.exp(enhancement), np.exp(core)
    share = enhancing / (1 + enhancing + solid)
    enhancing = np.where(share * volume_ml < LEAST_ENHANCEMENT_ML, 0.0, enhancing)
    total = 1 + enhancing + solid
    return enhancing / total, solid / total


def _traits(ids: pd.Index, variables: Values, *, seed: int, template: Template) -> dict[str, ImagingTraits]:
    volume = np.clip(np.exp(variables["volume"]), 3.0, 350.0)
    enhancing, core = fractions(volume, variables["enhancement"], variables["core"])
    left = rng(seed, "phantom", template.name, "hemisphere").uniform(size=len(ids)) < 0.5
    bounded = {name: expit(variables[name]) for name in ("necrosis", "border", "mass_effect", "heterogeneity")}
    return {
        str(subject): ImagingTraits(
            age=float(variables["ventricles"][row]),
            lobe=LOBES[int(variables["location"][row])],
            hemisphere="left" if left[row] else "right",
            volume_ml=float(volume[row]),
            fraction_et=float(enhancing[row]),
            fraction_core=float(core[row]),
            necrosis=float(bounded["necrosis"][row]),
            border_sharpness=float(bounded["border"][row]),
            t2_flair_mismatch=float(variables["mismatch"][row]),
            n_foci=int(variables["foci"][row]),
            mass_effect=float(bounded["mass_effect"][row]),
            heterogeneity=float(bounded["heterogeneity"][row]),
        )
        for row, subject in enumerate(ids)
    }


def _latents(ids: pd.Index, variables: Values, follow_up: np.ndarray | None) -> pd.DataFrame:
    columns = {name: value for name, value in variables.items() if value.ndim == 1}
    names = gene_model().names
    columns |= {f"gene:{name}": variables["genes"][:, names.index(name)] for name in PROGNOSTIC}
    columns |= {f"programme:{number}": variables["pathways"][:, number] for number in range(N_PROGRAMMES)}
    if follow_up is not None:
        columns["follow_up"] = follow_up
    return pd.DataFrame(columns, index=ids)


def _expression(ids: pd.Index, standardised: np.ndarray) -> pd.DataFrame:
    model = gene_model()
    return pd.DataFrame((standardised * model.sd).astype(np.float32), index=ids, columns=list(model.names))


def _effects(template: Template, strengths: Mapping[str, float]) -> dict[str, Any]:
    return {
        "template": template.name,
        "strengths": dict(strengths),
        "units": {name: arrow.unit for name, arrow in ARROWS.items()},
        "survival": {
            "model": "log T = log(median_days) + x'b + sigma * W, W smallest extreme value with median 0",
            "median_days": template.median_survival,
            "sigma": SIGMA,
            "log_time": survival_coefficients(strengths),
        },
    }


def survival_coefficients(strengths: Mapping[str, float]) -> dict[str, float]:
    """Log time per unit of every covariate of survival: those of :func:`survival_covariates`, and each ``gene:``."""
    into = {name: strengths[f"{name}->survival"] for name in parents("survival")}
    scale = into.pop("genes")
    return into | {f"gene:{name}": scale * value for name, value in PROGNOSTIC.items()}
