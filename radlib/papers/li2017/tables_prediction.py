"""Tables of IDH1 prediction in Li 2017, made from the predictions of its studies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from radlib.core.titles import METRIC_TITLES
from radlib.data.published import published
from radlib.papers.li2017.study_prediction import FOLDS
from radlib.stats.classification import Predictions
from radlib.stats.intervals import Estimate, permutation_p_value
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE
from radlib.stats.roc import auc
from radlib.stats.tables import format_interval
from radlib.study.estimates import class_estimates

CLASS_METRICS = ("auc", "accuracy", "sensitivity", "specificity", "ppv", "npv", "mcc")
"""As the paper's Tables 2 and 3 have them."""


def by_protocol(predictions: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Every metric of every arm, scheme and protocol: the mean over runs, with an interval over runs and patients."""
    parts = []
    for (scheme, protocol), part in predictions.groupby(["scheme", "protocol"], sort=False):
        found = class_estimates(part, metrics=CLASS_METRICS, n_boot=n_boot, seed=seed)
        parts.append(found.assign(scheme=str(scheme), protocol=str(protocol)))
    return pd.concat(parts, ignore_index=True)


def estimate(found: pd.DataFrame, arm: str, scheme: str, protocol: str, metric: str = "auc") -> Estimate:
    """One number of :func:`by_protocol`."""
    key = {"arm": arm, "scheme": scheme, "protocol": protocol, "metric": metric}
    row = found[(found[list(key)] == pd.Series(key)).all(axis=1)].iloc[0]
    return Estimate(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]))


def printed_table(
    found: pd.DataFrame, rows: Mapping[str, str], titles: Mapping[str, str], *, scheme: str
) -> pd.DataFrame:
    """Arms and protocols down, the paper's metrics across, with the paper's own line above.

    Args:
        found: of :func:`by_protocol`.
        rows: arm to the row of the paper's table (empty without one).
        titles: of arms.
        scheme: only this one.
    """
    lines = []
    for arm, row in rows.items():
        name = {"model": titles.get(arm, arm)}
        if row:
            values = {m: f"{published(f'li2017.{row}.{m}').value:.3f}" for m in CLASS_METRICS}
            lines.append(name | {"protocol": "printed"} | {METRIC_TITLES[m]: text for m, text in values.items()})
        part = found[(found["arm"] == arm) & (found["scheme"] == scheme)]
        for protocol, cells in part.groupby("protocol", sort=False):
            one = cells.set_index("metric")
            lines.append(name | {"protocol": str(protocol)} | {
                METRIC_TITLES[m]: format_interval(*one.loc[m, ["value", "low", "high"]], digits=2)
                for m in CLASS_METRICS
            })  # fmt: skip
    return pd.DataFrame(lines)


def runs_of(predictions: pd.DataFrame) -> Predictions:
    """Predictions of one arm, scheme and protocol, a run a row."""
    wide = {
        name: predictions.pivot(index="run", columns="subject", values=name).to_numpy()
        for name in ("truth", "predicted", "score")
    }
    return Predictions.of(wide["truth"][0], wide["predicted"], score=wide["score"])


def chance_table(found: pd.DataFrame, permutations: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """The leakage-free AUC by folds beside what shuffled labels give: ``features, AUC, shuffled labels, p``.

    ``p`` is one-sided, the labels as they are counted among the shuffles (Phipson and Smyth 2010). It allows for the
    training sets, which the intervals of the AUC hold fixed.
    """
    rows = []
    known = permutations[
        (permutations["metric"] == "auc") & (permutations["protocol"] == LEAKAGE_FREE)
        & (permutations["scheme"] == FOLDS) & (permutations["permutation"] >= 0)
    ]  # fmt: skip
    for arm, part in known.groupby("arm", sort=False):
        observed, null = estimate(found, str(arm), FOLDS, LEAKAGE_FREE), part["value"].dropna().to_numpy(float)
        rows.append({
            "features": titles.get(str(arm), arm), "AUC": format_interval(observed.value, observed.low, observed.high),
            "shuffled labels": format_interval(float(null.mean()), *map(float, np.quantile(null, [0.025, 0.975]))),
            "p": permutation_p_value(observed.value, null),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=["features", "AUC", "shuffled labels", "p"])


def reading_table(permutations: pd.DataFrame, printed: Mapping[str, float]) -> pd.DataFrame:
    """How far every reading of the paper's selection fits the AUCs that it prints.

    Args:
        permutations: of :func:`radlib.papers.li2017.prediction.permutation_table`, with a column ``arm``.
        printed: arm to the AUC of Table 2 or 3.

    Returns:
        One row a reading: lowest and highest AUC of an arm on true labels, their mean distance from the print and
        Spearman's correlation with it; ``shuffled, lowest``, the lowest mean AUC of an arm on shuffled labels; and
        whether the print rules the reading out, because shuffled labels alone give more than the lowest printed AUC.
    """
    rows = []
    known = permutations[(permutations["metric"] == "auc") & permutations["arm"].isin(list(printed))]
    target = pd.Series(printed)
    for reading, part in known.groupby("protocol", sort=False):
        true, chance = (
            part[chosen].groupby("arm")["value"].mean().reindex(list(printed))
            for chosen in (part["permutation"] < 0, part["permutation"] >= 0)
        )
        rows.append({
            "reading": reading, "lowest": true.min(), "highest": true.max(),
            "distance from print": (true - target).abs().mean(),
            "correlation with print": true.corr(target, "spearman"), "shuffled, lowest": chance.min(),
            "ruled out": "yes" if chance.min() > target.min() else "no",
        })  # fmt: skip
    return pd.DataFrame(rows)


def auc_table(
    found: pd.DataFrame, rows: Mapping[str, str], titles: Mapping[str, str], *, scheme: str, chance: pd.DataFrame
) -> pd.DataFrame:
    """The AUC of every arm: printed, under both protocols, and on shuffled labels under the published one.

    Args:
        found: of :func:`by_protocol`.
        rows: arm to the row of the paper's table (empty without one).
        titles: of arms.
        scheme: only this one.
        chance: of :func:`radlib.papers.li2017.prediction.permutation_table`, with ``arm`` and ``scheme``.
    """
    lines = []
    for arm, row in rows.items():
        line = {"model": titles.get(arm, arm), "printed": f"{published(f'li2017.{row}.auc').value:.3f}" if row else ""}
        part = found[(found["arm"] == arm) & (found["scheme"] == scheme) & (found["metric"] == "auc")]
        for protocol, cells in part.groupby("protocol", sort=False):
            line[str(protocol)] = format_interval(*cells.iloc[0][["value", "low", "high"]], digits=2)
        drawn = chance[
            (chance["arm"] == arm) & (chance["scheme"] == scheme) & (chance["metric"] == "auc")
            & (chance["permutation"] >= 0) & (chance["protocol"] == AS_PUBLISHED)
        ]["value"]  # fmt: skip
        line["as published, shuffled labels"] = f"{drawn.mean():.2f}" if len(drawn) else ""
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def trait_table(traits: pd.DataFrame, truth: pd.Series) -> pd.DataFrame:
    """How well each planted trait alone tells the classes apart: AUC, direction ignored, the best first."""
    values = {name: auc(truth.to_numpy(dtype=bool), traits[name].to_numpy(dtype=float)) for name in traits}
    rows = [{"trait": name, "AUC": max(v, 1 - v)} for name, v in values.items()]
    return pd.DataFrame(rows).sort_values("AUC", ascending=False, ignore_index=True)
