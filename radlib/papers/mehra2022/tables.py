"""Tables of Mehra 2022: scores over training, slices and patients of a grade, the arms, the synthetic features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import binary_dilation, binary_erosion
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from radlib.data.cohort import Cohort
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.papers.mehra2022.acgan import generate
from radlib.papers.mehra2022.networks import FeatureGenerator
from radlib.papers.mehra2022.study import Fold, open_flair
from radlib.stats.baselines import clinical_model
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE, PERMUTED
from radlib.stats.tables import format_interval
from radlib.study.estimates import AVERAGE, class_estimates, estimates, standard_table

PARTS = {"train": "training", "test": "test"}
METRICS = ("iou", "soft_dice_loss", "hard_dice")


def best_scores(history: pd.DataFrame) -> pd.DataFrame:
    """The best value of each metric over training, as Table 2: one row a part of the slices, ``slices`` its name."""
    rows = history[history["part"] == "validation"]
    best = [
        {"slices": title, **{
            key: float(rows[f"{part}_{key}"].min() if key == "soft_dice_loss" else rows[f"{part}_{key}"].max())
            for key in METRICS
        }}
        for part, title in PARTS.items()
    ]  # fmt: skip
    return pd.DataFrame(best)


def table2_rows(scores: pd.DataFrame, *, arm: str, slices: Mapping[str, int]) -> pd.DataFrame:
    """Scores of :func:`best_scores`, or of the last step, as rows of measured values.

    Args:
        scores: ``slices`` and the metrics.
        arm: ``best_step`` or ``last_step``.
        slices: how many each part has.
    """
    long = scores.melt(id_vars="slices", value_vars=list(METRICS), var_name="metric")
    return pd.DataFrame({
        "arm": arm, "metric": long["metric"], "group": long["slices"], "value": long["value"], "low": float("nan"),
        "high": float("nan"), "n": long["slices"].map(slices),
    })  # fmt: skip


def division_table(split: Split, table: pd.DataFrame, grade: pd.Series) -> pd.DataFrame:
    """Patients and slices of each grade in the training and the test part, ``arm, metric, group, value, n``."""
    rows = []
    for part, ids in (("training", split.train), ("test", split.test), ("all", (*split.train, *split.test))):
        of_slices = table.loc[table["subject"].isin(ids), "subject"].map(grade)
        counts = {"patients": grade[list(ids)], "slices": of_slices}
        for metric, found in counts.items():
            rows += [(part, metric, g.lower(), float((found == g).sum()), len(found)) for g in ("HGG", "LGG")]
        rows.append((part, "slices", "all", float(len(of_slices)), len(of_slices)))
        rows.append((part, "hgg_share", "all", float((of_slices == "HGG").mean()), len(of_slices)))
    return pd.DataFrame(rows, columns=["arm", "metric", "group", "value", "n"]).assign(low=np.nan, high=np.nan)


# Grade


def slice_scores(slices: pd.DataFrame) -> pd.DataFrame:
    """The share of each patient's slices that are right, of ``total`` and of the patient's grade.

    Args:
        slices: ``arm, run, subject, truth, predicted``; ``truth`` is True for HGG.

    Returns:
        Long scores, ``arm, run, subject, group, metric`` (``accuracy``), ``value``.
    """
    right = slices.assign(value=(slices["truth"] == slices["predicted"]).astype(float))
    means = right.groupby(["arm", "run", "subject"], sort=False).agg(value=("value", "mean"), truth=("truth", "first"))
    table = means.reset_index()
    own = table.assign(group=np.where(table.pop("truth").astype(bool), "hgg", "lgg"))
    return pd.concat([table.assign(group="total"), own], ignore_index=True).assign(metric="accuracy")


def slice_estimates(slices: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Accuracy of slices, with intervals over runs and patients.

    Returns:
        :func:`~radlib.study.estimates.estimates` of :func:`slice_scores` by ``total``, ``hgg``, ``lgg`` and
        ``average``, the mean of the two grades.
    """
    scores = slice_scores(slices)
    return pd.concat([
        estimates(scores, groups=groups, n_boot=n_boot, seed=seed)
        for groups in (["total"], ["hgg", "lgg", AVERAGE])
    ], ignore_index=True)  # fmt: skip


def patient_level(slices: pd.DataFrame) -> pd.DataFrame:
    """One row an arm, run and patient: mean score of the slices, and the class above one half."""
    grouped = slices.groupby(["arm", "run", "subject"], sort=False)
    table = grouped.agg(truth=("truth", "first"), score=("score", "mean"), slices=("truth", "size"))
    return table.assign(predicted=table["score"] > 0.5).reset_index()


def arm_table(
    by_slice: pd.DataFrame, by_patient: pd.DataFrame, titles: Mapping[str, str], *, called: Mapping[str, str]
) -> pd.DataFrame:
    """Every arm on slices (as the paper counts) and on patients, the intervals behind the values.

    Args:
        by_slice, by_patient: of :func:`slice_estimates` and :func:`patient_estimates`.
        titles: of arms.
        called: what LGG and HGG are called (:func:`radlib.papers.mehra2022.grades.class_names`).
    """
    left = standard_table(by_slice, titles=titles, digits=2).rename(columns={
        "": "arm", "total": "slices right", "hgg": f"{called['HGG']} slices", "lgg": f"{called['LGG']} slices",
        AVERAGE: "mean of both",
    })  # fmt: skip
    right = standard_table(by_patient, titles=titles, digits=2).rename(columns={
        "": "arm", "accuracy": "patients right", "balanced_accuracy": "patients, balanced", "auc": "AUC"
    })  # fmt: skip
    return left.merge(right, on="arm")


def patient_estimates(patients: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Accuracy, balanced accuracy and AUC of patients, with crossed intervals over runs and patients."""
    metrics = ("accuracy", "balanced_accuracy", "auc")
    return class_estimates(patients, metrics=metrics, n_boot=n_boot, seed=seed)


RULES = ("majority", "age", "size", "signs")
"""Arms of :func:`rules`."""


def best_of_division(curve: pd.DataFrame, slices: pd.DataFrame) -> pd.DataFrame:
    """Predictions of the one division as the paper reports it: the baseline, and the best point of the curve.

    Args:
        curve: shares of right slices by number of synthetic features, ``arm, group, value, added``.
        slices: predictions of every point, ``arm`` as in ``curve``.

    Returns:
        The rows of ``slices`` of both, with the arms ``baseline`` and ``acgan``. The point is chosen by the mean of
        both grades on the test slices themselves.
    """
    means = curve[curve["group"] == AVERAGE].set_index("arm")
    names = dict.fromkeys(means.index[means["added"] == 0], "baseline")
    names |= {str(means.loc[means["added"] > 0, "value"].idxmax()): "acgan"}
    chosen = slices[slices["arm"].isin(names)]
    return chosen.assign(arm=chosen["arm"].map(names))


def protocol_table(
    by_patient: pd.DataFrame, of_division: pd.DataFrame, shuffled: Mapping[str, float], *, n_boot: int, seed: int
) -> pd.DataFrame:
    """The AUC of patients by protocol: ``protocol, arm, AUC of patients, low, high, patients``.

    Args:
        by_patient: of :func:`patient_estimates`, all folds, with the arms of :func:`rules`.
        of_division: of :func:`best_of_division`.
        shuffled: of :func:`shuffle_test`.
        n_boot, seed: of the bootstrap.
    """
    folds = by_patient[by_patient["metric"] == "auc"]
    once = patient_estimates(patient_level(of_division), n_boot=n_boot, seed=seed)
    null = {"arm": "baseline", "value": shuffled["mean"], "low": shuffled["low"], "high": shuffled["high"]}
    parts = {
        LEAKAGE_FREE: folds[~folds["arm"].isin(RULES)], AS_PUBLISHED: once[once["metric"] == "auc"],
        PERMUTED: pd.DataFrame([{**null, "n": folds["n"].max()}]), CONTROL: folds[folds["arm"].isin(RULES)],
    }  # fmt: skip
    found = pd.concat([part.assign(protocol=name) for name, part in parts.items()], ignore_index=True)
    columns = {"protocol": "protocol", "arm": "arm", "value": "AUC of patients", "low": "low", "high": "high"}
    return found.rename(columns=columns | {"n": "patients"})[[*columns.values(), "patients"]]


def rules(cohort: Cohort, folds: Sequence[Fold], *, runs: Sequence[int]) -> pd.DataFrame:
    """What needs no features of a network: the majority, age, size and FLAIR of the true tumour; rows as of the arms.

    Args:
        cohort: the patients.
        folds: of one run; those of the others have the same patients.
        runs: numbers of the runs, in each of which the rules stand.
    """
    grade = (cohort.participants["grade_group"] == "HGG").astype(int)
    clinic = cohort.participants[["age"]].astype(float)
    signs = flair_signs(open_flair(folds[0].result.job.inputs["images"]))
    rows = []
    for fold in folds:
        subjects = fold.table["subject"]
        size = fold.table["area"].astype(float).groupby(subjects).max().map(np.log).to_frame("size")
        train, test = (list(dict.fromkeys(subjects.iloc[part])) for part in (fold.train, fold.test))
        models = {
            "majority": pd.Series(float(grade[train].mean()), index=test),
            "size": _fitted(make_pipeline(StandardScaler(), LogisticRegression()), size, grade, train, test),
            "signs": _fitted(make_pipeline(StandardScaler(), LogisticRegression()), signs, grade, train, test),
        }
        if clinic["age"].notna().any():
            models["age"] = _fitted(clinical_model("age"), clinic, grade, train, test)
        for name, p in models.items():
            rows.append(fold.predictions(subjects.iloc[fold.test].map(p).to_numpy(float)).assign(arm=name))
    found = pd.concat(rows, ignore_index=True)
    return pd.concat([found.assign(run=run) for run in runs], ignore_index=True)


def flair_signs(store: ImageStore) -> pd.DataFrame:
    """What a reader with the true outline could measure on FLAIR: one row a subject.

    ``volume`` (log voxels), ``surface`` (voxels at the edge over volume to the power of 2/3), of intensities in the
    tumour ``mean``, ``sd``, ``p5``, ``p95`` and the share ``dark`` below the brain's mean, and ``edge``, by how much
    the tumour's edge is brighter than the brain next to it. Intensities are in standard deviations of the brain.
    """
    rows = {}
    for subject in store.ids:
        one = store.subject(subject)
        flair, tumour = one.take(["flair"])[0].float().cpu().numpy(), (one.labels > 0).cpu().numpy()
        inside, brain = flair[tumour], flair != 0
        rim = tumour & ~binary_erosion(tumour)
        outside = binary_dilation(tumour) & ~tumour & brain
        p5, p95 = np.percentile(inside, [5, 95])
        rows[subject] = {
            "volume": np.log(tumour.sum()), "surface": rim.sum() / tumour.sum() ** (2 / 3), "mean": inside.mean(),
            "sd": inside.std(), "p5": p5, "p95": p95, "dark": (inside < 0).mean(),
            "edge": flair[rim].mean() - flair[outside].mean() if outside.any() else 0.0,
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def _fitted(model: Any, X: pd.DataFrame, grade: pd.Series, train: list[str], test: list[str]) -> pd.Series:
    model.fit(X.loc[train], grade[train])
    return pd.Series(model.predict_proba(X.loc[test])[:, 1], index=test)


# Synthetic features


def samples(
    examples: Mapping[str, np.ndarray],
    generators: Mapping[str, FeatureGenerator],
    *,
    seed: int,
    called: Mapping[str, str],
) -> dict[str, torch.Tensor]:
    """A real feature of each grade, as ``called``, and a synthetic HGG one of each generator, by title."""
    shown = {f"real, {called[name]}": torch.from_numpy(one) for name, one in examples.items()}
    for title, generator in generators.items():
        shown[f"synthetic, {title}"] = generate(generator, torch.tensor([1]), seed=seed)[0]
    return shown


def shuffle_test(patients: pd.DataFrame, shuffled: pd.DataFrame) -> dict[str, float]:
    """The baseline's AUC of patients against those of the same training on shuffled labels.

    Args:
        patients: of :func:`patient_level`, one arm; means over folds and runs are taken.
        shuffled: scores of :func:`~radlib.papers.mehra2022.study.shuffles` of all folds.

    Returns:
        ``auc``, the shuffles' ``mean``, ``low`` and ``high`` (95 %), ``n`` and ``p``, the share of shuffles that reach
        the AUC, the true labels counted among them.
    """
    own = float(np.mean([_auc(one) for _, one in patients.groupby("run")]))
    null = np.array([_auc(one) for _, one in shuffled.groupby("shuffle")])
    low, high = np.quantile(null, [0.025, 0.975])
    p = float((1 + (null >= own).sum()) / (1 + len(null)))
    return {"auc": own, "mean": float(null.mean()), "low": low, "high": high, "n": len(null), "p": p}


def _auc(predictions: pd.DataFrame) -> float:
    return float(roc_auc_score(predictions["truth"].astype(bool), predictions["score"]))


def likeness_table(scores: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Likeness to held-out features by maker, means over folds and runs, with the smallest and the largest.

    Args:
        scores: ``arm`` (the maker), ``metric``, ``value``.
        titles: of makers.
    """
    names = {"frechet": "Frechet distance", "precision": "precision", "recall": "recall", "memorised": "copies"}
    rows = {}
    for arm, part in scores.groupby("arm", sort=False):
        found = part.groupby("metric")["value"].agg(["mean", "min", "max"])
        rows[titles.get(str(arm), str(arm))] = {
            title: format_interval(*found.loc[metric], digits=2) for metric, title in names.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")
