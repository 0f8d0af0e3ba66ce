"""Tables 2 to 5 and the orders of the networks: means and differences with intervals over trainings and subjects."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from radlib.book.report import Report
from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.data.published import published
from radlib.data.regions import REGIONS
from radlib.papers.zhang2021.fusion import Outcome
from radlib.stats.intervals import Estimate
from radlib.stats.paired import crossed_mean
from radlib.stats.tables import format_interval

PLACES = (*REGIONS, "average")
"""The columns of a metric in Tables 2 to 5: three regions and the mean of their means."""

COMPARED = ("dice", "sensitivity", "hd95")
"""The metrics of Tables 2 and 4. The text announces specificity too, which no table prints."""

METRIC_TITLES = {
    "dice": "Dice", "sensitivity": "Sensitivity", "specificity": "Specificity", "ppv": "PPV", "hd95": "HD95 (mm)",
}  # fmt: skip

PUBLISHED_ROWS = {
    "s_a": "s_a", "s_b": "s_b", "s_a_s_b": "s_a_s_b", "without_mg": "ours_without_mg", "with_ca": "ours_with_ca",
    "ours_random": "ours_random", "ours_2d": "ours_voc", "ours_self": "ours_self", "ours": "ours",
}  # fmt: skip
"""Keys of outcomes to rows of Tables 2 and 4."""

TRANSITION_ROWS = ("ours_random", "ours_2d", "ours_self")
FUSION_ROWS = ("s_a", "s_b", "s_a_s_b", "without_mg", "with_ca", "ours")


def cube(scores: pd.DataFrame, metric: str, subjects: Sequence[str] | None = None) -> np.ndarray:
    """A metric as ``(regions, runs, subjects)``, NaN where it is undefined; runs and subjects in sorted order.

    Args:
        scores: columns ``run``, ``subject``, ``region`` and the metrics.
        metric: which one.
        subjects: of whom; all where None.
    """
    table = scores
    if subjects is not None:
        table = table[table["subject"].isin(list(subjects))]
    runs, ids = sorted(table["run"].unique()), sorted(table["subject"].unique())
    wide = table.pivot_table(index="region", columns=["run", "subject"], values=metric, dropna=False, aggfunc="first")
    whole = wide.reindex(index=list(REGIONS), columns=pd.MultiIndex.from_product([runs, ids]))
    return whole.to_numpy(dtype=float).reshape(len(REGIONS), len(runs), len(ids))


def estimate(
    outcome: Outcome, metric: str, place: str, *, subjects: Sequence[str] | None = None, n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:  # fmt: skip
    """The mean of a metric for a region, or for ``average`` the mean of the three regions' means."""
    values = cube(outcome.scores, metric, subjects)
    return crossed_mean(_place(values, place), random=rng(seed, "crossed"), n_boot=n_boot)


def difference(
    first: Outcome, second: Outcome, metric: str, place: str, *, subjects: Sequence[str] | None = None,
    n_boot: int = 2000, seed: int = 0,
) -> Estimate:  # fmt: skip
    """Mean of first minus second over the runs and subjects of both, pair by pair.

    Raises:
        RadlibError: if the two have no run or subject in common.
    """
    runs = set(first.scores["run"]) & set(second.scores["run"])
    ids = set(first.scores["subject"]) & set(second.scores["subject"])
    if subjects is not None:
        ids &= set(subjects)
    if not runs or not ids:
        raise RadlibError(
            f"{first.key} and {second.key} have no run and subject in common", remedy="train both with the same seeds"
        )
    a, b = (
        cube(one.scores[one.scores["run"].isin(runs)], metric, sorted(ids)) for one in (first, second)
    )  # the same runs and subjects in the same order
    return crossed_mean(
        _place(a - b, place), random=rng(seed, "crossed"), n_boot=n_boot,
        method="crossed bootstrap of paired differences",
    )  # fmt: skip


def _place(values: np.ndarray, place: str) -> np.ndarray:
    return values if place == "average" else values[[REGIONS.index(place)]]


# Tables


def kept_rows(outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """Scores of single subjects to keep (:mod:`radlib.book.scores`), the network's title as ``model``."""
    return pd.concat([one.scores.assign(model=f"{one.title} (Zhang)") for one in outcomes.values()])


def score_rows(
    outcomes: Mapping[str, Outcome], *, metrics: Sequence[str] = COMPARED, subjects: Sequence[str] | None = None,
    n_boot: int = 2000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Every metric of every outcome.

    Returns:
        One row an outcome, metric and place: ``key``, ``network``, ``metric``, ``place``, ``value``, ``low``, ``high``,
        ``n``, ``missed`` (subjects, over runs on average, with the region in reference or prediction only).
    """
    rows = []
    for key, outcome in outcomes.items():
        table = outcome.scores
        if subjects is not None:
            table = table[table["subject"].isin(list(subjects))]
        missed = table.groupby("region")["missed"].sum() / max(1, table["run"].nunique())
        for metric in metrics:
            values = cube(outcome.scores, metric, subjects)
            for place in PLACES:
                one = crossed_mean(_place(values, place), random=rng(seed, "crossed"), n_boot=n_boot)
                rows.append({
                    "key": key, "network": outcome.title, "metric": metric, "place": place, **one.as_dict(),
                    "missed": float(missed.sum() if place == "average" else missed.get(place, 0)),
                })  # fmt: skip
    return pd.DataFrame(rows)


def score_table(found: pd.DataFrame, *, metric: str, tables: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One metric of :func:`score_rows` to read, a line a network, with the published values beside.

    Args:
        found: of :func:`score_rows`.
        metric: which one.
        tables: titles of columns to published tables (``table2``); a region and its average follow one another.
    """
    digits = 1 if metric == "hd95" else 3
    lines = []
    for key, part in found[found["metric"] == metric].groupby("key", sort=False):
        line: dict[str, str] = {"network": str(part["network"].iloc[0])}
        for row in part.to_dict("records"):
            missed = f"; {row['missed']:.1f} missed" if metric == "hd95" and row["missed"] else ""
            place = row["place"].upper() if row["place"] in REGIONS else row["place"]
            line[place] = format_interval(row["value"], row["low"], row["high"], digits=digits) + missed
        for title, table in (tables or {}).items():
            if key in PUBLISHED_ROWS:
                base = f"zhang2021.{table}.{PUBLISHED_ROWS[str(key)]}.{metric}"
                line[title] = " / ".join(published(f"{base}.{place}").printed for place in PLACES)
        lines.append(line)
    return pd.DataFrame(lines).fillna("")


def quoted_table(table: str, found: pd.DataFrame) -> pd.DataFrame:
    """Tables 3 and 5: the published competitors as quoted, and below what was trained here, in the same columns.

    Args:
        table: ``table3`` or ``table5``.
        found: of :func:`score_rows`.
    """
    rows = []
    for row, label in quoted_rows(table).items():
        line: dict[str, object] = {"network": label, "data": "BraTS validation, as published"}
        for metric, place in itertools.product(("dice", "hd95"), PLACES):
            line[_column(metric, place)] = published(f"zhang2021.{table}.{row}.{metric}.{place}").printed
        rows.append(line)
    for _, part in found.groupby("key", sort=False):
        line = {"network": str(part["network"].iloc[0]), "data": "this run"}
        for one in part[part["metric"].isin(["dice", "hd95"])].to_dict("records"):
            line[_column(one["metric"], one["place"])] = f"{one['value']:.{1 if one['metric'] == 'hd95' else 3}f}"
        rows.append(line)
    return pd.DataFrame(rows).fillna("")


def quoted_rows(table: str) -> dict[str, str]:
    """Rows of a published table and their labels, in its order."""
    from radlib.data.published import load_paper

    return {name: row.label for name, row in load_paper("zhang2021").tables[table].rows.items()}


def _column(metric: str, place: str) -> str:
    return f"{METRIC_TITLES[metric]}, {place.upper() if place in REGIONS else place}"


def distance_sentence(outcomes: Mapping[str, Outcome], *, far: float = 20.0) -> str:
    """Medians of the whole tumour's HD95: a mean is decided by few subjects with an island far from the tumour."""
    said = []
    for outcome in outcomes.values():
        table = outcome.scores
        whole = table[table["region"] == "wt"].groupby("subject")["hd95"].mean().dropna()
        said.append(
            f"{outcome.title} {whole.median():.1f} mm ({int((whole > far).sum())} of {len(whole)} above {far:g})"
        )
    return "Median HD95 of the whole tumour: " + "; ".join(said) + "."


# Orders


def differences(
    outcomes: Mapping[str, Outcome], pairs: Sequence[tuple[str, str]], *, metric: str = "dice",
    places: Sequence[str] = PLACES, n_boot: int = 2000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Paired differences, first minus second.

    Returns:
        One row a pair and place: ``comparison``, ``first``, ``second``, ``place``, ``value``, ``low``, ``high``, ``n``,
        ``runs``.
    """
    rows = []
    for (first, second), place in itertools.product(pairs, places):
        a, b = outcomes[first], outcomes[second]
        one = difference(a, b, metric, place, n_boot=n_boot, seed=seed)
        runs = len(set(a.scores["run"]) & set(b.scores["run"]))
        rows.append({
            "comparison": f"{a.title} − {b.title}", "first": first, "second": second, "place": place, **one.as_dict(),
            "runs": runs,
        })  # fmt: skip
    return pd.DataFrame(rows)


def order_table(
    outcomes: Mapping[str, Outcome], chain: Sequence[str], *, metric: str = "dice", n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """A claimed order, worst first, step by step, in the average over regions.

    Returns:
        One row a step: ``claim``, ``value`` (the step up), ``low``, ``high``, ``n``, ``runs``, and ``here``: ``holds``
        (the interval is above 0), ``reversed`` (below) or ``open``.
    """
    pairs = [(better, worse) for worse, better in itertools.pairwise(chain)]
    table = differences(outcomes, pairs, metric=metric, places=["average"], n_boot=n_boot, seed=seed)
    claims = [f"{outcomes[worse].title} < {outcomes[better].title}" for better, worse in pairs]
    table.insert(0, "claim", claims)
    return table.drop(columns=["comparison", "first", "second", "place"]).assign(
        here=[_verdict(low, high) for low, high in zip(table["low"], table["high"], strict=True)]
    )


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "holds"
    return "reversed" if high < 0 else "open"


def order_sentence(table: pd.DataFrame) -> str:
    """:func:`order_table` in words."""
    words = {"holds": "hold", "reversed": "are reversed", "open": "are open"}
    said = []
    for verdict, phrase in words.items():
        part = table[table["here"] == verdict]
        if len(part):
            listed = "; ".join(
                f"{row['claim'].replace('<', 'below')} ({row['value']:+.3f}, {row['low']:+.3f} to {row['high']:+.3f})"
                for row in part.to_dict("records")
            )
            said.append(f"{len(part)} of {len(table)} steps {phrase}: {listed}.")
    return " ".join(said)


def rule_sentence(outcomes: Mapping[str, Outcome], *, n_boot: int = 2000, seed: int = 0) -> str:
    """``ours`` against the rule without a network, ``rule``, in the average Dice."""
    one = difference(outcomes["ours"], outcomes["rule"], "dice", "average", n_boot=n_boot, seed=seed)
    words = {"holds": "is ahead of", "reversed": "is behind", "open": "is not apart from"}[_verdict(one.low, one.high)]
    return f"The full network {words} two thresholds ({one.value:+.3f}, {one.low:+.3f} to {one.high:+.3f})."


# Ledger


def record_scores(report: Report, found: pd.DataFrame, *, table: str, rows: Sequence[str], note: str) -> None:
    """Put rows of :func:`score_rows` beside those of a published table; an undefined value is said to be missing."""
    chosen = found[found["key"].isin(list(rows)) & found["metric"].isin(COMPARED)]
    lines = {row: row for row in ("ours",)} if table in ("table3", "table5") else PUBLISHED_ROWS
    metrics = ("dice", "hd95") if table in ("table3", "table5") else COMPARED
    for row in chosen.to_dict("records"):
        if row["key"] not in lines or row["metric"] not in metrics:
            continue
        key = f"zhang2021.{table}.{lines[row['key']]}.{row['metric']}.{row['place']}"
        if not np.isfinite(row["value"]):
            report.missing(key, "no subject has the region in both the reference and the prediction")
            continue
        about = note
        if row["metric"] == "hd95" and row["missed"]:
            about += f"; {row['missed']:.1f} subjects with the region in reference or prediction only, left out"
        report.record(
            key, row["value"], low=row["low"], high=row["high"], n=int(row["n"]), protocol="leakage-free", note=about
        )


def record_quoted(report: Report, table: str) -> None:
    """Say of every competitor of Tables 3 and 5 why it has no counterpart."""
    for row in quoted_rows(table):
        if row == "ours":
            continue
        for metric, place in itertools.product(("dice", "hd95"), PLACES):
            report.missing(
                f"zhang2021.{table}.{row}.{metric}.{place}",
                "quoted from another paper; SegResNet and DynUNet of MONAI are trained beside instead",
            )
