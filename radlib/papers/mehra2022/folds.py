"""The study of Mehra 2022 over folds of patients: arms, controls, sweep, quality of synthetic features."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from radlib.core.errors import MissingDataError
from radlib.core.files import reading
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.features.streamed import FeatureFile
from radlib.papers.mehra2022 import grade as gr
from radlib.papers.mehra2022 import results
from radlib.papers.mehra2022.networks import FeatureGenerator
from radlib.stats.baselines import age_model

PERMUTED = "shuffled labels"
LINEAR = "linear"
ARMS: tuple[gr.Rival, ...] = ("baseline", "weighted loss", "oversampling", "interpolation", "acgan")


@dataclass(frozen=True)
class Fold:
    """Features made by a network that has not seen the test patients.

    Attributes:
        features: on disk, one row a slice.
        labels: ``(N,)`` int64, 1 for HGG.
        train, test: rows.
    """

    features: FeatureFile
    labels: torch.Tensor
    train: np.ndarray
    test: np.ndarray

    @property
    def table(self) -> pd.DataFrame:
        """``subject``, ``row``, ``position``, ``area`` of each slice."""
        return self.features.table

    def outcome(self, arm: str, probability: np.ndarray) -> pd.DataFrame:
        """Predictions of the test slices as rows."""
        part = self.table.iloc[self.test]
        return pd.DataFrame({"arm": arm, "subject": part["subject"].to_numpy(), "truth": self.labels[self.test].numpy(),
                             "probability": probability})  # fmt: skip


def load_folds(arrays: Path, *, block: str, grade: pd.Series) -> list[Fold]:
    """The features that the chapter before left, fold by fold.

    Args:
        arrays: its folder.
        block: which features.
        grade: 1 for HGG, by patient.

    Raises:
        MissingDataError: if there are none, or if the training patients of a fold have fewer than two slices of a grade
            group: nothing can be learnt of it, nor interpolated.
    """
    files = sorted(arrays.glob(f"{block}_fold*.npy"))
    if not files:
        raise MissingDataError(
            f"there are no features of {block!r}", file=arrays,
            remedy="run the chapter unet_features with the same cohort and profile",
        )  # fmt: skip
    folds = [_fold(file.with_suffix(""), grade) for file in files]
    for number, fold in enumerate(folds, start=1):
        counts = torch.bincount(fold.labels[fold.train], minlength=2).tolist()
        if min(counts) < 2:
            raise MissingDataError(
                f"the training patients of fold {number} have {counts[0]} slices of LGG and {counts[1]} of HGG",
                remedy="use a cohort with more patients of both, or other folds in unet_features",
            )
    return folds


def load_published(arrays: Path, *, block: str, grade: pd.Series) -> Fold:
    """The features of the published division, nine to one; as :func:`load_folds`."""
    return _fold(arrays / f"{block}_published", grade)


def _fold(path: Path, grade: pd.Series) -> Fold:
    with reading(path.with_suffix(".npy"), remedy="run the chapter unet_features again"):
        features = FeatureFile(path)
        identity = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["identity"]
    testing = features.table["subject"].isin(identity["test"]).to_numpy()
    labels = torch.from_numpy(features.table["subject"].map(grade).to_numpy(dtype=np.int64).copy())
    return Fold(features, labels, np.flatnonzero(~testing), np.flatnonzero(testing))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What :func:`run_folds` found.

    Attributes:
        slices: ``arm``, ``subject``, ``truth``, ``probability``, over all folds.
        generators: one a fold, of the largest width.
        widths: generators of the first fold by width.
        histories: their trainings, by a title with the width.
        synthetic_right: share of synthetic features that their discriminator assigns to their class, by width.
    """

    slices: pd.DataFrame
    generators: list[FeatureGenerator]
    widths: dict[int, FeatureGenerator]
    histories: dict[str, pd.DataFrame]
    synthetic_right: dict[int, float]


def run_folds(
    folds: Sequence[Fold],
    *,
    recipe: gr.GradeRecipe,
    added_share: float,
    n_permutations: int,
    widths: Sequence[int],
    seed: int,
) -> Outcome:
    """Every arm in every fold, and the baseline with shuffled labels of patients.

    Args:
        folds: of :func:`load_folds`.
        recipe: of the ACGAN (its largest width) and the classifier.
        added_share: synthetic features added, as a share of the training slices.
        n_permutations: shuffles, each in the first fold that has not had one.
        widths: of the ACGANs in the first fold; the last is used in every fold.
        seed: of everything random.
    """
    rows, generators, by_width = [], [], {}
    histories: dict[str, pd.DataFrame] = {}
    right: dict[int, float] = {}
    for number, fold in enumerate(folds):
        features, labels = fold.features.take(fold.train), fold.labels[fold.train]
        test = fold.features.take(fold.test)
        for width in widths if number == 0 else widths[-1:]:
            generator, trained = gr.train_acgan(
                features,
                labels,
                recipe=replace(recipe, gan_width=width),
                seed=seed,
                name=f"ACGAN {width}, fold {number}",
            )  # fmt: skip
            if number == 0:
                by_width[width] = generator
                histories[f"{width} channels"] = trained.history
                right[width] = _assigned(generator, trained.networks["discriminator"], seed=seed)
        generators.append(generator)
        n_more = round(added_share * len(labels))
        for arm in ARMS:
            network = gr.run_arm(arm, features, labels, n_more=n_more, recipe=recipe, seed=seed, generator=generator)
            rows.append(fold.outcome(arm, gr.probabilities(network, test)))
        network = gr.run_arm("baseline", features, labels, n_more=0, recipe=recipe, seed=seed, linear=True)
        rows.append(fold.outcome(LINEAR, gr.probabilities(network, test)))
        if number < n_permutations:
            shuffled = _shuffled(fold, seed=seed)[fold.train]
            network = gr.run_arm("baseline", features, shuffled, n_more=0, recipe=recipe, seed=seed)
            rows.append(fold.outcome(PERMUTED, gr.probabilities(network, test)))
    return Outcome(slices=pd.concat(rows, ignore_index=True), generators=generators, widths=by_width,
                   histories=histories, synthetic_right=right)  # fmt: skip


def _assigned(generator: FeatureGenerator, judge: torch.nn.Module, *, seed: int, n: int = 400) -> float:
    labels = torch.arange(n) % len(gr.CLASSES)
    made = gr.generate(generator, labels, seed=seed) / generator.scale.cpu()
    device = next(judge.parameters()).device
    judge.eval()
    with torch.no_grad():
        return float((judge(made.to(device))[1].argmax(1).cpu() == labels).float().mean())


def _shuffled(fold: Fold, *, seed: int) -> torch.Tensor:
    """Labels with patients' grades exchanged: slices of a patient keep one grade."""
    subjects = fold.table["subject"]
    grade = pd.Series(fold.labels.numpy()).groupby(subjects.to_numpy()).first()
    exchanged = pd.Series(rng(seed, "shuffle", len(grade)).permutation(grade.to_numpy()), index=grade.index)
    return torch.from_numpy(subjects.map(exchanged).to_numpy(dtype=np.int64).copy())


def rules(cohort: Cohort, folds: Sequence[Fold], grade: pd.Series) -> pd.DataFrame:
    """What needs no features: the majority, age, and the true size of the tumour; one row a test slice, as the arms."""
    rows = []
    clinic = cohort.participants[["age"]].astype(float)
    for fold in folds:
        subjects = fold.table["subject"]
        size = fold.table["area"].astype(float).groupby(subjects).max().map(np.log).to_frame("size")
        train, test = (list(dict.fromkeys(subjects.iloc[part])) for part in (fold.train, fold.test))
        models = {
            "majority class": pd.Series(float(grade[train].mean()), index=test),
            "size of the tumour": _fitted(
                make_pipeline(StandardScaler(), LogisticRegression()), size, grade, train, test
            ),
        }
        if clinic["age"].notna().any():
            models["age"] = _fitted(age_model(), clinic, grade, train, test)
        rows += [fold.outcome(name, subjects.iloc[fold.test].map(p).to_numpy(float)) for name, p in models.items()]
    return pd.concat(rows, ignore_index=True)


def _fitted(model: Any, X: pd.DataFrame, grade: pd.Series, train: list[str], test: list[str]) -> pd.Series:
    model.fit(X.loc[train], grade[train])
    return pd.Series(model.predict_proba(X.loc[test])[:, 1], index=test)


def sweep(
    fold: Fold, generator: FeatureGenerator, *, shares: Sequence[float], recipe: gr.GradeRecipe, seed: int
) -> pd.DataFrame:
    """Slices right, total and by class, by the number of synthetic features added."""
    features, labels = fold.features.take(fold.train), fold.labels[fold.train]
    test = fold.features.take(fold.test)
    rows = []
    for share in shares:
        n = round(share * len(labels))
        arm: gr.Rival = "acgan" if n else "baseline"
        network = gr.run_arm(arm, features, labels, n_more=n, recipe=recipe, seed=seed, generator=generator)
        found = results.slice_estimate(fold.outcome(arm, gr.probabilities(network, test)), n_boot=2)
        rows.append({"synthetic": n, **{name: one.value for name, one in found.items()}})
    return pd.DataFrame(rows)


def as_published(curve: pd.DataFrame) -> dict[str, pd.Series]:
    """The rows of Table 3 as the paper reads its curve: ``baseline``, and the best point of the sweep on test slices.

    Args:
        curve: of :func:`sweep`, from 0 synthetic features.
    """
    helped = curve[curve["synthetic"] > 0]
    return {"baseline": curve.iloc[0], "augmented": helped.iloc[int(helped["total"].to_numpy().argmax())]}


def samples(fold: Fold, outcome: Outcome, *, seed: int) -> dict[str, torch.Tensor]:
    """A real feature of each grade, and a synthetic HGG one by each width."""
    shown = {}
    for number, name in enumerate(gr.CLASSES):
        row = fold.train[int(torch.nonzero(fold.labels[fold.train] == number)[0])]
        shown[f"real, {name}"] = fold.features.take([row])[0]
    for width, generator in outcome.widths.items():
        shown[f"synthetic, {width} channels"] = gr.generate(generator, torch.tensor([1]), seed=seed)[0]
    return shown


def quality_table(fold: Fold, outcome: Outcome, *, seed: int, most: int = 500) -> pd.DataFrame:
    """:func:`radlib.papers.mehra2022.results.quality` by width, and the share of classes told right."""
    chosen = rng(seed, "quality")
    train, test = (fold.features.take(np.sort(chosen.permutation(part)[:most])) for part in (fold.train, fold.test))
    rows = {}
    for width, generator in outcome.widths.items():
        made = gr.generate(generator, torch.arange(len(train)) % len(gr.CLASSES), seed=seed)
        rows[f"{width} channels"] = {**results.quality(train, test, made),
                                     "classes told right (%)": 100 * outcome.synthetic_right[width]}  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def other_features(
    arrays: Path, *, block: str, grade: pd.Series, recipe: gr.GradeRecipe, seed: int, n_boot: int
) -> pd.DataFrame:
    """The baseline on every kind of features that the first fold has; large maps are averaged to 8 x 8 first."""
    rows: list[Mapping[str, object]] = []
    for file in sorted(arrays.glob("*_fold0.npy")):
        fold = _fold(file.with_suffix(""), grade)
        pool = torch.nn.AdaptiveAvgPool2d(min(8, fold.features.array.shape[-1]))
        train, test = (
            torch.cat([pool(piece) for piece in fold.features.pieces(part)]) for part in (fold.train, fold.test)
        )
        network = gr.run_arm("baseline", train, fold.labels[fold.train], n_more=0, recipe=recipe, seed=seed)
        patients = gr.patient_level(fold.outcome(file.stem, gr.probabilities(network, test)))
        if patients["truth"].nunique() < 2:
            raise MissingDataError("the first fold's test patients have one grade only", remedy="use fewer folds")
        found = results.evaluate(results.predictions(patients), n_boot=n_boot, seed=seed)["auc"]
        rows.append({
            "features": file.stem.removesuffix("_fold0"),
            "of a slice": " x ".join(map(str, fold.features.array.shape[1:])),
            "AUC of patients": results.said(found), "patients": found.n,
        })  # fmt: skip
    return pd.DataFrame(rows)
