"""The entries of Ge 2020 that the chapter on the multi-stream classifier answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from radlib.book.report import Report
from radlib.data.published import published_values
from radlib.papers.ge2020.arms import CONTROLS, DENSENET, NO_MASK
from radlib.papers.ge2020.estimates import estimate, gain, per_run
from radlib.stats.intervals import Estimate
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE


def record_all(
    report: Report,
    predictions: pd.DataFrame,
    *,
    counted: pd.DataFrame | None,
    counts: tuple[int, int],
    n_boot: int,
    seed: int,
) -> None:
    """Every entry of the paper that belongs to this chapter, once.

    Args:
        report: of the chapter.
        predictions: of all arms.
        counted: predictions of the arm on labels as counted, against these labels; None where there is none.
        counts: mutant and wild-type patients of the cohort.
        n_boot, seed: of the intervals.
    """
    arms = {str(name): part for name, part in predictions.groupby("arm", sort=False)}
    n = int(predictions["subject"].nunique())

    def put(key: str, found: Estimate, *, protocol: str = LEAKAGE_FREE, note: str = "", scale: float = 100) -> None:
        if not np.isfinite(found.value):
            report.missing(key, "no run defines it")
            return
        low, high = (scale * x if np.isfinite(x) else None for x in (found.low, found.high))
        report.record(key, scale * found.value, low=low, high=high, n=found.n or n, protocol=protocol, note=note)

    for metric in ("accuracy", "sensitivity", "specificity"):
        own = {arm: estimate(part, metric, n_boot=n_boot, seed=seed) for arm, part in arms.items()}
        for key, arm in _CELLS.items():
            put(f"ge2020.{key.format(metric=metric)}", own[arm], note="mean over runs; interval over patients")
        if counted is not None:
            found = estimate(counted, metric, n_boot=n_boot, seed=seed)
            note = "unknown status counted as wild-type, in training and in testing"
            put(f"ge2020.table2.prop_a.{metric}", found, protocol=AS_PUBLISHED, note=note)
        for rule in ("collection rule", "age model"):
            if rule in own:
                put(f"ge2020.table2.prop_a.{metric}", own[rule], protocol=CONTROL, note=f"no image: {rule}")
        shuffled = CONTROLS[0].name
        if shuffled in own:
            put(f"ge2020.table2.prop_a.{metric}", own[shuffled], protocol=CONTROL, note="permuted labels")
    for key, (first, second, metric, sign) in _GAINS.items():
        found = gain(arms[first], arms[second], metric, n_boot=n_boot, seed=seed)
        turned = found if sign > 0 else Estimate(-found.value, -found.high, -found.low, found.n, found.method)
        put(f"ge2020.text.{key}", turned, note="paired over patients")
    accuracy = {arm: estimate(arms[arm], "accuracy", n_boot=n_boot, seed=seed) for arm in arms}
    put("ge2020.text.accuracy", accuracy["Prop-A"], note="mean over runs; interval over patients")
    put("ge2020.table7.proposed.accuracy", accuracy["Prop-A"], note="mean over runs; interval over patients")
    if DENSENET in arms:
        put("ge2020.table7.liang.accuracy", accuracy[DENSENET], note="crops around the tumour, real patients (S1)")
    else:
        report.missing("ge2020.table7.liang.accuracy", "the 3D DenseNet was not run")
    spread = [per_run(arms[arm], "accuracy") for arm in ("Prop-A", "Bas-1")]
    if len(spread[0]) > 1:
        a, b = (float(np.std(values, ddof=1)) for values in spread)
        put("ge2020.text.gain_a.accuracy_sd", Estimate(a - b, n=n), note="standard deviation over runs, difference")
    else:
        report.missing("ge2020.text.gain_a.accuracy_sd", "a single run has no spread")
    for name in ("liang", "proposed"):
        for column, value in (("mutation", counts[0]), ("wildtype", counts[1])):
            report.record(f"ge2020.table7.{name}.{column}", float(value), n=sum(counts), note="patients at hand")
    _explain_the_rest(report)


_CELLS: Mapping[str, str] = {
    "table2.prop_a.{metric}": "Prop-A", "table2.prop_b.{metric}": "Prop-B", "table3.mean.prop_a.{metric}": "Prop-A",
    "table3.mean.bas_1.{metric}": "Bas-1", "table4.mean.prop_b.{metric}": "Prop-B",
    "table4.mean.bas_2.{metric}": "Bas-2", "table5.with_mask.{metric}": "Prop-A",
    "table5.without_mask.{metric}": NO_MASK.name,
}  # fmt: skip
"""Cells of the tables by the arm that answers them."""

_GAINS: Mapping[str, tuple[str, str, str, int]] = {
    "gain_a.accuracy": ("Prop-A", "Bas-1", "accuracy", 1), "gain_a.sensitivity": ("Prop-A", "Bas-1", "sensitivity", 1),
    "loss_a.specificity": ("Prop-A", "Bas-1", "specificity", -1),
    "gain_b.accuracy": ("Prop-B", "Bas-2", "accuracy", 1), "gain_b.sensitivity": ("Prop-B", "Bas-2", "sensitivity", 1),
    "b_minus_a.accuracy": ("Prop-B", "Prop-A", "accuracy", 1),
    "b_minus_a.sensitivity": ("Prop-B", "Prop-A", "sensitivity", 1),
    "mask_gain.accuracy": ("Prop-A", NO_MASK.name, "accuracy", 1),
}  # fmt: skip
"""Differences that the text prints: first arm, second arm, metric, and -1 where a loss is printed as positive."""


def _explain_the_rest(report: Report) -> None:
    for key in published_values("ge2020"):
        if key.startswith(("ge2020.table3.run", "ge2020.table4.run")):
            report.missing(key, "the paper's partitions are not published: its runs have no counterparts")
        elif key.startswith(("ge2020.table7.yu.", "ge2020.table7.zhang.", "ge2020.table7.chang.")):
            report.missing(key, "another paper's patients and method, quoted for comparison")
    report.missing("ge2020.figure4", "a drawing of the vote; the book has it as code and a table")
    report.missing("ge2020.figure5", "a drawing of the classifier; the book has it as code and equations")
    report.missing("ge2020.text.grade_definition", "a definition; the chapters speak of collections instead")
    for name in ("idh1_gbm", "idh1_lgg"):
        report.missing(f"ge2020.text.background_{name}", "quoted from other papers")
