"""Tables and figures of the chapter on the multi-stream classifier, and its entries in the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from radlib.book.report import Report
from radlib.data.cohort import MODALITIES
from radlib.data.published import published
from radlib.papers.ge2020.arms import DENSENET, NO_MASK, RunResult
from radlib.papers.ge2020.classifier import ClassifierRecipe, stage_schedule
from radlib.papers.ge2020.data import SLICES
from radlib.papers.ge2020.estimates import METRICS, estimate, gain, over_runs, per_run, published_gain
from radlib.papers.ge2020.gan_results import TITLES
from radlib.plots.style import PALETTE
from radlib.stats.intervals import Estimate, proportion
from radlib.stats.tables import format_interval

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
        # Of two runs the interval has one degree of freedom and reaches beyond any possible accuracy.
        row["accuracy, interval over runs"] = f"{runs.low:.3f} to {runs.high:.3f}" if len(values) > 2 else "–"
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


def shown_table(results: Sequence[RunResult], *, n_boot: int, seed: int) -> pd.DataFrame:
    """What real and fake training patients show of IDH: AUC of a plain rule, with intervals over patients."""
    rows = []
    everything = pd.concat([result.shown for result in results], ignore_index=True)
    if everything.empty:
        return everything
    for name, part in everything.groupby("arm", sort=False):
        found = estimate(part, "auc", n_boot=n_boot, seed=seed)
        rows.append({"training patients": name, "AUC": format_interval(found.value, found.low, found.high)})
    return pd.DataFrame(rows)


def refining_sentence(training_slices: int, *, rate: float) -> str:
    """How far the published second stage can move a weight, and the rate that is used instead."""
    recipe = ClassifierRecipe(refine_rate=published("ge2020.text.refining_learning_rate").value)
    optimizer, steps, _ = stage_schedule("real", training_slices, recipe)
    reach = optimizer.learning_rate * float(np.sum(1 / np.sqrt(np.arange(1, steps + 1))))
    width = np.sqrt(6 / (9 * 2 * recipe.widths[-1]))
    return (
        f"The published second stage hardly moves a weight: Adagrad divides the rate of {optimizer.learning_rate:g} by "
        f"the root of the sum of squared gradients, so that {steps} updates by gradients of one size add up to "
        f"{reach:.1g}, where the weights of the last layer of a stream start between -{width:.2g} and {width:.2g}. "
        "What it changes is the statistics of batch normalisation. The rate here is "
        f"{rate:g}."
    )


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
