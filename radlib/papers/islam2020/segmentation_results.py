"""What the segmentation chapter says: Tables I and III beside the published ones, and differences."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from radlib.book.report import Report
from radlib.data.published import published
from radlib.data.regions import REGIONS
from radlib.data.store import ImageStore
from radlib.papers.islam2020.segmentation import Outcome
from radlib.papers.islam2020.segmentation_networks import TITLES, spoken
from radlib.stats.intervals import Estimate, bootstrap
from radlib.stats.paired import crossed_difference, paired_difference
from radlib.stats.segmentation import dice, summary
from radlib.stats.tables import format_interval

PUBLISHED_ROWS = {"fcn": "ours", "unet_scse": "unet_scse", "unet": "unet", "deeplab_v3": "deeplab_v3", "gcn": "gcn"}
"""Networks and their rows of Table I."""

PUBLISHED_SETS = {"t1ce": "t1c", "t1ce, flair": "t1c_flair", "t1ce, flair, t2": "t1c_flair_t2"}
"""Sets of modalities and their rows of Table III."""


# Tables of scores


def scores(outcomes: Mapping[str, Outcome], *, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Mean Dice and HD95 of every ensemble by region, with bootstrap intervals over subjects.

    HD95, where measured, and ``missed`` follow the conventions of :mod:`radlib.stats.segmentation`.

    Returns:
        One row a key of ``outcomes``, region and metric: ``key``, ``label``, ``region``, ``metric`` (``dice``,
        ``hd95``), ``value``, ``low``, ``high``, ``n``, ``missed``.
    """
    parts = []
    for key, outcome in outcomes.items():
        table = outcome.ensemble.assign(key=key, label=outcome.label)
        metrics = [name for name in ("dice", "hd95") if name in table]
        found = summary(table, by=("key", "label"), metrics=metrics, n_boot=n_boot, seed=seed)
        missed = table.groupby("region")["missed"].sum() if "missed" in table else dict.fromkeys(REGIONS, 0)
        parts.append(found.assign(missed=found["region"].map(missed)))
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


def distance_sentence(outcomes: Mapping[str, Outcome]) -> str:
    """Medians of the whole tumour's HD95: a mean is decided by few subjects with an island far from the tumour."""
    said = []
    for outcome in outcomes.values():
        whole = outcome.ensemble[outcome.ensemble["region"] == "wt"]["hd95"].dropna()
        said.append(f"{outcome.label} {whole.median():.1f} mm ({int((whole > 20).sum())} of {len(whole)} above 20 mm)")
    return "Median HD95 of the whole tumour: " + "; ".join(said) + "."


# Differences


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


# Table III, Figure 7, statements


def modality_gains(
    by_set: Mapping[str, Outcome], synthetic: Outcome | None, *, n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """What each modality adds to the one before, and a synthetic T2 to T1c and FLAIR.

    Args:
        by_set: by the names of the modalities, joined by commas.
        synthetic: from T1c, FLAIR and a synthetic T2.
        n_boot, seed: of the bootstrap.

    Returns:
        One row a step and region: ``added``, ``region``, ``value``, ``low``, ``high``, ``n``, ``runs``.
    """
    ordered = sorted(by_set, key=lambda names: len(names.split(", ")))
    pairs = [
        (spoken(f"{longer.rpartition(', ')[2]} to {shorter}"), by_set[longer], by_set[shorter])
        for shorter, longer in itertools.pairwise(ordered)
    ]
    two, three = "t1ce, flair", "t1ce, flair, t2"
    if synthetic is not None:
        pairs.append(("synthetic T2 to T1c, FLAIR", synthetic, by_set[two]))
        pairs.append(("true T2 in place of the synthetic one", by_set[three], synthetic))
    parts = []
    for name, more, less in pairs:
        table = differences({"more": more, "less": less}, reference="more", n_boot=n_boot, seed=seed)
        parts.append(table[table["metric"] == "single runs"].drop(columns=["metric", "network"]).assign(added=name))
    table = pd.concat(parts, ignore_index=True)
    return table[["added", *[name for name in table if name != "added"]]]


def gain_sentence(table: pd.DataFrame) -> str:
    """:func:`modality_gains` in words."""
    said = []
    for name in table["added"].unique():
        rows = table[table["added"] == name].to_dict("records")
        words = ", ".join(
            f"{row['region'].upper()} {row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})" for row in rows
        )
        said.append(f"*{name}*: {words}")
    return "Dice gained by adding " + "; ".join(said) + "."


def necrosis_table(
    store: ImageStore, outcomes: Mapping[str, Outcome], *, n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Dice of the necrotic core (label 1) of every ensemble over subjects that have one, and the first's advantage."""
    found: dict[str, list[float]] = {}
    for key, outcome in outcomes.items():
        values = []
        for subject, labels in outcome.labels.items():
            truth = store.labels[store.rows([subject])[0]].cpu().numpy() == 1
            if truth.any():
                values.append(dice(labels == 1, truth))
        found[key] = values
    base = next(iter(found))
    rows = []
    for key, values in found.items():
        mean = paired_difference(values, np.zeros(len(values)), n_boot=n_boot, seed=seed)
        ahead = paired_difference(found[base], values, n_boot=n_boot, seed=seed)
        rows.append({
            "network": outcomes[key].label, "dice": mean.value, "low": mean.low, "high": mean.high, "n": mean.n,
            "advantage": ahead.value, "advantage_low": ahead.low, "advantage_high": ahead.high,
        })  # fmt: skip
    table = pd.DataFrame(rows)
    table.loc[0, ["advantage", "advantage_low", "advantage_high"]] = np.nan
    return table


def record_claims(
    report: Report, *, ordering: pd.DataFrame, gains: pd.DataFrame, excitation: pd.DataFrame, necrosis: pd.DataFrame
) -> None:
    """Statements of the text and Figures 3 and 7 in the ledger, each with the number that stands for it."""
    single = ordering[(ordering["metric"] == "single runs") & ordering["network"].isin(
        [TITLES[key] for key in PUBLISHED_ROWS])]  # fmt: skip
    n = int(single["n"].max())
    ahead = int((single["low"] > 0).sum())
    report.record("islam2020.text.against_others", ahead, n=n, protocol="leakage-free",
                  unit=f"of {len(single)} comparisons", note="networks and regions in which the FCN's Dice is higher, "
                  "the interval over trainings and subjects excluding 0")  # fmt: skip
    published_steps = gains[gains["added"].isin(gains["added"].unique()[:2])]
    report.record("islam2020.text.more_modalities", int((published_steps["low"] > 0).sum()), n=n,
                  unit=f"of {len(published_steps)} gains", protocol="leakage-free",
                  note="FLAIR, then T2, by region: gains in Dice whose interval excludes 0")  # fmt: skip
    ranges = excitation.groupby("excitation")[["low", "high", "range"]].mean().to_dict("index")
    for key, kind in (("skip_scse_range", "skip-scSE"), ("scse_range", "scSE")):
        row = ranges[kind]
        report.record(
            f"islam2020.text.{key}", float(row["range"]), n=n, unit="width of the range",
            note=f"{row['low']:.2f} to {row['high']:.2f}, percentiles 1 and 99, mean over blocks",
        )  # fmt: skip
    ratio = float(ranges["skip-scSE"]["range"]) / float(ranges["scSE"]["range"])
    report.record("islam2020.figure3", ratio, n=n, unit="times as wide",
                  note="range behind skip-scSE over that behind scSE")  # fmt: skip
    best = necrosis.iloc[1:].sort_values("dice").iloc[-1]
    report.record("islam2020.figure7", best["advantage"], low=best["advantage_low"], high=best["advantage_high"],
                  n=int(best["n"]), protocol="leakage-free",
                  note=f"Dice of the necrotic core, FCN minus the best other shown ({best['network']})")  # fmt: skip


def real_sentence(table: pd.DataFrame) -> str:
    """The whole tumour on real subjects in words: the FCN's row of each kind of subject, or the first."""
    said = []
    for modalities, part in table[table["region"] == "WT"].groupby("modalities", sort=False):
        fcn = part[part["network"] == TITLES["fcn"]]
        row = (fcn if len(fcn) else part).iloc[0]
        said.append(
            f"{row['network']} on {row['subjects']} subjects with {modalities}: whole-tumour Dice "
            f"{row['mean Dice']:.3f} ({row['lowest']:.3f} to {row['highest']:.3f})"
        )
    return "; ".join(said) + "."


def mean_of(table: pd.DataFrame, region: str, *, n_boot: int = 2000, seed: int = 0) -> Estimate:
    """Mean Dice of a region over subjects (each counting once), with its bootstrap interval."""
    values = table[table["region"] == region].groupby("subject")["dice"].mean().to_numpy(dtype=float)
    return bootstrap(
        lambda weights: weights @ values / weights.sum(axis=1), np.zeros(len(values)), n_boot=n_boot, seed=seed
    )
