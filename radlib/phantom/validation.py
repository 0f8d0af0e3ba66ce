"""Whether the simulated cohort holds what it states: planted effects, and their absence; tables of what it states.

Everything here works on :class:`radlib.phantom.biology.Subjects`, so without an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from scipy import optimize, stats

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import named_seed
from radlib.phantom.biology import Subjects, sample_subjects
from radlib.phantom.causal import ARROWS, IMAGING, resolve_strengths
from radlib.phantom.equations import LOBE_SHARES, REFERENCE_AGE, survival_covariates
from radlib.phantom.genes import AGEING, METHYLATOR, PROLIFERATION
from radlib.phantom.survival import log_hazard_ratio
from radlib.phantom.templates import TEMPLATE_NAMES, Template, load_template


def covariates(subjects: Subjects) -> pd.DataFrame:
    """Every parent of survival in the unit of its arrow: one column an effect of ``effects["survival"]``."""
    latents = subjects.latents
    genes = latents.loc[:, latents.columns.str.startswith("gene:")]
    return pd.DataFrame(survival_covariates(latents)).join(genes)


def recover_survival(subjects: Subjects, *, level: float = 0.95) -> pd.DataFrame:
    """Fit a Cox model on the true latent variables and hold it against the planted effects.

    The Weibull model of survival has proportional hazards, so the planted log hazard ratio is ``-b / sigma`` exactly.
    Covariates that do not vary among the subjects are left out.

    Args:
        subjects: with a known survival for at least some; 2,000 subjects give narrow intervals.
        level: of the Wald intervals.

    Returns:
        One row an effect: ``planted``, ``estimate``, ``low``, ``high`` (log hazard ratios), ``p``, ``inside``.

    Raises:
        RadlibError: if nobody's survival is known.
    """
    from statsmodels.duration.hazard_regression import PHReg

    known = subjects.participants["survival_days"].notna()
    if not known.any():
        raise RadlibError("nobody's survival is known", remedy="use a template that tells it, such as tcga-idh")
    x = covariates(subjects)[known]
    x = x.loc[:, x.std() > 0]
    outcome = subjects.participants.loc[known, ["survival_days", "event"]]
    fit = PHReg(outcome["survival_days"].to_numpy(), x.to_numpy(), status=outcome["event"].to_numpy()).fit()
    planted = {key: log_hazard_ratio(b) for key, b in subjects.effects["survival"]["log_time"].items()}
    names = [str(name) for name in x]
    table = _intervals(names, [planted[name] for name in names], fit.params, fit.bse, level=level)
    table["p"] = fit.pvalues
    return table


def coverage(template: Template, *, replicates: int, n: int, seed: int = 0, level: float = 0.95) -> pd.DataFrame:
    """How often the intervals of :func:`recover_survival` hold the planted effect, over cohorts drawn anew.

    Returns:
        One row an effect: ``planted``, ``mean estimate``, ``bias`` (of the mean estimate, in its standard errors) and
        ``inside``, the share of cohorts whose interval holds the planted effect.

    Raises:
        RadlibError: for fewer than two replicates.
    """
    if replicates < 2:
        raise RadlibError(f"{replicates} replicate(s) have no spread", remedy="ask for 2 or more")
    tables = [
        recover_survival(sample_subjects(template, n=n, seed=named_seed(seed, "coverage", replicate)), level=level)
        for replicate in track(range(replicates), description="cohorts")
    ]
    all_of = pd.concat(tables).groupby(level="effect", sort=False)
    estimate, planted = all_of["estimate"], all_of["planted"].first()
    return pd.DataFrame(
        {
            "planted": planted,
            "mean estimate": estimate.mean(),
            "bias": (estimate.mean() - planted) / estimate.sem(),
            "inside": all_of["inside"].mean(),
        }
    )


def _intervals(
    names: list[str], planted: list[float], estimate: np.ndarray, error: np.ndarray, *, level: float
) -> pd.DataFrame:
    half = stats.norm.ppf(0.5 + level / 2) * np.asarray(error)
    table = pd.DataFrame(
        {"planted": planted, "estimate": estimate, "low": estimate - half, "high": estimate + half},
        index=pd.Index(names, name="effect"),
    )
    table["inside"] = (table["low"] <= table["planted"]) & (table["planted"] <= table["high"])
    return table


def recover_arrows(subjects: Subjects, *, level: float = 0.95) -> pd.DataFrame:
    """Regress each variable on its parents and hold the coefficients against the strengths of its arrows.

    Linear equations by least squares with heteroscedasticity-robust errors, yes-or-no variables by logistic
    regression, location by maximum likelihood of its one parameter. Left out: survival (:func:`recover_survival`),
    the genes, and a yes-or-no variable that a two-valued parent all but determines (fewer than five subjects in a
    cell), where no interval exists.

    Returns:
        One row an arrow: ``planted``, ``estimate``, ``low``, ``high``, ``inside``.
    """
    import statsmodels.api as sm

    latents, strengths = subjects.latents, subjects.effects["strengths"]
    programmes = {
        "pathways": {f"programme:{PROLIFERATION}": ("aggressiveness", "grade"), f"programme:{METHYLATOR}": ("idh",),
                     f"programme:{AGEING}": ("age",)}
    }  # fmt: skip
    binary = {
        "mgmt": latents["mgmt"], "codel": latents["codel"], "mismatch": latents["mismatch"] > 0.35,
        "foci": latents["foci"] > 1,
    }  # fmt: skip
    linear = {
        name: latents[name]
        for name in ("aggressiveness", "volume", "enhancement", "core", "necrosis", "border", "mass_effect",
                     "heterogeneity", "ventricles")
    }  # fmt: skip
    jobs: list[tuple[str, pd.Series, tuple[str, ...], bool]] = [
        *((node, y.astype(float), _sources(node), True) for node, y in binary.items()),
        *((node, y, _sources(node), False) for node, y in linear.items()),
        *((node, latents[column], above, False) for node, of in programmes.items() for column, above in of.items()),
    ]
    parts = []
    for node, y, above, yes_or_no in jobs:
        x = latents[list(above)].astype(float)
        if "age" in x and node == "pathways":
            x = (x - REFERENCE_AGE) / 10
        x = x.loc[:, x.std() > 0]
        if x.empty or y.nunique() < 2 or (yes_or_no and _least_cell(x, y) < 5):
            continue
        design = sm.add_constant(x)
        fit = sm.Logit(y, design).fit(disp=0) if yes_or_no else sm.OLS(y, design).fit(cov_type="HC3")
        names = [f"{source}->{node}" for source in x]
        parts.append(
            _intervals(
                names, [strengths[name] for name in names], fit.params[list(x)].to_numpy(),
                fit.bse[list(x)].to_numpy(), level=level,
            )
        )  # fmt: skip
    parts.append(_recover_location(latents, strengths["idh->location"], level=level))
    table = pd.concat(parts)
    return table.loc[[name for name in ARROWS if name in table.index]]


def _sources(node: str) -> tuple[str, ...]:
    return tuple(arrow.source for arrow in ARROWS.values() if arrow.target == node)


def _least_cell(x: pd.DataFrame, y: pd.Series) -> int:
    """The smallest number of subjects in a cell of ``y`` against a two-valued column of ``x``."""
    tables = [pd.crosstab(x[column], y) for column in x if x[column].nunique() == 2]
    return min((int(table.to_numpy().min()) for table in tables), default=len(y))


def _recover_location(latents: pd.DataFrame, planted: float, *, level: float) -> pd.DataFrame:
    wild, mutant = (np.log(LOBE_SHARES[key]) for key in ("wildtype", "mutant"))
    tilt = mutant - wild
    lobes = latents.loc[latents["idh"] > 0, "location"].astype(int).to_numpy()

    def shares(strength: float) -> np.ndarray:
        odds = np.exp(wild + strength * tilt)
        return odds / odds.sum()

    def score(strength: float) -> float:
        return float(tilt[lobes].mean() - shares(strength) @ tilt)

    estimate = optimize.brentq(score, -5.0, 5.0)
    expected = shares(estimate)
    information = len(lobes) * float(expected @ tilt**2 - (expected @ tilt) ** 2)
    return _intervals(["idh->location"], [planted], np.array([estimate]), np.array([information**-0.5]), level=level)


def cox_score_test(x: np.ndarray, days: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Two-sided p-values of Cox's score test for one covariate at a time (the log-rank test for a yes-or-no one).

    Ties are Breslow's. A covariate without variation gets NaN.

    Args:
        x: ``(n, p)`` covariates.
        days: ``(n,)`` observed time.
        event: ``(n,)`` 1 for a death.

    Returns:
        ``(p,)`` p-values.
    """
    latest_first = np.argsort(-days, kind="stable")
    x, days, event = np.asarray(x, float)[latest_first], days[latest_first], event[latest_first] > 0
    x = x - x.mean(axis=0)
    # The risk set of a time is everyone up to the last subject of that time in this order.
    last = np.searchsorted(-days, -days, side="right")
    at_risk = last[event][:, None]
    mean = np.cumsum(x, axis=0)[last[event] - 1] / at_risk
    variance = np.cumsum(x**2, axis=0)[last[event] - 1] / at_risk - mean**2
    score, information = (x[event] - mean).sum(axis=0), variance.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(information > 1e-12, stats.chi2.sf(score**2 / information, df=1), np.nan)


def p_values(
    template: Template,
    *,
    strengths: str | Mapping[str, float],
    replicates: int = 200,
    n: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """The p-values of cohorts drawn over and over.

    ``survival ~ X`` are score tests of survival against each of its parents, ``X ~ idh`` are rank-sum tests of each
    imaging trait between mutant and wild-type tumours (location by its frontal share).

    Returns:
        ``(replicates, tests)``.

    Raises:
        RadlibError: for fewer than 20 replicates, which tell nothing about a distribution.
    """
    if replicates < 20:
        raise RadlibError(f"{replicates} replicates say nothing about a distribution", remedy="ask for 20 or more")
    rows = []
    for replicate in track(range(replicates), description="replicates"):
        subjects = sample_subjects(template, n=n, seed=named_seed(seed, "replicate", replicate), strengths=strengths)
        row: dict[str, float] = {}
        outcome = subjects.participants[["survival_days", "event"]].dropna()
        if len(outcome):
            x = covariates(subjects).loc[outcome.index]
            p = cox_score_test(x.to_numpy(), outcome["survival_days"].to_numpy(), outcome["event"].to_numpy())
            row |= {f"survival ~ {name}": value for name, value in zip(x, p, strict=True)}
        traits = subjects.latents[list(IMAGING)].assign(location=subjects.latents["location"] == 0).astype(float)
        mutant = subjects.latents["idh"] > 0
        test = stats.mannwhitneyu(
            traits[mutant].to_numpy(), traits[~mutant].to_numpy(), use_continuity=False, method="asymptotic"
        )
        row |= {f"{name} ~ idh": value for name, value in zip(traits, test.pvalue, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows).dropna(axis=1, how="all")


def uniformity(p: pd.DataFrame) -> pd.DataFrame:
    """Kolmogorov-Smirnov distance of each column's p-values from the uniform, its p, and the share below 0.05."""
    rows = {}
    for name in p:
        values = p[name].dropna().to_numpy()
        test = stats.kstest(values, "uniform")
        rows[name] = {"ks": test.statistic, "p": test.pvalue, "below_0.05": float((values < 0.05).mean())}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("test")


def template_table() -> pd.DataFrame:
    """What each template holds, as counted in a cohort of its own size."""
    rows = {}
    statuses: tuple[Literal["mutant", "wildtype"], ...] = ("mutant", "wildtype")
    for role in TEMPLATE_NAMES:
        template = load_template(role)
        people = sample_subjects(template, seed=0).participants
        scanned = people["seg"].notna()
        complete = people.loc[scanned, list(template.modalities)].notna().all(axis=1)
        rows[role] = {
            "subjects": len(people),
            "with MRI": int(scanned.sum()),
            "HGG / LGG": " / ".join(str(int((people["grade_group"] == group).sum())) for group in ("HGG", "LGG")),
            "IDH mutant / wild type": " / ".join(
                str(sum(stratum.idh.get(status, 0) for stratum in template.strata)) for status in statuses
            ),
            "modalities": ", ".join(template.modalities),
            "all of them": int(complete.sum()),
            "grid": " x ".join(map(str, template.grid)),
            "spacing, mm": " x ".join(f"{value:g}" for value in template.spacing),
            "survival known": int(people["survival_days"].notna().sum()),
            "genes": "1740" if template.expression else "",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("template")


def scan_patterns(template: Template) -> pd.DataFrame:
    """Which modalities how many subjects have: one row a pattern, the most frequent first."""
    counts: dict[tuple[str, ...], int] = {}
    for stratum in template.strata:
        for scan in stratum.scans:
            counts[scan.modalities] = counts.get(scan.modalities, 0) + scan.count
    rows = [
        {**{modality: "yes" if modality in scanned else "" for modality in template.modalities}, "subjects": count}
        for scanned, count in sorted(counts.items(), key=lambda item: -item[1])
    ]
    return pd.DataFrame(rows)


def arrow_table() -> pd.DataFrame:
    """Every arrow of the graph with its strength in the presets ``signal`` and ``null``, and the unit."""
    null = resolve_strengths("null")
    return pd.DataFrame(
        [
            {"from": arrow.source, "to": arrow.target, "signal": arrow.strength, "null": null[name], "unit": arrow.unit}
            for name, arrow in ARROWS.items()
        ]
    )


ON_FLAIR = tuple(name for name in IMAGING if name not in ("enhancement", "core"))
"""What FLAIR alone shows of a tumour and its head."""


def planted_readers(*, n: int, seed: int) -> pd.DataFrame:
    """AUC of readers who see without error: every imaging trait, those that FLAIR shows, or age alone.

    Logistic regression, five folds; AUCs are of out-of-fold predictions, age's of age itself.

    Returns:
        One row a template: ``IDH, all traits``, ``IDH, age``, ``grade 4, FLAIR's traits``, ``grade 4, age`` (NaN where
        all have one grade).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def read(latents: pd.DataFrame, names: tuple[str, ...], y: pd.Series) -> float:
        x = latents[list(names)].astype({"location": "category"})
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        scores = cross_val_predict(model, pd.get_dummies(x, dtype=float), y, cv=folds, method="predict_proba")
        return float(roc_auc_score(y, scores[:, 1]))

    rows = {}
    for role in TEMPLATE_NAMES:
        latents = sample_subjects(load_template(role), n=n, seed=seed).latents
        mutant, high = latents["idh"] > 0, latents["grade"] == 4
        mixed = 0 < high.sum() < len(high)
        rows[role] = {
            "IDH, all traits": read(latents, IMAGING, mutant),
            "IDH, age": float(roc_auc_score(~mutant, latents["age"])),
            "grade 4, FLAIR's traits": read(latents, ON_FLAIR, high) if mixed else np.nan,
            "grade 4, age": float(roc_auc_score(high, latents["age"])) if mixed else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("template")
