"""Who the simulated patients are: recruitment by quota, the equations of the causal graph, and the tables they give.

Each variable draws from a random stream of its own, so taking an arrow away changes its target and what follows from
it, and leaves everything else as it was, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import truncnorm

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.data.cohort import COLUMNS, MODALITIES, NUMBER_COLUMNS
from radlib.phantom.causal import ARROWS, DESIGNED, order, parents, resolve_strengths
from radlib.phantom.equations import EQUATIONS, LOBES, Inputs, Values
from radlib.phantom.genes import N_PROGRAMMES, PROGNOSTIC, gene_model
from radlib.phantom.survival import SIGMA, censor
from radlib.phantom.templates.schema import Stratum, Template, quota
from radlib.phantom.traits import ImagingTraits

LEAST_ENHANCEMENT_ML = 0.7
"""A tumour whose enhancing part would be smaller than this has none: Bakas et al. 2017 give it to 30 % of the LGG."""


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
        variables[node] = EQUATIONS[node](
            Inputs(
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
    parts = [
        _stratum(stratum, size, rng(seed, "phantom", template.name, "stratum", number))
        for number, (stratum, size) in enumerate(zip(template.strata, template.sizes(n), strict=True))
        if size
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
    # One age from each n-th of the distribution: a small cohort has its mean and spread, as the paper's cohort has.
    ranks = (draw.permutation(n) + draw.uniform(size=n)) / max(n, 1)
    age = np.clip(truncnorm.ppf(ranks, low, high, loc=mean, scale=sd), bounds[:, 0], None)
    table = pd.DataFrame({"age": np.minimum(np.floor(age * 10) / 10, bounds[:, 1] - 0.1)})
    table["age_known"] = [value is not None for value in chosen]
    table["sex_known"] = [value is not None for value in sexes]
    guess = draw.uniform(size=n) < 0.5
    table["sex"] = [float(value == "M") if value else float(other) for value, other in zip(sexes, guess, strict=True)]
    table = table.iloc[draw.permutation(n)].reset_index(drop=True)
    table["grade"] = np.array(quota(dict(stratum.grade), n, of=of, draw=draw), dtype=float)
    table["idh"] = [float(value == "mutant") for value in quota(dict(stratum.idh), n, of=of, draw=draw)]
    table["scans"] = _scans(stratum, n, draw)
    table["survival_known"] = [bool(value) for value in quota({True: stratum.survival}, n, of=of, draw=draw)]
    table["collection"], table["split"] = stratum.collection, stratum.split
    table["grade_group"] = stratum.grade_group
    return table


def _scans(stratum: Stratum, n: int, draw: np.random.Generator) -> list[tuple[str, ...]]:
    """The modalities of each of ``n`` subjects; two patterns of the template may be equal."""
    patterns = quota({number: scan.count for number, scan in enumerate(stratum.scans)}, n, of=stratum.count, draw=draw)
    return [() if number is None else stratum.scans[number].modalities for number in patterns]


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
    table[list(template.hidden)] = np.nan
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
