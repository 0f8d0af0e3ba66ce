"""Tables of the chapters on radiogenomic survival (:mod:`radlib.papers.islam2020.radiogenomics`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from radlib.book.kept import KeptRun
from radlib.data.published import published
from radlib.papers.islam2020.radiogenomics import Study, days_rows
from radlib.papers.islam2020.study_survival import ARMS, RECORDED, SYNTHESISED, TRUE_MASKS
from radlib.stats import multiclass
from radlib.stats.intervals import (
    Estimate,
    corrected_resampled_interval,
    mean_estimate,
    permutation_interval,
    proportion,
)
from radlib.stats.protocols import (
    AS_PUBLISHED,
    LEAKAGE_FREE,
    PERMUTED,
    PUBLISHED_PERMUTED,
    ProtocolRun,
    permutation_order,
)
from radlib.stats.stability import named_frequencies, nogueira_stability, selection_matrix
from radlib.stats.survival import CLASSES, concordance, kaplan_meier, log_rank, mean_squared_error
from radlib.stats.tables import format_interval

FUSED = "SVM, fused"
SOURCES = {
    TRUE_MASKS: "true masks, recorded images", RECORDED: "predicted masks, recorded images",
    SYNTHESISED: "predicted masks, synthesised modalities",
}  # fmt: skip
"""Where the 71 features come from, by the names that readers see."""

TABLE = "islam2020.table2"
SHUFFLED = (PERMUTED, PUBLISHED_PERMUTED)


def published_folds() -> pd.DataFrame:
    """Table II of Islam 2020 and the smallest class sizes of a test fold that fit the percentages of all its folds.

    Returns:
        One row a fold: ``MSE``, the class metrics in per cent, ``short``, ``medium``, ``long`` and ``right`` patients.
    """
    names = multiclass.metric_names(CLASSES)
    cells = pd.DataFrame(
        {
            fold: {name: published(f"{TABLE}.fold{fold}.{name}").value for name in ["mse", *names]}
            for fold in range(1, 5)
        }
    ).T
    fitting = [
        set(
            multiclass.counts_from_percentages(
                sensitivity=[row[f"sensitivity.{name}"] for name in CLASSES.values()],
                specificity=[row[f"specificity.{name}"] for name in CLASSES.values()],
                accuracy=row["accuracy"],
                max_class=15,
            )
        )
        for _, row in cells.iterrows()
    ]
    sizes = min(set.intersection(*fitting), key=sum)
    for name, size in zip(CLASSES.values(), sizes, strict=True):
        cells[name] = size
    cells["right"] = (cells["accuracy"] * sum(sizes) / 100).round().astype(int)
    return cells.rename_axis("fold")


def published_accuracy() -> Estimate:
    """The published accuracy with Wilson's interval for the patients that Table II implies."""
    folds = published_folds()
    n = int(folds[list(CLASSES.values())].to_numpy().sum())
    return proportion(int(folds["right"].sum()), n)


def class_estimates(rows: pd.DataFrame, *, n_boot: int, seed: int) -> dict[str, Estimate]:
    """Metrics with intervals of one protocol and model: over patients, or over permutations for shuffled labels."""
    if rows["protocol"].iloc[0] in SHUFFLED:
        return multiclass.permuted_estimates(rows, CLASSES)
    return multiclass.estimates(rows, CLASSES, n_boot=n_boot, seed=seed)


def accuracy_table(runs: Mapping[str, ProtocolRun], *, n_boot: int, seed: int) -> pd.DataFrame:
    """Accuracy of every reading, protocol and model.

    Returns:
        ``reading, protocol, model, accuracy, low, high, chance, n``, and ``low (folds), high (folds)``: the interval of
        Nadeau and Bengio over the folds of all repeats (NaN for shuffled labels).
    """
    table = []
    for reading, run in runs.items():
        for (protocol, model), rows in run.predictions.groupby(["protocol", "model"], sort=False):
            found = class_estimates(rows, n_boot=n_boot, seed=seed)["accuracy"]
            over_folds = Estimate(float("nan"))
            if protocol not in SHUFFLED:
                folds = multiclass.fold_table(rows, CLASSES)
                n_test = folds["n"].mean()
                over_folds = corrected_resampled_interval(
                    folds["accuracy"], n_train=rows["subject"].nunique() - n_test, n_test=n_test
                )
            table.append({
                "reading": reading, "protocol": protocol, "model": model, "accuracy": found.value, "low": found.low,
                "high": found.high, "chance": multiclass.chance_accuracy(rows), "n": found.n,
                "low (folds)": np.clip(over_folds.low, 0, 1), "high (folds)": np.clip(over_folds.high, 0, 1),
            })  # fmt: skip
    return pd.DataFrame(table)


def table_2(rows: pd.DataFrame, study: Study, *, n_boot: int, seed: int) -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """The layout of Table II for the first repeat, then the mean of all repeats and its interval.

    Args:
        rows: predictions of one protocol and model in the reading ``days``.

    Returns:
        The table (MSE in days² over deaths, the rest in per cent), and the estimates of its last rows by metric.
    """
    names = multiclass.metric_names(CLASSES)
    first = rows[rows["repeat"] == rows["repeat"].min()]
    table = 100 * multiclass.fold_table(first, CLASSES)[names]
    table.index = pd.Index([f"fold {fold + 1}" for _, fold in table.index])
    days = days_rows(first)
    died = days[days["subject"].map(study.event).to_numpy() == 1]
    squared = ((died["true"] - died["predicted"]) ** 2).groupby(died["fold"]).mean()
    table.insert(0, "mse", squared.reindex(range(len(table))).to_numpy())
    found = class_estimates(rows, n_boot=n_boot, seed=seed)
    found = {
        name: Estimate(100 * one.value, 100 * one.low, 100 * one.high, one.n, one.method) for name, one in found.items()
    }
    found["mse"] = mean_squared_error(days_rows(rows), study.event, n_boot=n_boot, seed=seed)
    for label, part in (("all repeats", "value"), ("lower limit", "low"), ("upper limit", "high")):
        table.loc[label] = [getattr(found[name], part) for name in table.columns]
    table.loc["published"] = [published(f"{TABLE}.avg.{name}").value for name in table.columns]
    return table, found


def concordance_table(rows: Mapping[str, pd.DataFrame], study: Study, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Concordance of named predictions (larger is longer survival): ``concordance, low, high``."""
    table = {}
    for name, part in rows.items():
        found = concordance(part, study.days, study.event, n_boot=n_boot, seed=seed)
        table[name] = {"concordance": found.value, "low": found.low, "high": found.high, "n": found.n}
    return pd.DataFrame.from_dict(table, orient="index")


def stability_table(run: ProtocolRun, features: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Stability of the selection over the folds of one repeat, for true and for shuffled labels, like for like.

    Args:
        run: one reading under all protocols.
        features: name of the table -> its candidates.

    Returns:
        For every table: ``true labels`` and ``shuffled labels``, the mean over repeats and over permutations of the
        index of Nogueira, Sechidis and Brown; NaN without permutations; and ``all training sets``, over all repeats.
    """
    table = {}
    for name, candidates in features.items():
        row = {}
        for label, protocol in (("true labels", LEAKAGE_FREE), ("shuffled labels", PERMUTED)):
            chosen = run.selected[run.selected["protocol"] == protocol]
            each = [
                nogueira_stability(selection_matrix(part, candidates)).value for _, part in chosen.groupby("repeat")
            ]
            row[label] = float(np.mean(each)) if each else float("nan")
        chosen = run.selected[run.selected["protocol"] == LEAKAGE_FREE]
        row["all training sets"] = nogueira_stability(selection_matrix(chosen, candidates)).value
        table[name] = row
    return pd.DataFrame.from_dict(table, orient="index")


def permuted_mean_squared_error(rows: pd.DataFrame, study: Study, *, seed: int) -> Estimate:
    """Mean squared error (days²) of every permutation over the deaths that the shuffled labels hold, averaged.

    Args:
        rows: predictions of one permuted protocol and model in the reading ``days``.
        seed: the seed of the shuffles, which says whose label is whose.
    """
    found = []
    for permutation, part in days_rows(rows).groupby("repeat"):
        order = permutation_order(len(study), permutation=int(str(permutation)), seed=seed)
        event = pd.Series(study.event.to_numpy()[order], index=study.X.index)
        found.append(mean_squared_error(part, event, n_boot=1).value)
    return permutation_interval(found)


def planted_recovery(
    runs: Mapping[str, ProtocolRun], study: Study, planted: pd.Series, *, n_selected: int
) -> tuple[list[str], pd.DataFrame]:
    """How often the genes that act on simulated survival are selected, leakage-free.

    Args:
        runs: the study's runs by reading.
        study: the study.
        planted: effect of each acting gene on log time, per standard deviation.
        n_selected: genes that a selection keeps.

    Returns:
        The acting genes that the study measures, and one row a reading and gene: ``reading``, ``planted``,
        ``selected`` (share of training sets), ``chance``, ``rank``.
    """
    acting = [gene for gene in planted.index if gene in study.genomic]
    parts = []
    for reading, run in runs.items():
        rows = run.selected[run.selected["protocol"] == LEAKAGE_FREE]
        part = named_frequencies(selection_matrix(rows, study.genomic), acting, n_selected=n_selected)
        part.insert(0, "reading", reading)
        parts.append(part.assign(planted=planted[acting])[["reading", "planted", "selected", "chance", "rank"]])
    return acting, pd.concat(parts)


def kept_accuracies(kept: KeptRun) -> pd.DataFrame:
    """The accuracy table of a kept run as :func:`accuracy_table` gives it: shares, not per cent."""
    table = kept.table("accuracy")
    for name in [str(name) for name in table if name not in ("reading", "protocol", "model", "n")]:
        table[name] = table[name] / 100
    return table


# What figures show


def percent(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`accuracy_table` in per cent, with ``value``, ``machine`` and ``features`` (of ``SVM, fused``)."""
    shown = table.rename(columns={"accuracy": "value"})
    shares = [str(name) for name in shown if name not in ("reading", "protocol", "model", "n")]
    shown[shares] *= 100
    parts = shown["model"].str.partition(", ")
    return shown.assign(machine=parts[0], features=parts[2])


def protocol_rows(
    table: pd.DataFrame, *, reference: Estimate, model: str = FUSED, extra: Mapping[str, Estimate] | None = None
) -> pd.DataFrame:
    """One model under every protocol beside the published accuracy and the controls: ``row, kind, value, ...`` (%).

    Args:
        table: of :func:`accuracy_table`.
        reference: the published accuracy.
        model: which model.
        extra: further results as published.
    """
    rows = [{"row": "published (interval from its counts)", "kind": "published", **reference.as_dict()}]
    for protocol in (AS_PUBLISHED, LEAKAGE_FREE, "control", *SHUFFLED):
        part = table[table["protocol"] == protocol]
        control = protocol == "control"
        part = part[part["reading"] == "classes"] if control else part[part["model"] == model]
        for row in part.to_dict("records"):
            name = f"control: {row['model']}" if control else f"{protocol}, {row['reading']}"
            chance = {} if control else {"chance": row["chance"]}
            rows.append({"row": name, "kind": protocol, "value": row["accuracy"], "low": row["low"],
                         "high": row["high"], **chance})  # fmt: skip
        if protocol == AS_PUBLISHED:
            rows += [{"row": name, "kind": protocol, **one.as_dict()} for name, one in (extra or {}).items()]
    shown = pd.DataFrame(rows)
    numbers = [name for name in ("value", "low", "high", "chance") if name in shown]
    return shown.assign(**{name: 100 * shown[name].astype(float) for name in numbers})


def survival_curves(groups: Mapping[str, pd.Series], study: Study) -> pd.DataFrame:
    """Kaplan-Meier curves of predicted classes: ``panel`` (with the log-rank p), ``class``, ``days, survival, ...``."""
    parts = []
    for title, group in groups.items():
        curves = kaplan_meier(study.days, study.event, group)
        names = {k: f"{CLASSES[k]} (n = {int((group == k).sum())})" for k in sorted(set(group))}
        p = log_rank(study.days, study.event, group).p
        parts.append(curves.assign(
            panel=f"{title}\nlog-rank p = {p:.2g}", predicted=[names[k] for k in curves["group"].astype(int)]
        ))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


# What the ledger is given


def measured_rows(found: Mapping[str, Estimate], *, arm: str, protocol: str, group: str = "all") -> pd.DataFrame:
    """Estimates by metric as rows of :meth:`radlib.book.report.Report.measured`; what is undefined is left out."""
    return pd.DataFrame([
        {"arm": arm, "metric": name, "group": group, **one.as_dict(), "protocol": protocol}
        for name, one in found.items() if np.isfinite(one.value)
    ])  # fmt: skip


def fold_rows(table: pd.DataFrame, *, n: int, protocol: str) -> pd.DataFrame:
    """The folds of :func:`table_2` and the accuracy of the best, as rows of the ledger."""
    folds = table[[name.startswith("fold") for name in table.index]]
    found = [
        measured_rows({str(name): Estimate(float(value), n=n) for name, value in row.items()}, arm="svm_fused",
                      protocol=protocol, group=f"fold{number}")
        for number, (_, row) in enumerate(folds.iterrows(), start=1)
    ]  # fmt: skip
    best = {"accuracy": Estimate(float(folds["accuracy"].max()), n=n)}
    return pd.concat([*found, measured_rows(best, arm="svm_fused", protocol=protocol, group="best")])


# From images


def ablation_table(
    runs: Mapping[str, ProtocolRun], studies: Mapping[str, Study], *, n_boot: int, seed: int
) -> pd.DataFrame:
    """What each stage's error costs: accuracy and concordance, by arm, protocol and features of the SVM.

    Returns:
        ``arm``, ``protocol``, ``model``, ``value`` (accuracy, %) and ``concordance`` with limits, ``n``, and ``change``
        (percentage points) to the first arm, paired over patients, with limits.
    """
    rows = []
    for protocol in (LEAKAGE_FREE, AS_PUBLISHED):
        for model in ("SVM, radiomic", "SVM, genomic", FUSED):
            base: pd.Series | None = None
            for arm, run in runs.items():
                study, part = studies[arm], run.of(protocol, model)
                accuracy = multiclass.estimates(part, CLASSES, n_boot=n_boot, seed=seed)["accuracy"]
                order = concordance(days_rows(part), study.days, study.event, n_boot=n_boot, seed=seed)
                right = (part["true"] == part["predicted"]).groupby(part["subject"]).mean()
                base = right if base is None else base
                change = mean_estimate(100 * right[base.index] - 100 * base, n_boot=n_boot, seed=seed)
                rows.append({
                    "arm": arm, "protocol": protocol, "model": model,
                    "value": 100 * accuracy.value, "low": 100 * accuracy.low, "high": 100 * accuracy.high,
                    "concordance": order.value, "concordance low": order.low, "concordance high": order.high,
                    "change": change.value, "change low": change.low, "change high": change.high, "n": accuracy.n,
                })  # fmt: skip
    return pd.DataFrame(rows)


def ablation_text(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`ablation_table` with intervals as text."""

    def cells(*columns: str, digits: int) -> list[str]:
        return [format_interval(*row, digits=digits) for row in table[list(columns)].to_numpy(dtype=float)]

    changes = cells("change", "change low", "change high", digits=1)
    return pd.DataFrame({
        "features of": table["arm"].map(SOURCES), "protocol": table["protocol"], "model": table["model"],
        "accuracy (%)": cells("value", "low", "high", digits=1),
        "change (points)": ["" if arm == ARMS[0] else text for arm, text in zip(table["arm"], changes, strict=True)],
        "concordance": cells("concordance", "concordance low", "concordance high", digits=2),
        "n": table["n"],
    })  # fmt: skip


def feature_agreement(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How well features of the later arms agree with those of true masks: Spearman's rho by kind of feature.

    Args:
        tables: features (patients, 71) by arm.

    Returns:
        One row a kind of feature and arm: median and quartiles of the correlation over features and the share of
        values that are missing.
    """
    truth = tables[TRUE_MASKS]
    kinds = {
        "axis coordinates": r"axis\d_[xyz]$", "axis lengths": "length$", "centroid": "centroid",
        "eigenvalues": "eigenvalue", "eccentricity": "eccentricity", "fractal dimension": "fractal",
        "intensity": "kurtosis|entropy|histogram",
    }  # fmt: skip
    rows = []
    for arm in (RECORDED, SYNTHESISED):
        both = tables[arm].reindex(truth.index)
        for kind, pattern in kinds.items():
            names = list(truth.columns[truth.columns.str.contains(pattern)])
            varying = [name for name in names if both[name].nunique() > 1 and truth[name].nunique() > 1]
            rho = [both[name].corr(truth[name], method="spearman") for name in varying]
            low, middle, high = np.nanquantile(rho, [0.25, 0.5, 0.75]) if np.isfinite(rho).any() else [np.nan] * 3
            rows.append({
                "features": kind, "of": SOURCES[arm], "median rho": middle, "lower quartile": low,
                "upper quartile": high, "missing (%)": 100 * both[names].isna().to_numpy().mean(),
                "missing with true masks (%)": 100 * truth[names].isna().to_numpy().mean(),
            })  # fmt: skip
    return pd.DataFrame(rows)
