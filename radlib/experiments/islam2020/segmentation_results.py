"""What the segmentation chapter says: Tables I and III beside the published ones, differences, sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from radlib.data.papers import published
from radlib.data.regions import REGIONS
from radlib.evaluation.intervals import Estimate, bootstrap
from radlib.evaluation.paired import paired_difference
from radlib.evaluation.segmentation import PENALTY_MM, summary
from radlib.experiments.islam2020.segmentation import Outcome
from radlib.experiments.islam2020.segmentation_networks import TITLES, Recipe, build
from radlib.models.islam2020 import count_flops, count_parameters
from radlib.models.octave import conv_flops, octave_flops
from radlib.reporting.report import Report
from radlib.reporting.tables import format_interval

PUBLISHED_ROWS = {"fcn": "ours", "unet_scse": "unet_scse", "unet": "unet", "deeplab_v3": "deeplab_v3", "gcn": "gcn"}
"""Networks and their rows of Table I."""

PUBLISHED_SETS = {("t1ce",): "t1c", ("t1ce", "flair"): "t1c_flair", ("t1ce", "flair", "t2"): "t1c_flair_t2"}
"""Sets of modalities and their rows of Table III."""


# Tables of scores


def scores(outcomes: Mapping[str, Outcome], *, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Mean Dice and HD95 of every ensemble by region, with bootstrap intervals over subjects.

    HD95 is averaged where both the reference and the prediction have the region. ``missed`` counts the subjects in
    which only one of them has: their distance is a convention.

    Returns:
        One row a key of ``outcomes``, region and metric: ``key``, ``label``, ``region``, ``metric`` (``dice``,
        ``hd95``), ``value``, ``low``, ``high``, ``n``, ``missed``.
    """
    parts = []
    for key, outcome in outcomes.items():
        table = outcome.ensemble.assign(key=key, label=outcome.label)
        missed = (table["hd95"] >= PENALTY_MM) & (table["dice"] == 0)
        table["hd95"] = table["hd95"].mask(missed | ((table["dice"] == 1) & table["ppv"].isna()))
        found = summary(table, by=("key", "label"), metrics=("dice", "hd95"), n_boot=n_boot, seed=seed)
        counts = missed.groupby(table["region"]).sum()
        parts.append(found.assign(missed=found["region"].map(counts)))
    return pd.concat(parts, ignore_index=True)


def score_table(
    found: pd.DataFrame, *, table: str, rows: Mapping[str, str], metrics: Sequence[str] = ("dice", "hd95")
) -> pd.DataFrame:
    """:func:`scores` as a table to read, with the published values beside it.

    Args:
        found: of :func:`scores`.
        table: ``table1`` or ``table3``.
        rows: keys of ``found`` to rows of the published table; others have none.
        metrics: which metrics.
    """
    names = {"dice": "Dice", "hd95": "HD95 (mm)"}
    lines = []
    for key in found["key"].unique():
        part = found[found["key"] == key]
        line: dict[str, str] = {"network": str(part["label"].iloc[0])}
        for metric in metrics:
            digits = 3 if metric == "dice" else 1
            for region in REGIONS:
                row = part[(part["metric"] == metric) & (part["region"] == region)].iloc[0]
                missed = f"; {row['missed']} missed" if metric == "hd95" and row["missed"] else ""
                here = format_interval(row["value"], row["low"], row["high"], digits=digits) + missed
                line[f"{names[metric]}, {region.upper()}"] = here
                if key in rows:
                    kind = "dice" if metric == "dice" else "hausdorff"
                    line[f"published {kind}, {region.upper()}"] = published(
                        f"islam2020.{table}.{rows[key]}.{kind}.{region}"
                    ).printed
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def record_scores(
    report: Report, found: pd.DataFrame, *, table: str, rows: Mapping[str, str], note: str, metrics: Sequence[str]
) -> None:
    """Put :func:`scores` beside the published values in the ledger; an undefined value is said to be missing."""
    chosen = found[found["key"].isin(list(rows)) & found["metric"].isin(list(metrics))]
    for row in chosen.to_dict("records"):
        kind = "dice" if row["metric"] == "dice" else "hausdorff"
        key = f"islam2020.{table}.{rows[row['key']]}.{kind}.{row['region']}"
        about = note
        if kind == "hausdorff" and row["missed"]:
            about += f"; {row['missed']} subject(s) with the region in one of the two only, left out"
        if np.isfinite(row["value"]):
            values = {name: row[name] for name in ("low", "high", "n")}
            report.record(key, row["value"], **values, protocol="leakage-free", note=about)
        else:
            report.missing(key, "no subject has the region in both the reference and the prediction")


# Differences


def crossed_difference(
    first: pd.DataFrame, second: pd.DataFrame, *, n_boot: int = 2000, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Mean difference of two networks over runs and subjects, with an interval that allows for both.

    Every resample draws runs (trainings: another fold and seed each) and subjects, independently and with
    replacement: another training and other patients would move the difference by so much. With one run the interval is
    that over subjects alone.

    Args:
        first, second: columns ``run``, ``subject``, ``dice``; the runs that both have are compared, pair by pair.
        n_boot, level, seed: of the bootstrap.
    """
    keys = ["run", "subject"]
    both = first[[*keys, "dice"]].merge(second[[*keys, "dice"]], on=keys, suffixes=("_first", "_second"))
    grid = (both["dice_first"] - both["dice_second"]).to_numpy()
    wide = both.assign(difference=grid).pivot_table(index="run", columns="subject", values="difference")
    values = wide.to_numpy(dtype=float)
    if not values.size:
        return Estimate(float("nan"), n=0)
    random = np.random.default_rng(seed)
    runs = random.multinomial(len(values), [1 / len(values)] * len(values), size=n_boot) / len(values)
    n = values.shape[1]
    subjects = random.multinomial(n, [1 / n] * n, size=n_boot) / n
    draws = np.einsum("br,rs,bs->b", runs, values, subjects)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high), n, "crossed bootstrap of runs and subjects")


def differences(
    outcomes: Mapping[str, Outcome], *, reference: str, against: Sequence[str] | None = None, n_boot: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """One network minus each other, in Dice: of single runs with crossed intervals, and of the ensembles.

    Returns:
        One row a network and region: ``network``, ``region``, ``value``, ``low``, ``high``, ``n``, ``runs``,
        ``metric`` (``single runs`` or ``ensemble``).
    """
    base = outcomes[reference]
    rows = []
    for key in against if against is not None else [key for key in outcomes if key != reference]:
        other = outcomes[key]
        for region in REGIONS:
            a, b = (table[table["region"] == region] for table in (base.single, other.single))
            one = crossed_difference(a, b, n_boot=n_boot, seed=seed)
            runs = len(set(a["run"]) & set(b["run"]))
            rows.append({"network": other.label, "region": region, **one.as_dict(), "runs": runs,
                         "metric": "single runs"})  # fmt: skip
            if len(base.runs) == len(other.runs):
                both = base.ensemble.merge(other.ensemble, on=["subject", "region"], suffixes=("_a", "_b"))
                part = both[both["region"] == region]
                whole = paired_difference(part["dice_a"], part["dice_b"], n_boot=n_boot, seed=seed)
                rows.append({"network": other.label, "region": region, **whole.as_dict(), "runs": runs,
                             "metric": "ensemble"})  # fmt: skip
    return pd.DataFrame(rows)


def verdicts(table: pd.DataFrame, *, name: str, metric: str = "single runs") -> str:
    """:func:`differences` in sentences: where the interval excludes 0, and where it does not."""
    part = table[table["metric"] == metric]
    better = part[part["low"] > 0]
    worse = part[part["high"] < 0]
    open_ = part[(part["low"] <= 0) & (part["high"] >= 0)]

    def listed(rows: pd.DataFrame) -> str:
        return ", ".join(
            f"{row['network']} ({row['region'].upper()} {row['value']:+.3f})" for row in rows.to_dict("records")
        )

    said = [f"Of {len(part)} comparisons of {name} with another network (by region), {len(open_)} are undecided."]
    if len(better):
        said.append(f"It is ahead of {listed(better)}.")
    if len(worse):
        said.append(f"It is behind {listed(worse)}.")
    if not len(better) and not len(worse):
        said.append("No interval excludes 0.")
    return " ".join(said)


def gain(with_it: Outcome, without: Outcome, *, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """What a modality adds to the Dice, by region: crossed intervals of single runs."""
    table = differences({"with": with_it, "without": without}, reference="with", n_boot=n_boot, seed=seed)
    return table[table["metric"] == "single runs"].drop(columns=["metric", "network"])


# Sizes


def size_table(models: Sequence[str], recipe: Recipe, *, side: int, paper: Recipe, paper_side: int) -> pd.DataFrame:
    """Parameters and multiplications of every network for one slice, at this size and at the published one.

    Nothing is computed: the networks are built on torch's meta device.
    """
    rows = []
    for model in models:
        line: dict[str, object] = {"network": TITLES[model]}
        for name, one, edge in (("here", recipe, side), ("paper", paper, paper_side)):
            with torch.device("meta"):
                network = build(model, in_channels=3, recipe=one)
            edge = -(-edge // 2 ** len(one.widths)) * 2 ** len(one.widths)  # a multiple that every network takes
            line[f"parameters (10³), {name}"] = count_parameters(network) / 1e3
            line[f"multiplications (10⁹), {name}"] = count_flops(network, (1, 3, edge, edge)) / 1e9
        rows.append(line)
    return pd.DataFrame(rows)


def octave_table(ratios: Sequence[float] = (0.0, 0.25, 0.5, 0.75), *, channels: int = 64) -> pd.DataFrame:
    """Multiplications of one 3 x 3 octave convolution beside those of the plain one, by the closed form."""
    plain = conv_flops(channels, channels, height=240, width=240)
    rows = []
    for ratio in ratios:
        count = octave_flops(channels, channels, height=240, width=240, ratio_in=ratio, ratio_out=ratio)
        rows.append({"ratio of low frequencies": ratio, "multiplications (10⁹)": count / 1e9,
                     "of the plain convolution (%)": 100 * count / plain})  # fmt: skip
    return pd.DataFrame(rows)


def mean_of(table: pd.DataFrame, region: str, *, n_boot: int = 2000, seed: int = 0) -> Estimate:
    """Mean Dice of a region over subjects (each counting once), with its bootstrap interval."""
    values = table[table["region"] == region].groupby("subject")["dice"].mean().to_numpy(dtype=float)
    return bootstrap(
        lambda weights: weights @ values / weights.sum(axis=1), np.zeros(len(values)), n_boot=n_boot, seed=seed
    )
