"""Tables of Mehra 2022: scores over training, slices and patients of a grade, the arms, the synthetic features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.data.splits import Split
from radlib.papers.mehra2022.acgan import CLASSES, generate
from radlib.papers.mehra2022.networks import FeatureGenerator
from radlib.papers.mehra2022.study import Fold
from radlib.stats.baselines import clinical_model
from radlib.stats.generated import frechet_distance, memorised, precision_recall
from radlib.stats.intervals import WeightedStatistic, bootstrap
from radlib.study.estimates import class_estimates, standard_table

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


def slice_estimates(slices: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Accuracy of slices, total and by class, with intervals over patients: slices of a patient are drawn together.

    Args:
        slices: ``arm, run, subject, truth, predicted``; ``truth`` is True for HGG.
        n_boot, seed: of the bootstrap.

    Returns:
        One row an arm and group (``total``, ``hgg``, ``lgg``, and ``balanced``, the mean of the two): ``arm, metric,
        group, value, low, high, n``. ``n`` counts slices, as the paper does.
    """
    rows = []
    for arm, whole in slices.groupby("arm", sort=False):
        right = (whole["truth"] == whole["predicted"]).astype(float)
        cells = pd.DataFrame({"subject": whole["subject"], "hgg": right.where(whole["truth"]),
                              "lgg": right.where(~whole["truth"]), "total": right}).groupby("subject")  # fmt: skip
        top, bottom = cells.sum(), cells.count()

        for group in ("total", "hgg", "lgg", "balanced"):
            parts = ("hgg", "lgg") if group == "balanced" else (group,)
            one = bootstrap(_mean_share(top, bottom, parts), np.zeros(len(top)), n_boot=n_boot, seed=seed)
            n = len(whole) if group in ("total", "balanced") else int(bottom[group].sum())
            rows.append({"arm": arm, "metric": "accuracy", "group": group, **one.as_dict() | {"n": n}})
    return pd.DataFrame(rows)


def _mean_share(top: pd.DataFrame, bottom: pd.DataFrame, parts: Sequence[str]) -> WeightedStatistic:
    """The mean over ``parts`` of right slices over all slices, as a function of patients' weights ``(B, N)``."""

    def share(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            shares = [(weights @ top[part].to_numpy()) / (weights @ bottom[part].to_numpy()) for part in parts]
        return np.asarray(np.mean(shares, axis=0))

    return share


def patient_level(slices: pd.DataFrame) -> pd.DataFrame:
    """One row an arm, run and patient: mean score of the slices, and the class above one half."""
    grouped = slices.groupby(["arm", "run", "subject"], sort=False)
    table = grouped.agg(truth=("truth", "first"), score=("score", "mean"), slices=("truth", "size"))
    return table.assign(predicted=table["score"] > 0.5).reset_index()


def arm_table(by_slice: pd.DataFrame, by_patient: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Every arm on slices (as the paper counts) and on patients, the intervals behind the values."""
    left = standard_table(by_slice, titles=titles, digits=2).rename(columns={
        "": "arm", "total": "slices right", "hgg": "HGG slices", "lgg": "LGG slices", "balanced": "slices, balanced"
    })  # fmt: skip
    right = standard_table(by_patient, titles=titles, digits=2).rename(columns={
        "": "arm", "accuracy": "patients right", "balanced_accuracy": "patients, balanced", "auc": "AUC"
    })  # fmt: skip
    return left.merge(right, on="arm")


def patient_estimates(patients: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Accuracy, balanced accuracy and AUC of patients, with crossed intervals over runs and patients."""
    metrics = ("accuracy", "balanced_accuracy", "auc")
    return class_estimates(patients, metrics=metrics, n_boot=n_boot, seed=seed)


def rules(cohort: Cohort, folds: Sequence[Fold]) -> pd.DataFrame:
    """What needs no features: the majority, age, and the true size of the tumour; rows as those of the arms."""
    grade = (cohort.participants["grade_group"] == "HGG").astype(int)
    clinic = cohort.participants[["age"]].astype(float)
    rows = []
    for fold in folds:
        subjects = fold.table["subject"]
        size = fold.table["area"].astype(float).groupby(subjects).max().map(np.log).to_frame("size")
        train, test = (list(dict.fromkeys(subjects.iloc[part])) for part in (fold.train, fold.test))
        models = {
            "majority": pd.Series(float(grade[train].mean()), index=test),
            "size": _fitted(make_pipeline(StandardScaler(), LogisticRegression()), size, grade, train, test),
        }
        if clinic["age"].notna().any():
            models["age"] = _fitted(clinical_model("age"), clinic, grade, train, test)
        for name, p in models.items():
            rows.append(fold.predictions(subjects.iloc[fold.test].map(p).to_numpy(float)).assign(arm=name, run=0))
    return pd.concat(rows, ignore_index=True)


def _fitted(model: Any, X: pd.DataFrame, grade: pd.Series, train: list[str], test: list[str]) -> pd.Series:
    model.fit(X.loc[train], grade[train])
    return pd.Series(model.predict_proba(X.loc[test])[:, 1], index=test)


# Synthetic features


def samples(fold: Fold, generators: Mapping[str, FeatureGenerator], *, seed: int) -> dict[str, torch.Tensor]:
    """A real feature of each grade, and a synthetic HGG one of each generator, by title."""
    shown = {}
    for number, name in enumerate(CLASSES):
        row = fold.train[int(torch.nonzero(fold.labels[fold.train] == number)[0])]
        shown[f"real, {name}"] = fold.features.take([row])[0]
    for title, generator in generators.items():
        shown[f"synthetic, {title}"] = generate(generator, torch.tensor([1]), seed=seed)[0]
    return shown


def quality_table(
    fold: Fold, generators: Mapping[str, FeatureGenerator], *, seed: int, most: int = 500
) -> pd.DataFrame:
    """Frechet distance (of held-out real features too), precision, recall, suspected copies, by generator."""
    chosen = rng(seed, "quality")
    train, test = (fold.features.take(np.sort(chosen.permutation(part)[:most])) for part in (fold.train, fold.test))
    labels = torch.arange(len(train)) % len(CLASSES)
    rows = {title: quality(train, test, generate(one, labels, seed=seed)) for title, one in generators.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def quality(train: torch.Tensor, held_out: torch.Tensor, made: torch.Tensor) -> dict[str, float]:
    """The measures of :func:`quality_table` on the principal axes of the training features' means."""
    a, b, c = reduced(train, held_out, made)
    precision, recall = precision_recall(a, c)
    return {
        "Frechet distance": frechet_distance(a, c), "of held-out real": frechet_distance(a, b),
        "precision": precision, "recall": recall, "suspected copies (%)": 100 * float(memorised(a, b, c).mean()),
    }  # fmt: skip


def reduced(*groups: torch.Tensor, dimensions: int = 16) -> list[np.ndarray]:
    """Samples as vectors of their maps' means, on the principal axes of the first."""
    vectors = [group.mean(dim=(2, 3)).numpy() for group in groups]
    axes = PCA(min(dimensions, *vectors[0].shape, len(vectors[0]) - 1), random_state=0).fit(vectors[0])
    return [axes.transform(vector) for vector in vectors]
