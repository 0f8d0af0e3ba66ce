"""What the chapter on the tumour CNN of Li 2017 says: tables with intervals over patients, differences, the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from radlib.data.cohort import Cohort
from radlib.data.published import published
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.segmentation import METRICS, Recipe, Training, first_cohort, truth_of
from radlib.papers.li2017.segmentation_study import MULTIPLE, SINGLE, VARIANTS, Outcome
from radlib.stats.intervals import Estimate
from radlib.stats.paired import compare, crossed_difference, paired_difference
from radlib.stats.segmentation import subject_mean
from radlib.stats.tables import format_interval

NAMES = {"dice": "DSC", "ppv": "PPV", "sensitivity": "sensitivity"}


# The cohort


def cohort_table(cohort: Cohort, split: Split, store: ImageStore) -> pd.DataFrame:
    """Table 1 of the paper for the patients at hand: everybody, the first cohort, and its two sides.

    Returns:
        One row a characteristic and IDH status; a column a group of patients, the paper's first cohort last.
    """
    table = cohort.participants
    groups = {
        "all": list(cohort.ids), "first cohort": first_cohort(cohort), "training": list(split.train),
        "test": list(split.test),
    }  # fmt: skip
    voxel = store.spacing**3 / 1000
    volume = {subject: voxel * int(truth_of(store, subject).sum()) for subject in store.ids}
    rows = []
    for status, column in (("", "total"), ("mutant", "mutation"), ("wildtype", "wildtype")):
        label = {"": "all", "mutant": "IDH mutant", "wildtype": "IDH wild-type"}[status]
        chosen = {
            name: [subject for subject in ids if not status or table.loc[subject, "idh"] == status]
            for name, ids in groups.items()
        }
        cells = {
            ("patients", "samples"): {name: f"{len(ids)}" for name, ids in chosen.items()},
            ("female", "female"): {name: f"{(table.loc[ids, 'sex'] == 'F').sum()}" for name, ids in chosen.items()},
            ("age (years)", "age"): {name: _spread(table.loc[ids, "age"]) for name, ids in chosen.items()},
            ("tumour volume (ml)", "volume"): {
                name: _spread(pd.Series([volume[s] for s in ids if s in volume], dtype=float))
                if all(s in volume for s in ids) else "" for name, ids in chosen.items()
            },
        }  # fmt: skip
        for (title, key), values in cells.items():
            printed = published(f"li2017.table1.first.{key}.{column}").printed
            rows.append({"": title, "IDH": label, **values, "published, first cohort": printed})
    return pd.DataFrame(rows)


def _spread(values: pd.Series) -> str:
    known = values.astype(float).dropna()
    return f"{known.mean():.1f} ± {known.std():.1f}" if len(known) > 1 else ""


# The network


def layer_table(recipe: Recipe, *, modalities: int) -> pd.DataFrame:
    """The layers of the network at the size of this run and at the published size, on a patch."""
    with torch.device("meta"):
        here, there = recipe.network(modalities), TumourCNN(modalities, recipe.convolutions, patch=recipe.patch)
    rows = []
    for name in (*here.layers, "output"):
        geometry, edge = here.geometry(name), here.map_edge(name, recipe.patch)
        kernel = here.weights[name].kernel_size[0]  # type: ignore[index]
        rows.append({
            "layer": name, "kernel": f"{kernel} x {kernel}", "filters": here.channels(name),
            "filters, published": there.channels(name), "map of a patch": f"{edge} x {edge}",
            "pixels between cells": geometry.stride, "field (pixels)": geometry.field,
            "smallest image": geometry.minimum,
        })  # fmt: skip
    return pd.DataFrame(rows)


def size_table(outcomes: Mapping[str, Outcome], *, neurons: tuple[int, int]) -> pd.DataFrame:
    """Parameters of every variant here and at the published size, and how its trainings went."""
    rows = []
    for variant in VARIANTS:
        outcome = outcomes[variant.key]
        with torch.device("meta"):
            paper = TumourCNN(len(variant.modalities), variant.convolutions, neurons=(256, 4096)[variant.wide])
        fitted = [run.fitted for run in outcome.runs]
        last = [one.history.query("part == 'validation'").iloc[-1] for one in fitted]
        before = [one.history.query("part == 'validation'").iloc[-3:].iloc[0] for one in fitted]
        rows.append({
            "network": variant.title(neurons),
            "thousand parameters": _parameters(outcome.runs[0].model.network) / 1e3,
            "at the published size": _parameters(paper) / 1e3,
            "loss on unseen patches": float(np.mean([row["loss"] for row in last])),
            "its change in the last quarter": float(np.mean([b["loss"] - a["loss"] for a, b in
                                                             zip(before, last, strict=True)])),
            "accuracy on unseen patches": float(np.mean([row["accuracy"] for row in last])),
            "training (s)": float(np.mean([one.seconds for one in fitted])),
            "steps a second": float(np.mean([one.steps_per_second for one in fitted])),
            "segmentation (s a patient)": float(outcome.scores["seconds"].median()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# Scores


def scores(parts: Mapping[str, pd.DataFrame], *, n_boot: int, seed: int) -> pd.DataFrame:
    """Mean DSC, PPV and sensitivity with bootstrap intervals over patients.

    Args:
        parts: rows of patients by method; a patient with several rows (runs) counts once, with their mean.
        n_boot, seed: of the bootstrap.

    Returns:
        One row a ``method`` and ``metric``: ``value``, ``low``, ``high``, ``n``.
    """
    rows = []
    for method, table in parts.items():
        for metric in METRICS:
            estimate = subject_mean(table, metric, n_boot=n_boot, seed=seed)
            rows.append({"method": method, "metric": metric, **estimate.as_dict()})
    return pd.DataFrame(rows)


def readable(found: pd.DataFrame, *, first: str = "method") -> pd.DataFrame:
    """:func:`scores` as a table to read: a row a method, a column a metric, and the number of patients."""
    rows = []
    for method in found["method"].unique():
        part = found[found["method"] == method].set_index("metric")
        row: dict[str, object] = {first: method, "patients": int(part.loc["dice", "n"])}
        for metric, name in NAMES.items():
            row[name] = format_interval(*(part.loc[metric, key] for key in ("value", "low", "high")))
        rows.append(row)
    return pd.DataFrame(rows)


def effects(outcomes: Mapping[str, Outcome], *, n_boot: int, seed: int) -> pd.DataFrame:
    """What depth, width and the second modality change, on the same patients and patches.

    The intervals are over patients and trainings: every resample draws both. With two trainings a variant that is the
    least that can be done about the luck of one.

    Returns:
        One row a ``change`` and ``metric``: ``value`` (after minus before), ``low``, ``high``, ``n``, ``runs``.
    """
    narrow4, narrow6, wide4, wide6, multiple = (outcomes[variant.key].scores for variant in VARIANTS)
    changes = {
        "deeper (narrow)": (narrow6, narrow4), "deeper (wide)": (wide6, wide4), "wider (4 conv.)": (wide4, narrow4),
        "wider (6 conv.)": (wide6, narrow6), "deeper and wider": (wide6, narrow4), "T1c added": (multiple, wide6),
    }  # fmt: skip
    rows = []
    for change, (after, before) in changes.items():
        for metric in METRICS:
            one = _crossed(after, before, metric, n_boot=n_boot, seed=seed)
            runs = len(set(after["run"]) & set(before["run"]))
            rows.append({"change": change, "metric": metric, **one.as_dict(), "runs": runs})
    return pd.DataFrame(rows)


def _crossed(after: pd.DataFrame, before: pd.DataFrame, metric: str, *, n_boot: int, seed: int) -> Estimate:
    """Over patients whom all runs have segmented, and for whom the metric is defined in all of them."""
    tables = [table[["run", "subject"]].assign(dice=table[metric]) for table in (after, before)]
    wide = pd.concat(
        [t.pivot_table(index="subject", columns="run", values="dice", dropna=False) for t in tables], axis=1
    )
    whole = set(wide.dropna().index)
    first, second = (table[table["subject"].isin(whole)] for table in tables)
    return crossed_difference(first, second, n_boot=n_boot, seed=seed)


def readable_effects(found: pd.DataFrame) -> pd.DataFrame:
    """:func:`effects` as a table to read."""
    rows = []
    for change in found["change"].unique():
        part = found[found["change"] == change].set_index("metric")
        row: dict[str, object] = {"change": change, "patients": int(part.loc["dice", "n"])}
        for metric, name in NAMES.items():
            row[name] = format_interval(*(part.loc[metric, key] for key in ("value", "low", "high")))
        rows.append(row)
    return pd.DataFrame(rows)


def effect_sentence(found: pd.DataFrame) -> str:
    """In which direction each change moves DSC, and where its interval covers 0."""
    said = []
    for row in found[found["metric"] == "dice"].to_dict("records"):
        verdict = "gains" if row["low"] > 0 else "loses" if row["high"] < 0 else "is undecided"
        said.append(f"*{row['change']}* {verdict} ({row['value']:+.3f}, {row['low']:+.3f} to {row['high']:+.3f})")
    return "DSC: " + "; ".join(said) + "."


def differences(
    table: pd.DataFrame, *, method: str, reference: str, n_boot: int, seed: int, metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """Each method beside one, on the same patients: means, and paired differences with intervals over patients.

    Args:
        table: a row a method and patient.
        method: the column of methods.
        reference: the one that the others are compared with.
        n_boot, seed: of the bootstrap.
        metrics: columns to compare.
    """
    rows: dict[str, dict[str, object]] = {}
    for name in table[method].unique():
        part = table[table[method] == name]
        rows[str(name)] = {
            method: name,
            "patients": int(part["subject"].nunique()),
            **{NAMES[metric]: float(part[metric].mean()) for metric in metrics},
            **{f"{NAMES[metric]}, difference": "" for metric in metrics},
        }
    for metric in metrics:
        if table.loc[table[method] == reference, metric].isna().all():
            continue  # nothing was predicted, so there is no PPV to compare with
        found = compare(table, metric=metric, reference=reference, method=method, within=(), n_boot=n_boot, seed=seed)
        for row in found.to_dict("records"):
            text = format_interval(row["value"], row["low"], row["high"])
            rows[str(row[method])][f"{NAMES[metric]}, difference"] = text
    return pd.DataFrame(list(rows.values()))


def difference_sentence(table: pd.DataFrame, *, method: str, reference: str) -> str:
    """The DSC column of :func:`differences` in words."""
    said = [
        f"*{row[method]}* {row['DSC, difference']}"
        for row in table.to_dict("records")
        if row[method] != reference and row["DSC, difference"]
    ]
    return f"DSC minus that of *{reference}*: " + "; ".join(said) + "."


def real_table(found: pd.DataFrame) -> pd.DataFrame:
    """Scores on real subjects: mean, lowest and highest DSC, mean PPV and sensitivity of every method."""
    rows = []
    for pair, part in found.groupby(["method", "learnt from"], sort=False):
        rows.append({
            **dict(zip(("method", "learnt from"), pair, strict=True)), "subjects": part["subject"].nunique(),
            "DSC": part["dice"].mean(), "lowest": part["dice"].min(), "highest": part["dice"].max(),
            "PPV": part["ppv"].mean(), "sensitivity": part["sensitivity"].mean(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def real_sentence(table: pd.DataFrame) -> str:
    """:func:`real_table` in words, DSC alone."""
    said = [
        f"{row['method']}, from {row['learnt from']}: {row['DSC']:.3f} ({row['lowest']:.3f} to {row['highest']:.3f})"
        for row in table.to_dict("records")
    ]
    return f"Mean DSC (lowest to highest) on {int(table['subjects'].max())} real subjects: " + "; ".join(said) + "."


def kept_trainings(outcomes: Mapping[str, Outcome]) -> dict[str, Training]:
    """The first trainings of the paper's network for one and for two modalities, by title: those that are kept."""
    return {outcomes[variant.key].title: outcomes[variant.key].runs[0] for variant in (SINGLE, MULTIPLE)}


def network_against_rule(outcome: Outcome, rules: pd.DataFrame, *, n_boot: int, seed: int) -> Estimate:
    """DSC of a network (mean of its runs) minus that of the first rule, on the same patients."""
    network, rule = _beside(outcome, rules)
    return paired_difference(network, rule, n_boot=n_boot, seed=seed)


def misses_sentence(
    outcome: Outcome, rules: pd.DataFrame, *, mismatch: pd.Series | None = None, below: float = 0.5
) -> str:
    """How many patients the network and the first rule all but miss, and whether these are the same.

    Args:
        outcome: the network.
        rules: of :func:`radlib.papers.li2017.segmentation_study.score_rules`.
        mismatch: of a simulated cohort, by patient, how much darker than T2 the tumour was made on FLAIR, 0 to 1.
        below: the DSC that counts as a miss.
    """
    network, rule = (table < below for table in _beside(outcome, rules))
    said = (
        f"A DSC below {below:g} is that of {int(network.sum())} of {len(network)} patients with the network and of "
        f"{int(rule.sum())} with the threshold, {int((network & rule).sum())} of them the same."
    )
    if mismatch is not None:
        dark = mismatch[rule.index] > 0.5
        said += (
            f" {int((rule & dark).sum())} of those that the threshold misses were simulated with a T2-FLAIR mismatch "
            f"above one half (dark on FLAIR inside), and {int((network & dark).sum())} of those that the network "
            f"misses; {int(dark.sum())} test patients have one."
        )
    return said


def _beside(outcome: Outcome, rules: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    rule = rules[rules["rule"] == rules["rule"].iloc[0]].set_index("subject")["dice"]
    network = outcome.scores.groupby("subject")["dice"].mean()
    both = [subject for subject in network.index if subject in rule.index]
    return network[both], rule[both]
