"""Tables of the segmentation and the features of Li 2017, made from the scores of their studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy import stats

from radlib.core.seeds import rng
from radlib.core.titles import METRIC_TITLES
from radlib.data.cohort import Cohort
from radlib.data.published import published
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.features.fisher import Place, number_of, place_of
from radlib.papers.li2017.data import first_cohort, truth_of
from radlib.papers.li2017.features import FeatureSet
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.prediction import Table
from radlib.papers.li2017.recipes import VARIANTS, Recipe
from radlib.papers.li2017.segmentation import METRICS
from radlib.stats.tables import format_interval
from radlib.study.estimates import contrasts, estimates
from radlib.study.studies import Study

# Segmentation


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
    voxel = store.voxel_ml
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


def training_table(study: Study) -> pd.DataFrame:
    """Parameters of every variant here and at the published size, and where its trainings ended (means of the runs)."""
    rows = []
    for arm, variant in VARIANTS.items():
        with torch.device("meta"):
            paper = TumourCNN(len(variant.modalities), variant.convolutions, neurons=(256, 4096)[variant.wide])
        unseen = study.history.query("arm == @arm and part == 'validation'").groupby("run")
        last, before = unseen.nth(-1).set_index("run"), unseen.nth(-3 if len(unseen.nth(-3)) else 0).set_index("run")
        notes = pd.DataFrame([found.notes for found in study.results(arm)])
        rows.append({
            "network": study.titles[arm], "thousand parameters": notes["parameters"][0] / 1e3,
            "at the published size": sum(parameter.numel() for parameter in paper.parameters()) / 1e3,
            "loss on unseen patches": last["loss"].mean(),
            "its change in the last quarter": (last["loss"] - before["loss"]).mean(),
            "accuracy on unseen patches": last["accuracy"].mean(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def beside(
    scores: pd.DataFrame, titles: Mapping[str, str], *, reference: str, first: str, n_boot: int, seed: int,
    metrics: Sequence[str] = METRICS,
) -> pd.DataFrame:  # fmt: skip
    """Arms beside one of them, on the same subjects: means, and paired differences from it.

    Args:
        scores: long.
        titles: of the arms.
        reference: the arm that the others are compared with.
        first: what the first column is called.
        n_boot, seed: of the bootstrap.
        metrics: to compare.
    """
    arms = [arm for arm in titles if (scores["arm"] == arm).any()]
    means = estimates(scores, metrics=metrics, arms=arms, n_boot=1, seed=seed)
    pairs = [(arm, reference) for arm in arms if arm != reference]
    gaps = contrasts(scores, pairs, metrics=metrics, n_boot=n_boot, seed=seed)
    rows = []
    for arm in arms:
        own, gap = means[means["arm"] == arm].set_index("metric"), gaps[gaps["first"] == arm].set_index("metric")
        rows.append({
            first: titles[arm], "patients": int(own["n"].max()),
            **{METRIC_TITLES[metric]: own.at[metric, "value"] for metric in metrics},
            **{
                f"{METRIC_TITLES[metric]}, difference": "" if arm == reference or gap.at[metric, "n"] == 0 else
                format_interval(*gap.loc[metric, ["value", "low", "high"]]) for metric in metrics
            },
        })  # fmt: skip
    return pd.DataFrame(rows)


def readable(found: pd.DataFrame, *, first: str = "arm") -> pd.DataFrame:
    """Estimates or contrasts to read: a row an arm (the column ``first``), a column a metric, with patients."""
    rows = []
    for name, part in found.groupby(first, sort=False):
        cells = part.set_index("metric")
        rows.append({first: name, "patients": int(part["n"].max())} | {
            METRIC_TITLES.get(metric, metric): format_interval(*cells.loc[metric, ["value", "low", "high"]])
            for metric in cells.index
        })  # fmt: skip
    return pd.DataFrame(rows)


# Features


def groups_by_status(groups: Mapping[str, Sequence[str]], mutant: pd.Series) -> pd.DataFrame:
    """How many patients of every group are mutant and wild-type; those of no known status have a column of their own.

    Args:
        groups: patients by the name of the group.
        mutant: by patient of known status, whether they are mutant.
    """
    rows = {}
    for name, ids in groups.items():
        known = mutant[[subject for subject in ids if subject in mutant.index]]
        rows[name] = {"mutant": int(known.sum()), "wild-type": int((~known).sum()), "unknown": len(ids) - len(known)}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("patients")
    return table if table["unknown"].any() else table.drop(columns="unknown")


def significance(found: FeatureSet, truth: pd.Series, *, alpha: float = 0.05) -> pd.DataFrame:
    """Every feature with its place, t-test and F-score on all patients of ``truth``, the best F-score first.

    Columns: ``number`` (from 1), ``filter`` (from 0), ``kernel`` (from 1), ``order``, ``F-score``, ``p``,
    ``significant``, and the mean of each class.
    """
    values = found.rows([str(subject) for subject in truth.index])
    mutant = truth.to_numpy(dtype=bool)
    scores = Table(values, mutant).scores()
    numbers = np.arange(1, values.shape[1] + 1)
    places = [place_of(int(number), components=found.components) for number in numbers]
    table = pd.DataFrame(places, columns=["filter", "kernel", "order"])
    table.insert(0, "number", numbers)
    table["F-score"], table["p"], table["significant"] = scores.f, scores.p, scores.p < alpha
    table["mutant"], table["wild-type"] = values[mutant].mean(axis=0), values[~mutant].mean(axis=0)
    return table.sort_values("F-score", ascending=False, kind="stable", ignore_index=True)


def shuffled_significance(
    found: FeatureSet, truth: pd.Series, *, alpha: float, draws: int, seed: int
) -> dict[str, tuple[float, float]]:
    """What labels shuffled between patients give: central 95 % of ``significant`` features and ``best F-score``."""
    table = Table(found.rows([str(subject) for subject in truth.index]), truth.to_numpy(dtype=bool))
    counts, best = [], []
    for number in range(draws):
        scores = table.relabelled(rng(seed, "shuffled", number).permutation(table.truth)).scores()
        counts.append(int((scores.p < alpha).sum()))
        best.append(float(scores.f.max()))
    return {
        name: (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
        for name, values in (("significant", counts), ("best F-score", best))
    }


def concentration(table: pd.DataFrame) -> pd.DataFrame:
    """How far the significant features gather in few kernels and few filters.

    Columns: ``by`` (kernel, filter), ``there are``, ``hold half`` (the fewest that hold half of the significant
    features) and ``by chance`` (the same where as many features are drawn at random, a mean of 200 draws).
    """
    rows = []
    n = int(table["significant"].sum())
    draw = np.random.default_rng(0)
    for by in ("kernel", "filter"):
        groups = table[by].to_numpy()
        chance = [_holding_half(groups[draw.permutation(len(groups))[:n]]) for _ in range(200)]
        rows.append(
            {
                "by": by, "there are": int(np.unique(groups).size), "by chance": float(np.mean(chance)),
                "hold half": _holding_half(groups[table["significant"].to_numpy()]),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def _holding_half(groups: npt.NDArray[np.int64]) -> int:
    if not len(groups):
        return 0
    counts = np.sort(np.unique(groups, return_counts=True)[1])[::-1]
    return int(np.searchsorted(counts.cumsum(), counts.sum() / 2) + 1)


def numbering_table() -> pd.DataFrame:
    """The two features that the paper names, by its text and by their numbers."""
    rows = []
    for name, kernel, order in (("first_feature", 36, 1), ("second_feature", 28, 2)):
        number = int(published(f"li2017.text.{name}").value)
        by_number, by_text = place_of(number), Place(107, kernel, order)
        rows.append(
            {
                "number": number, "filter": by_number.filter, "kernel": by_number.kernel, "order": by_number.order,
                "kernel by the text": kernel, "order by the text": order, "number of the text's": number_of(by_text),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def planted_correlations(found: FeatureSet, table: pd.DataFrame, traits: pd.DataFrame, *, n: int = 10) -> pd.DataFrame:
    """The planted trait that each of the best ``n`` features follows most: Spearman's correlation over the patients.

    Args:
        found: the features.
        table: as :func:`significance` gives it.
        traits: ``(patients, traits)`` of a simulated cohort; the patients that are compared.
    """
    values = found.rows([str(subject) for subject in traits.index])
    rows = []
    for number in table["number"].iloc[:n]:
        column = values[:, int(number) - 1]
        r = {
            name: float(stats.spearmanr(column, traits[name]).statistic)
            for name in traits
            if traits[name].nunique() > 1 and np.ptp(column) > 0
        }
        if r:
            best = max(r, key=lambda name: abs(r[name]))
            rows.append({"number": int(number), "follows most": best, "Spearman": r[best]})
    return pd.DataFrame(rows, columns=["number", "follows most", "Spearman"])


def printed_f_scores(*, sizes: tuple[int, int] = (89, 30), features: int = 16384) -> pd.DataFrame:
    """What the two F-scores that the paper prints say, if both classes spread alike.

    Then :math:`F = \\Delta^2 (q_1^2 + q_2^2) / 2 s^2` with shares :math:`q` of the classes (Chen and Lin 2006), and
    Student's t follows.

    Args:
        sizes: patients of the classes (first cohort, Table 1).
        features: that were tested, for Bonferroni's correction.
    """
    n = sum(sizes)
    rows = []
    for name in ("first_feature", "second_feature"):
        score = published(f"li2017.text.{name}.f_score").value
        apart = 2 * score / sum((size / n) ** 2 for size in sizes)  # squared distance of the means, in variances
        t = float(np.sqrt(apart / sum(1 / size for size in sizes)))
        p = 2 * float(stats.t.sf(t, n - 2))
        rows.append({"number": int(published(f"li2017.text.{name}").value), "F-score": score, "t": t, "p": p,
                     "corrected for all features": min(1.0, features * p)})  # fmt: skip
    return pd.DataFrame(rows)


# What the printed numbers say


def hanley_mcneil(auc: float, sizes: tuple[int, int]) -> float:
    """The standard error of an AUC (Hanley and McNeil, Radiology 143, 1982, equation 1, exponential approximation).

    Args:
        auc: the area, 0.5 to 1.
        sizes: positive and negative patients.
    """
    positive, negative = sizes
    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positive - 1) * (one - auc**2) + (negative - 1) * (two - auc**2)
    return float(np.sqrt(variance / (positive * negative)))


def printed_differences(*, correlation: float = 0.5, alpha: float = 0.05) -> pd.DataFrame:
    """The differences of AUC that the paper claims, as tests on its own numbers of patients.

    Args:
        correlation: between the two AUCs, which come from the same patients; not printed.
        alpha: level of a two-sided test.

    Returns:
        One row a claim: patients, the two AUCs with standard errors, their difference, its p-value, and the power of a
        study of this size to find a difference as large as the printed one.
    """
    sizes = {"first": (89, 30), "second": (76, 34)}
    claims = {
        "deep features above radiomics": ("second", "table2.a.radiomics", "table2.a.dlr"),
        "two modalities above one": ("first", "table2.b.single", "table2.b.multiple"),
        "further selection above none": ("first", "table2.b.multiple", "table2.b.selected"),
        "last convolution above the first": ("first", "table3.conv1", "table3.conv6"),
        "last convolution above Fc.7": ("first", "table3.fc7", "table3.conv6"),
    }
    rows = []
    for claim, (cohort, low, high) in claims.items():
        areas = [published(f"li2017.{one}.auc").value for one in (low, high)]
        errors = [hanley_mcneil(area, sizes[cohort]) for area in areas]
        error = float(np.sqrt(errors[0] ** 2 + errors[1] ** 2 - 2 * correlation * errors[0] * errors[1]))
        z, cut = (areas[1] - areas[0]) / error, float(stats.norm.isf(alpha / 2))
        rows.append({
            "claim": claim, "patients": sum(sizes[cohort]), "from": areas[0], "to": areas[1],
            "difference": areas[1] - areas[0], "standard error": error, "p": 2 * float(stats.norm.sf(abs(z))),
            "power": float(stats.norm.sf(cut - z) + stats.norm.cdf(-cut - z)),
        })  # fmt: skip
    return pd.DataFrame(rows)


def printed_age() -> pd.DataFrame:
    """The AUC for IDH1 of age alone that Table 1 implies, if ages of both classes are normal (binormal model).

    Returns:
        One row a cohort: means and deviations of both classes, and the AUC of "younger means mutant".
    """
    rows = []
    for cohort in ("first", "second", "all"):
        mutant, wild = (published(f"li2017.table1.{cohort}.age.{one}") for one in ("mutation", "wildtype"))
        assert mutant.spread is not None
        assert wild.spread is not None
        apart = (wild.value - mutant.value) / np.hypot(float(mutant.spread), float(wild.spread))
        rows.append({
            "cohort": cohort, "mutant (years)": mutant.printed, "wild-type (years)": wild.printed,
            "AUC of age": float(stats.norm.cdf(apart)),
        })  # fmt: skip
    return pd.DataFrame(rows)
