"""Tables and figures of the chapter on the multi-stream classifier, and its entries in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from radlib.data.cohort import MODALITIES
from radlib.data.papers import published, published_values
from radlib.evaluation.intervals import Estimate, proportion
from radlib.evaluation.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE
from radlib.experiments.ge2020.arms import CONTROLS, DENSENET, NO_MASK, RunResult
from radlib.experiments.ge2020.data import SLICES
from radlib.experiments.ge2020.estimates import METRICS, estimate, gain, over_runs, per_run, published_gain
from radlib.experiments.ge2020.gan_results import TITLES
from radlib.reporting.report import Report
from radlib.reporting.style import PALETTE
from radlib.reporting.tables import format_interval

SHOWN = {"auc": "AUC", "accuracy": "accuracy", "sensitivity": "sensitivity", "specificity": "specificity"}
PAIRS = (
    ("Prop-A", "Bas-1"), ("Prop-B", "Bas-2"), ("Prop-B", "Prop-A"), ("Prop-A", NO_MASK.name), ("Prop-A", DENSENET),
    ("Prop-A", "Prop-A given age"), ("Prop-A", "Prop-A given grade"), ("Prop-A", "collection rule"),
    ("Prop-A", "age + collection"),
)  # fmt: skip
"""Arms that are compared in pairs."""


def estimates_of(predictions: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Every metric of every arm: ``model, metric, value, low, high, n``, as dot plots take them."""
    return pd.DataFrame([
        {"model": arm, "metric": metric, **estimate(part, metric, n_boot=n_boot, seed=seed).as_dict()}
        for arm, part in predictions.groupby("arm", sort=False)
        for metric in METRICS
    ])  # fmt: skip


def arm_table(
    predictions: pd.DataFrame, estimates: pd.DataFrame, *, n_train: int, n_test: int, arms: Sequence[str] = ()
) -> pd.DataFrame:
    """Arms down, metrics across, with intervals over patients; of the accuracy also the runs' spread and interval."""
    rows = []
    for arm, part in predictions.groupby("arm", sort=False):
        if arms and arm not in arms:
            continue
        row: dict[str, object] = {"arm": arm}
        own = estimates[estimates["model"] == arm].set_index("metric")
        for metric, title in SHOWN.items():
            row[title] = format_interval(*own.loc[metric, ["value", "low", "high"]].astype(float))
        values = per_run(part, "accuracy")
        runs = over_runs(values, n_train=n_train, n_test=n_test)
        row["accuracy, SD of runs"] = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        row["accuracy, interval over runs"] = format_interval(float("nan"), None, None)
        if np.isfinite(runs.low):
            row["accuracy, interval over runs"] = f"{runs.low:.3f} to {runs.high:.3f}"
        rows.append(row)
    return pd.DataFrame(rows)


def run_table(predictions: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Tables 3 and 4 here: each run of two arms with Wilson's interval for its test patients."""
    rows = []
    for run, part in predictions[predictions["arm"].isin(arms)].groupby("run"):
        row: dict[str, object] = {"run": run}
        for metric, members in (("accuracy", None), ("sensitivity", True), ("specificity", False)):
            for arm in arms:
                own = part[part["arm"] == arm]
                own = own if members is None else own[own["truth"] == members]
                right = int((own["truth"] == own["predicted"]).sum())
                found = proportion(right, len(own))
                row[f"{metric}, {arm}"] = format_interval(found.value, found.low, found.high, digits=2)
        rows.append(row)
    return pd.DataFrame(rows)


def group_table(
    predictions: pd.DataFrame, collection: pd.Series, arms: Sequence[str], *, n_boot: int, seed: int
) -> pd.DataFrame:
    """Metrics of arms within each collection: ``model, group, metric, value, low, high, n, mutant``."""
    rows = []
    group = predictions["subject"].map(collection)
    for name in sorted(collection.dropna().unique(), reverse=True):
        for arm in arms:
            part = predictions[(group == name) & (predictions["arm"] == arm)]
            if part.empty:
                continue
            mutant = part.drop_duplicates("subject")["truth"].sum()
            for metric in METRICS:
                found = estimate(part, metric, n_boot=n_boot, seed=seed)
                rows.append({"model": arm, "group": name, "metric": metric, **found.as_dict(), "mutant": int(mutant)})
    return pd.DataFrame(rows)


def group_display(groups: pd.DataFrame) -> pd.DataFrame:
    """:func:`group_table` with a metric a column."""
    cells = [format_interval(*row) for row in groups[["value", "low", "high"]].to_numpy(dtype=float)]
    wide = groups.assign(cell=cells).pivot_table(
        index=["group", "model", "n", "mutant"], columns="metric", values="cell", aggfunc="first", sort=False
    )
    return wide[list(METRICS)].rename(columns=SHOWN).reset_index().rename(columns={"n": "patients"})


def vote_table(predictions: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """What the vote does (Figure 4): slices right, patients right by Eq. (6), ties as mutant, mean probability."""
    rows = []
    for arm in arms:
        part = predictions[predictions["arm"] == arm]
        if part.empty:
            continue
        truth, votes = part["truth"].to_numpy(dtype=bool), part["votes"].to_numpy()
        rows.append({
            "arm": arm, "slices right": float(np.where(truth, votes, SLICES - votes).sum() / (SLICES * len(part))),
            "patients right, Eq. (6)": float((part["predicted"] == truth).mean()),
            "ties as mutant": float(((2 * votes >= SLICES) == truth).mean()),
            "mean probability": float(((part["probability"] > 0.5) == truth).mean()),
            "patients with a tie": int((2 * votes == SLICES).sum()), "predictions": len(part),
        })  # fmt: skip
    return pd.DataFrame(rows)


def attention_table(results: Sequence[RunResult], arm: str) -> pd.DataFrame:
    """The modalities' mean weights on test slices (Eq. 7), each run."""
    rows = {
        f"run {run}": dict(zip(MODALITIES, result.results[arm].attention.mean(dim=0).tolist(), strict=True))
        for run, result in enumerate(results, start=1)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename(columns=TITLES)


def history_figure(results: Sequence[RunResult], arms: Sequence[str]) -> Figure:
    """Loss of both stages in the first run, training and validation."""
    figure, panels = plt.subplots(1, len(arms), figsize=(9.4, 3.4), sharey=True, squeeze=False)
    for axes, arm in zip(panels[0], arms, strict=True):
        start = 0
        for stage in ("augmented", "real"):
            part = results[0].results[arm].history
            part = part[part["stage"] == stage]
            for number, side in enumerate(("training", "validation")):
                own = part[part["part"] == side]
                axes.plot(start + own["step"], own["loss"], color=PALETTE[number], marker=".",
                          label=side if start == 0 else None)  # fmt: skip
            start += int(part["step"].max())
            if stage == "augmented":
                axes.axvline(start, color="0.5", linestyle=":")
        axes.set(xlabel="step", title=arm)
    panels[0, 0].set_ylabel("weighted cross-entropy")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def runs_figure(predictions: pd.DataFrame) -> Figure:
    """Accuracy of each run with Wilson's interval, augmented against real data alone: printed, and here."""
    figure, panels = plt.subplots(2, 2, figsize=(9.4, 6.2), sharey=True)
    for row, (table, first, second) in enumerate((("table3", "Prop-A", "Bas-1"), ("table4", "Prop-B", "Bas-2"))):
        printed, here = panels[row]
        for number, arm in enumerate((first, second)):
            name = arm.lower().replace("-", "_")
            n = published(f"ge2020.{table}.run1.{name}.accuracy").n or 34
            values = [published(f"ge2020.{table}.run{run}.{name}.accuracy").value / 100 for run in range(1, 6)]
            _run_dots(printed, [proportion(round(value * n), n) for value in values], number, arm)
            own = predictions[predictions["arm"] == arm]
            found = [
                proportion(int((part["truth"] == part["predicted"]).sum()), len(part)) for _, part in own.groupby("run")
            ]
            _run_dots(here, found, number, arm)
        printed.set(title=f"{first} and {second}, as printed", ylabel="accuracy")
        here.set(title=f"{first} and {second}, here")
        printed.legend(loc="lower left", fontsize=9)
    for axes in panels[1]:
        axes.set_xlabel("run")
    return figure


def _run_dots(axes: plt.Axes, found: Sequence[Estimate], number: int, label: str) -> None:
    value, low, high = np.array([[e.value, e.low, e.high] for e in found]).T
    place = np.arange(1, len(found) + 1) + 0.16 * (2 * number - 1)
    reach = np.maximum([value - low, high - value], 0)
    axes.errorbar(place, value, yerr=reach, fmt="os"[number], color=PALETTE[number], capsize=3, label=label)
    axes.set(xticks=range(1, len(found) + 1), xlim=(0.4, len(found) + 0.6))
    axes.grid(visible=False, axis="x")


def table7(estimates: pd.DataFrame) -> pd.DataFrame:
    """Table 7: accuracies as printed, and here where the method was run."""
    ours = estimates[estimates["metric"] == "accuracy"].set_index("model")
    rows = []
    for name, title, arm in (
        ("liang", "Liang, 3D DenseNet121", DENSENET), ("proposed", "Ge, Prop-A", "Prop-A"), ("yu", "Yu", ""),
        ("zhang", "Zhang", ""), ("chang", "Chang", ""),
    ):  # fmt: skip
        printed = {c: published(f"ge2020.table7.{name}.{c}") for c in ("mutation", "wildtype", "accuracy")}
        here = "other patients" if not arm else "not run"
        if arm in ours.index:
            here = format_interval(*(100 * ours.loc[arm, ["value", "low", "high"]].astype(float)), digits=1)
        rows.append({
            "method": title, "patients, mutant and wild-type": f"{printed['mutation'].printed} and "
            f"{printed['wildtype'].printed}", "accuracy printed (%)": printed["accuracy"].printed,
            "accuracy here (%)": here,
        })  # fmt: skip
    return pd.DataFrame(rows)


def published_sentences() -> str:
    """What the paper's own five runs say about augmentation, with an interval."""
    parts = []
    for table, first, second, case in (("table3", "prop_a", "bas_1", "A"), ("table4", "prop_b", "bas_2", "B")):
        found = published_gain(table, first, second)
        parts.append(f"case {case} {format_interval(found.value, found.low, found.high, digits=1)} points")
    patient = 100 / (published("ge2020.table3.run1.prop_a.accuracy").n or 34)
    return (
        f"The gains that the paper prints, over its own five runs with the interval of Nadeau and Bengio: {parts[0]}, "
        f"{parts[1]}. One test patient of a run is {patient:.1f} points."
    )


def printed_accuracy() -> dict[str, list[tuple[str, float]]]:
    """The line for dot plots."""
    return {"accuracy": [("printed for Prop-A", published("ge2020.table2.prop_a.accuracy").value / 100)]}


def control_estimates(parts: Sequence[pd.DataFrame], *, n_boot: int, seed: int) -> pd.DataFrame:
    """:func:`estimates_of` for each ``setting`` of the controls."""
    return pd.concat([
        estimates_of(part, n_boot=n_boot, seed=seed).assign(setting=setting)
        for setting, part in pd.concat(parts).groupby("setting", sort=False)
    ], ignore_index=True)  # fmt: skip


def control_display(estimates: pd.DataFrame) -> pd.DataFrame:
    """:func:`control_estimates` with a metric a column."""
    cells = [format_interval(*row) for row in estimates[["value", "low", "high"]].to_numpy(dtype=float)]
    wide = estimates.assign(cell=cells).pivot_table(
        index=["setting", "model", "n"], columns="metric", values="cell", aggfunc="first", sort=False
    )
    return wide[list(METRICS)].rename(columns=SHOWN).reset_index().rename(columns={"n": "patients"})


def summary(
    report: Report,
    predictions: pd.DataFrame,
    estimates: pd.DataFrame,
    nothing: pd.DataFrame,
    *,
    n_boot: int,
    seed: int,
) -> str:
    """What was found, in sentences whose values are kept in the report."""
    arms = {str(name): part for name, part in predictions.groupby("arm", sort=False)}

    def keep(name: str, found: Estimate, unit: str = "%") -> str:
        report.value(
            name, 100 * found.value, low=100 * found.low, high=100 * found.high, n=found.n, unit=unit, digits=1
        )
        return report.text(name)

    accuracy = {arm: estimate(part, "accuracy", n_boot=n_boot, seed=seed) for arm, part in arms.items()}
    said = [f"Prop-A is right on {keep('prop_a', accuracy['Prop-A'])} of the test patients."]
    rules = [name for name in ("collection rule", "age model", "age + collection") if name in arms]
    if rules:
        named = ", ".join(
            f"*{name}* {keep(name.replace(' + ', '_').replace(' ', '_'), accuracy[name])}" for name in rules
        )
        said.append(f"Without any image: {named}.")
    for slug, first, second, words in (
        ("gain_a", "Prop-A", "Bas-1", "Fake patients change the accuracy by"),
        ("gain_b", "Prop-B", "Bas-2", "Fake patients and synthesised scans change it by"),
        ("mask_gain", "Prop-A", NO_MASK.name, "The mask in the classifier's input changes it by"),
    ):
        found = gain(arms[first], arms[second], n_boot=n_boot, seed=seed)
        said.append(f"{words} {keep(slug, found, 'points')} ({first} minus {second}, same patients).")
    for row in nothing[nothing["metric"] == "auc"].to_dict("records"):
        if row["setting"] == "shuffled labels" or row["model"] in ("Prop-A", "Prop-A, trained with signal"):
            area = format_interval(row["value"], row["low"], row["high"])
            said.append(f"AUC of {row['model']} ({row['setting']}): {area}.")
    return " ".join(said)


# The ledger


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
