"""The jobs of Mehra 2022: the U-Net and its features, the ACGAN, the classifiers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from radlib.core.errors import MissingDataError
from radlib.core.seeds import named_seed, rng
from radlib.data.cohort import Cohort
from radlib.data.splits import Split, hold_out, k_fold
from radlib.data.store import ImageStore
from radlib.features.streamed import FeatureFile
from radlib.papers.mehra2022 import acgan as gan
from radlib.papers.mehra2022 import unet
from radlib.papers.mehra2022.classifier import probabilities, train_classifier
from radlib.papers.mehra2022.networks import FeatureDiscriminator, FeatureGenerator, FeatureUNet, adapt_input
from radlib.papers.mehra2022.recipes import GradeRecipe
from radlib.study.cohorts import Images, Source
from radlib.study.jobs import Job, job
from radlib.study.store import Result, Work

CROPPED = "_cropped"
"""Behind a block's name: features of images with nothing but the predicted tumour in them."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which patients test.

    Attributes:
        fold: number of the fold; None for the published division, ``test_share`` of each grade.
        n_folds, test_share: of the two kinds of division.
        seed: of both.
    """

    fold: int | None = None
    n_folds: int = 3
    test_share: float = 0.1
    seed: int = 0

    def split(self, cohort: Cohort) -> Split:
        """Patients of the cohort who train and who test, divided within grades."""
        grade = cohort.participants["grade_group"]
        if self.fold is None:
            return hold_out(cohort.ids, test=self.test_share, seed=self.seed, stratify=grade)
        return k_fold(cohort.ids, n_folds=self.n_folds, seed=self.seed, stratify=grade)[self.fold]

    @property
    def title(self) -> str:
        """``published``, or ``fold 0``."""
        return "published" if self.fold is None else f"fold {self.fold}"


def graded(source: Source) -> Cohort:
    """The patients whose FLAIR, tumour and grade are known."""
    return source.open().complete("flair", "seg", "grade_group")


def open_flair(images: Images) -> ImageStore:
    """FLAIR of :func:`graded` patients."""
    return images.open(graded(images.source).ids)


@job
def pretraining(work: Work, *, images: Images, n_test: int, recipe: unet.UNetRecipe, seed: int) -> None:
    """The U-Net on all modalities of ``images`` (section 3.1); ``n_test`` subjects, at most a third, are held out."""
    cohort = images.source.open().complete(*images.modalities, "seg")
    store = images.open(cohort.ids)
    torch.manual_seed(named_seed(seed, "weights"))
    network = FeatureUNet(len(images.modalities), widths=recipe.widths)
    held = hold_out(cohort.ids, test=min(n_test, len(cohort) // 3), seed=seed)
    fitted = unet.train_unet(
        network, store, modalities=images.modalities, train=held.train, validate=held.test, recipe=recipe, seed=seed,
        name="four modalities", folder=work.checkpoints(),
    )  # fmt: skip
    work.history(fitted.history)
    work.weights("network", fitted.network, keep=True)
    scores = unet.score_subjects(fitted.network, store, held.test, modalities=images.modalities)
    work.scores(long(scores))


@job
def tuning(
    work: Work,
    *,
    images: Images,
    start: Job,
    part: Part,
    recipe: unet.UNetRecipe,
    blocks: tuple[str, ...],
    per_subject: int,
    seed: int,
) -> None:
    """The network adapted to FLAIR and fine-tuned on the training patients of a part; features of all patients.

    The steps are those of the published division; a fold with fewer training slices takes as many epochs. Scores are
    those of the test patients, with ``stage`` ``before`` or ``after`` fine-tuning, or ``rule``
    (:func:`~radlib.papers.mehra2022.unet.score_threshold`). ``arrays`` holds a
    :class:`~radlib.features.streamed.FeatureFile` a block, the table ``slices`` what lies in its rows.
    """
    cohort, store = graded(images.source), open_flair(images)
    split = part.split(cohort)
    whole = len(store.slices(replace(part, fold=None).split(cohort).train))
    steps = max(1, round(recipe.steps * len(store.slices(split.train)) / whole))
    before = adapted(start, recipe)
    network = adapted(start, recipe)
    fitted = unet.train_unet(
        network, store, modalities=("flair",), train=split.train, validate=split.test,
        recipe=replace(recipe, steps=steps), seed=seed,
        name="published division" if part.fold is None else split.name, folder=work.checkpoints(),
    )  # fmt: skip
    work.history(fitted.history)
    work.weights("network", network, keep=part.fold is None and seed == part.seed)
    stages = {
        stage: unet.score_subjects(one, store, split.test, modalities=("flair",))
        for stage, one in (("before", before), ("after", network))
    } | {"rule": unet.score_threshold(store, split.train, split.test)}
    work.scores(pd.concat([long(scores).assign(stage=stage) for stage, scores in stages.items()]))
    take = store.channels(["flair"])
    pooled = {
        name: unet.score_slices(network.eval(), store, store.slices(ids), take)
        for name, ids in (("training", split.train), ("test", split.test))
    }
    work.table("last", pd.DataFrame.from_dict(pooled, orient="index").rename_axis("slices").reset_index())
    work.note(steps=steps, **{f"{name}_slices": len(store.slices(getattr(split, key)))
                              for name, key in (("training", "train"), ("test", "test"))})  # fmt: skip
    table = unet.slice_table(store, cohort.ids, per_subject=per_subject or None)
    work.table("slices", table)
    files = []
    for block in blocks:
        found = unet.extract_features(
            work.folder / "arrays" / block, network, store, table, block=block.removesuffix(CROPPED),
            crop_to_mask=block.endswith(CROPPED),
        )  # fmt: skip
        shape = " x ".join(map(str, found.array.shape[1:]))
        files.append({"features": block, "slices": len(found), "of a slice": shape, "MB": found.array.nbytes / 1e6})
    work.note(files=files)


def adapted(start: Job, recipe: unet.UNetRecipe) -> FeatureUNet:
    """The pre-trained network for FLAIR alone."""
    modalities = start.inputs["images"].modalities
    network = FeatureUNet(len(modalities), widths=recipe.widths)
    start.result().load("network", network)
    return adapt_input(network, channel=modalities.index("flair"))


def long(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of subjects as ``subject, group, metric, value``."""
    if scores.empty:
        return pd.DataFrame(columns=["subject", "group", "metric", "value"])
    return scores.melt(id_vars="subject", var_name="metric").assign(group="wt")


# Features


@dataclass(frozen=True)
class Fold:
    """Features made by a network that has not seen the test patients.

    Attributes:
        result: of a job of :func:`tuning`.
        block: which of its features.
        table: ``subject``, ``row``, ``position``, ``area`` of each slice.
        labels: ``(N,)`` int64, 1 for HGG.
        train, test: rows.
    """

    result: Result
    block: str
    table: pd.DataFrame
    labels: torch.Tensor
    train: np.ndarray
    test: np.ndarray

    @property
    def features(self) -> FeatureFile:
        """The features on disk, one row a slice."""
        return FeatureFile(self.result.path(f"arrays/{self.block}.npy").with_suffix(""))

    def take(self, rows: np.ndarray, *, pooled: int | None = None) -> torch.Tensor:
        """Features of rows, ``(n, C, size, size)``; ``pooled`` averages larger maps to this size."""
        features = self.features
        if pooled is None:
            return features.take(rows)
        pool = torch.nn.AdaptiveAvgPool2d(min(pooled, features.array.shape[-1]))
        return torch.cat([pool(piece) for piece in features.pieces(rows)])

    def predictions(self, probability: np.ndarray) -> pd.DataFrame:
        """Probabilities of HGG of the test slices as ``subject, truth, predicted, score``."""
        return pd.DataFrame({
            "subject": self.table["subject"].to_numpy()[self.test], "truth": self.labels[self.test].numpy() == 1,
            "predicted": probability > 0.5, "score": probability.astype(float),
        })  # fmt: skip


def open_fold(features: Job, block: str) -> Fold:
    """The features that a job of :func:`tuning` left.

    Raises:
        MissingDataError: if the training patients have fewer than two slices of a grade group: nothing can be learnt of
            it, nor interpolated.
    """
    return fold_of(features.result(), block)


def fold_of(result: Result, block: str) -> Fold:
    """:func:`open_fold` of a result."""
    inputs = result.job.inputs
    cohort, table = graded(inputs["images"].source), result.table("slices")
    part: Part = inputs["part"]
    testing = table["subject"].isin(part.split(cohort).test).to_numpy()
    grade = (cohort.participants["grade_group"] == "HGG").astype(int)
    labels = torch.from_numpy(table["subject"].map(grade).to_numpy(dtype=np.int64).copy())
    counts = torch.bincount(labels[~testing], minlength=2).tolist()
    if min(counts) < 2:
        raise MissingDataError(
            f"the training patients of {part.title} have {counts[0]} slices of LGG and {counts[1]} of HGG",
            remedy="use a cohort with more patients of both, or other folds in unet_features",
        )
    return Fold(result, block, table, labels, np.flatnonzero(~testing), np.flatnonzero(testing))


@job
def acgan(work: Work, *, features: Job, block: str, recipe: GradeRecipe, seed: int, pooled: int | None = None) -> None:
    """An ACGAN on the training slices' features (section 3.2).

    Scores, of ``all``: how like held-out features its own are (:func:`~radlib.papers.mehra2022.acgan.likeness`), and
    ``class_accuracy``, the share that its discriminator assigns to their class.

    Args:
        features: a job of :func:`tuning`.
        block: which of its features.
        recipe, seed: of the training.
        pooled: maps are averaged to this size first, where they are larger.
    """
    fold = open_fold(features, block)
    part: Part = features.inputs["part"]
    train, test = (fold.take(rows, pooled=pooled) for rows in (fold.train, fold.test))
    generator, trained = gan.train_acgan(
        train, fold.labels[fold.train], recipe=recipe, seed=seed, name=f"ACGAN {recipe.gan_width}, {part.title}",
        folder=work.checkpoints(),
    )  # fmt: skip
    judge = trained.networks["discriminator"]
    labels = fold.labels[fold.train]
    made = gan.generate(generator, labels, seed=seed)
    found = gan.likeness(train, test, made)
    found["class_accuracy"] = float((gan.assigned(judge, made, generator.scale) == labels).float().mean())
    work.scores(_of_all(found))
    work.history(trained.history)
    work.note(shape=[train.shape[1], train.shape[-1]])
    shown = part.fold == 0 and seed == part.seed  # of one training a reader sees maps
    work.weights("generator", generator, keep=shown)
    work.weights("discriminator", judge, keep=shown)


@job
def rivals(work: Work, *, features: Job, block: str, seed: int, pooled: int | None = None) -> None:
    """How like held-out features the training features themselves are, and what needs no network makes of them.

    Scores with ``maker``: ``training``, ``interpolation``, ``gaussian``. ``arrays`` holds a training feature of each
    grade, by name. Arguments are as those of :func:`acgan`.
    """
    fold = open_fold(features, block)
    train, test = (fold.take(rows, pooled=pooled) for rows in (fold.train, fold.test))
    labels = fold.labels[fold.train]
    made = {
        "training": train, "interpolation": gan.interpolated(train, labels, labels, seed=seed),
        "gaussian": gan.gaussian(train, labels, labels, seed=seed),
    }  # fmt: skip
    work.scores(pd.concat([_of_all(gan.likeness(train, test, one)).assign(maker=name) for name, one in made.items()]))
    first = {name: int(torch.nonzero(labels == number)[0]) for number, name in enumerate(gan.CLASSES)}
    work.arrays("examples", {name: train[row].numpy() for name, row in first.items()}, keep=True)


def _of_all(values: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame([
        {"subject": "all", "group": "all", "metric": metric, "value": value} for metric, value in values.items()
    ])  # fmt: skip


def load_acgan(result: Result) -> tuple[FeatureGenerator, FeatureDiscriminator]:
    """Generator and discriminator of a job of :func:`acgan`."""
    recipe: GradeRecipe = result.job.inputs["recipe"]
    channels, size = result.notes["shape"]
    generator = FeatureGenerator(channels, size, width=recipe.gan_width, noise=recipe.noise)
    judge = FeatureDiscriminator(channels, size, width=recipe.gan_width, spectral=recipe.spectral)
    result.load("generator", generator)
    result.load("discriminator", judge)
    return generator.eval(), judge.eval()


@job
def classifier(
    work: Work,
    *,
    features: Job,
    block: str,
    recipe: GradeRecipe,
    seed: int,
    arm: gan.Arm = "baseline",
    maker: Job | None = None,
    added_share: float = 0.0,
    linear: bool = False,
    pooled: int | None = None,
) -> None:
    """A classifier of the slices' grade, and its predictions of the test slices.

    Args:
        features: a job of :func:`tuning`.
        block: which of its features.
        recipe: sizes and hyper-parameters.
        seed: of everything random.
        arm: what helps the rarer class.
        maker: a job of :func:`acgan` on the same features, for the arm ``acgan``.
        added_share: samples added by ``interpolation``, ``gaussian`` and ``acgan``, as a share of the training slices.
        linear: a linear classifier on features averaged over each map.
        pooled: maps are averaged to this size first, where they are larger.
    """
    fold = open_fold(features, block)
    train, test = (fold.take(rows, pooled=pooled) for rows in (fold.train, fold.test))
    labels = fold.labels[fold.train]
    networks = load_acgan(maker.result()) if maker is not None else None
    network, history, added = gan.run_arm(
        arm, train, labels, n_more=round(added_share * len(labels)), recipe=recipe, seed=seed, gan=networks,
        linear=linear, held_out=(test, fold.labels[fold.test]),
    )  # fmt: skip
    work.scores(fold.predictions(probabilities(network, test)))
    work.history(history)
    work.note(added=added)


@job
def shuffles(
    work: Work, *, features: Job, block: str, recipe: GradeRecipe, n: int, seed: int, pooled: int | None = None
) -> None:
    """The baseline classifier trained ``n`` times with the grades of the training patients exchanged.

    Slices of a patient keep one grade. Scores with ``shuffle``: the mean probability of each test patient's slices,
    and their true grade.
    """
    fold = open_fold(features, block)
    train, test = (fold.take(rows, pooled=pooled) for rows in (fold.train, fold.test))
    subjects = fold.table["subject"].iloc[fold.train]
    grade = pd.Series(fold.labels[fold.train].numpy(), index=subjects).groupby(level=0, sort=True).first()
    found = []
    for number in range(n):
        exchanged = pd.Series(rng(seed, "shuffle", number).permutation(grade.to_numpy()), index=grade.index)
        labels = torch.from_numpy(subjects.map(exchanged).to_numpy(dtype=np.int64).copy())
        network, _ = train_classifier(train, labels, recipe=recipe, seed=named_seed(seed, "shuffle", number))
        slices = fold.predictions(probabilities(network, test))
        means = slices.groupby("subject", sort=False).agg(truth=("truth", "first"), score=("score", "mean"))
        found.append(means.assign(predicted=means["score"] > 0.5, shuffle=number).reset_index())
    work.scores(pd.concat(found, ignore_index=True))
