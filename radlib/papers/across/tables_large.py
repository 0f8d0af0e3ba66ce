"""What the chapter on real tables shows: statistics of jobs, never a row of a patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from radlib.papers.across.study import from_rows
from radlib.papers.across.study_large import AGE, BOTH, FEATURES, OTHERS
from radlib.stats.binary import Results
from radlib.stats.calibration import calibration_curve, calibration_fit
from radlib.stats.classification import difference, evaluate
from radlib.stats.decision import decision_curves
from radlib.stats.intervals import permutation_p_value
from radlib.stats.protocols import AS_PUBLISHED, EXTERNAL, LEAKAGE_FREE
from radlib.stats.recalibration import recalibration_table

METRICS = ("auc", "accuracy", "brier")
PAIRS = ((BOTH, AGE), (BOTH, FEATURES), (FEATURES, AGE))
THRESHOLDS = tuple(np.round(np.arange(0.05, 0.96, 0.05), 2))


def patients_table(table: pd.DataFrame) -> pd.DataFrame:
    """Patients by grade and IDH: ``grade, idh, patients, age, mean, age, SD``."""
    grouped = table.groupby(["grade", "idh"])["age"]
    found = grouped.agg(["count", "mean", "std"]).reset_index()
    return found.rename(columns={"count": "patients", "mean": "age, mean", "std": "age, SD"})


def by_group(scores: pd.DataFrame) -> dict[str, Results]:
    """The predictions of a job by its ``group``."""
    return {str(group): from_rows(part) for group, part in scores.groupby("group", sort=False)}


def models_table(scores: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """:data:`METRICS` and the fit of the calibration: ``group, protocol, model, metric, value, low, high, n``."""
    rows = []
    for group, results in by_group(scores).items():
        for (protocol, model), found in results.items():
            measured = evaluate(found, n_boot=n_boot, seed=seed)
            metrics = {name: measured[name] for name in METRICS}
            if found.probability is not None:
                fit = calibration_fit(found.truth, found.probability)
                metrics |= {"slope": fit.slope, "in the large": fit.in_the_large}
            about = {"group": group, "protocol": protocol, "model": model}
            rows += [{**about, "metric": name, **estimate.as_dict()} for name, estimate in metrics.items()]
    return pd.DataFrame(rows)


def differences_table(scores: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Paired differences of AUC in every group: ``group, difference, value, low, high, n``."""
    rows = []
    for group, results in by_group(scores).items():
        for first, second in PAIRS:
            one, two = results[LEAKAGE_FREE, first], results[LEAKAGE_FREE, second]
            found = difference(one, two, "auc", n_boot=n_boot, seed=seed)
            rows.append({"group": group, "difference": f"{first} - {second}", **found.as_dict()})
    return pd.DataFrame(rows)


def sizes_table(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean AUC and the central 95 % of the draws: ``columns, n, protocol, value, low, high, draws``.

    Args:
        found: tables ``sizes`` of jobs by the name of their columns.
    """
    table = pd.concat([frame.assign(columns=name) for name, frame in found.items()])
    return _over_draws(table, ["columns", "n", "protocol"], "value")


def gaps_table(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """What a protocol reports beyond what the model reaches on the patients left out, draw by draw.

    Returns:
        ``columns, n, protocol, value, low, high, draws``: mean and central 95 %; the whole cohort leaves nobody out.
    """
    parts = []
    for name, frame in found.items():
        wide = frame.pivot(index=["n", "draw"], columns="protocol", values="value").dropna(subset=[OTHERS])
        for protocol in (AS_PUBLISHED, LEAKAGE_FREE):
            beyond = (wide[protocol] - wide[OTHERS]).rename("value").reset_index()
            parts.append(beyond.assign(columns=name, protocol=protocol))
    return _over_draws(pd.concat(parts), ["columns", "n", "protocol"], "value")


def _over_draws(table: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    grouped = table.groupby(list(by), sort=False)[value]
    return grouped.agg(
        value="mean", low=lambda v: v.quantile(0.025), high=lambda v: v.quantile(0.975), draws="count"
    ).reset_index()


def calibration_table(scores: pd.DataFrame, *, group: str = "all", bins: int = 5) -> pd.DataFrame:
    """Observed by predicted frequency in groups of patients: ``model, predicted, observed, low, high, n``."""
    parts = []
    for (_, model), found in by_group(scores)[group].items():
        if found.probability is not None:
            parts.append(calibration_curve(found.truth, found.probability, bins=bins).assign(model=model))
    return pd.concat(parts, ignore_index=True)


def decision_table(scores: pd.DataFrame, *, group: str = "all", n_boot: int, seed: int) -> pd.DataFrame:
    """Decision curves of the leakage-free models (:func:`radlib.stats.decision.decision_curves`)."""
    models = {name: found for (protocol, name), found in by_group(scores)[group].items() if protocol == LEAKAGE_FREE}
    return decision_curves(models, THRESHOLDS, n_boot=n_boot, seed=seed)


def moved_table(scores: pd.DataFrame, *, model: str, sizes: Sequence[int], draws: int, seed: int) -> pd.DataFrame:
    """Recalibration of a transported model in every group that it was carried to."""
    parts = []
    for group, results in by_group(scores).items():
        found = results[EXTERNAL, model]
        assert found.probability is not None
        table = recalibration_table(found.truth, found.probability[0], sizes=sizes, draws=draws, seed=seed)
        parts.append(table.assign(group=group, model=model))
    return pd.concat(parts, ignore_index=True)


def shuffles_table(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on shuffled survival beside that on the patients' own, by reading.

    Args:
        found: ``reading, permutation, accuracy``; permutation -1 is the patients' own survival.

    Returns:
        ``reading, observed, value, low, high, shuffles, p``: mean and central 95 % of the shuffles, one-sided p.
    """
    rows = []
    for reading, part in found.groupby("reading", sort=False):
        own = part["permutation"] < 0
        observed, values = float(part.loc[own, "accuracy"].iloc[0]), part.loc[~own, "accuracy"]
        rows.append({
            "reading": reading, "observed": observed, "value": values.mean(), "low": values.quantile(0.025),
            "high": values.quantile(0.975), "shuffles": len(values), "p": permutation_p_value(observed, list(values)),
        })  # fmt: skip
    return pd.DataFrame(rows)
