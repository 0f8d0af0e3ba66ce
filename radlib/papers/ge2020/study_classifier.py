"""The chapter on the multi-stream classifier: its arms, and the jobs that train them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from radlib.core.seeds import named_seed, rng
from radlib.data.splits import Split, k_fold
from radlib.papers.ge2020.cases import Case, Record, Translated, assemble, build_cases, real_patients
from radlib.papers.ge2020.classifier import (
    ClassifierRecipe,
    DenseRecipe,
    Samples,
    attention_of,
    predict,
    predict_crops,
    train_densenet,
    train_two_stages,
    validation_threshold,
)
from radlib.papers.ge2020.data import Partition, Patients, Slices, enhanced, extract_crops
from radlib.papers.ge2020.networks import MultiStreamClassifier
from radlib.papers.ge2020.study_gan import load_generators, translate
from radlib.stats.baselines import clinical_model, clinical_rules
from radlib.study.jobs import Job, job
from radlib.study.store import Work


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train the classifier.

    Attributes:
        case: the training set: ``bas_1``, ``prop_a``, ``bas_2`` or ``prop_b``.
        masked: whether the tumour is enhanced by its mask in what the classifier sees.
        permuted: whether labels are shuffled between all patients; it is rated by them, too.
        like: the case whose number of patients sets the length of the first stage; its own where empty.
        first: whether there is a first stage.
    """

    case: str
    masked: bool = True
    permuted: bool = False
    like: str = ""
    first: bool = True


CASES = {name: Arm(case=name) for name in ("prop_a", "bas_1", "prop_b", "bas_2")}
"""The paper's two case studies and their baselines."""
TITLES = {
    "prop_a": "Prop-A", "bas_1": "Bas-1", "prop_b": "Prop-B", "bas_2": "Bas-2",
    "bas_1_updates": "Bas-1, as many updates", "bas_1_real": "Bas-1, second stage only",
    "no_mask": "Prop-A without mask", "densenet": "3D DenseNet", "prop_a_permuted": "Prop-A, permuted labels",
    "majority": "majority class", "collection_rule": "collection rule", "age_model": "age model",
    "age_collection": "age + collection", "grade_model": "grade", "age_grade": "age + grade",
    "codel": "1p/19q codeletion", "traits": "planted traits",
    "signal": "Prop-A, trained with signal, tested without",
}  # fmt: skip


def all_arms(recipe: ClassifierRecipe) -> dict[str, Arm]:
    """Every arm by name. Where the recipe counts epochs, Bas-1 has fewer updates than Prop-A, ``bas_1_updates`` as
    many."""
    return {
        **CASES,
        "bas_1_updates": Arm(case="bas_1", like="" if recipe.pretrain_steps else "prop_a"),
        "bas_1_real": Arm(case="bas_1", first=False),
        "no_mask": Arm(case="prop_a", masked=False),
        "prop_a_permuted": Arm(case="prop_a", permuted=True),
    }


def labels_of(arm: Arm, partition: Partition) -> pd.Series:
    """The labels that an arm learns, and by which it is rated; True for mutant."""
    mutant = partition.slices.open().mutant
    if not arm.permuted:
        return mutant
    random = rng(named_seed(partition.seed, "labels", partition.run), "permuted")
    return pd.Series(random.permutation(mutant.to_numpy()), index=mutant.index)


def samples_of(
    records: Sequence[Record], patients: Patients, made: Translated | None, *, labels: pd.Series,
    background: float | None,
) -> Samples:  # fmt: skip
    """What a network is given of patients, real and fake; a fake one has the label of its source.

    Args:
        records, patients, made: as :func:`~radlib.papers.ge2020.cases.assemble` takes them.
        labels: by patient.
        background: weight of what is not tumour; None leaves the images as they are.
    """
    ids = [record.subject for record in records]
    images = assemble(records, patients, made)
    if background is not None:
        images = enhanced(images, patients.masks[patients.rows(ids)], background=background)
    truth = torch.tensor(labels.loc[ids].to_numpy(dtype=int))
    return Samples(images=images, labels=truth, modalities=patients.modalities)


@lru_cache(maxsize=10)
def fakes(gans: tuple[Job, ...], partition: Partition) -> Translated:
    """The translations of a partition's training patients; made once in a process for all arms."""
    return translate(load_generators(gans), partition.slices.open(), partition.split().train)


def training_sets(partition: Partition) -> dict[str, Case]:
    """The training sets of a partition."""
    return build_cases(partition.split(), partition.slices.open(), partition.missing())


# Jobs


@job
def classifier(
    work: Work, *, partition: Partition, arm: Arm, gans: tuple[Job, ...], recipe: ClassifierRecipe, seed: int
) -> None:
    """Train one arm on one partition and predict the test patients.

    Scores: :func:`~radlib.papers.ge2020.classifier.predict`, with ``calibrated``: the call by the mean probability, at
    the threshold with the largest balanced accuracy in the validation patients. Table ``attention``: the modalities'
    mean weights by test patient (Eq. 7).

    Args:
        work: keeps the network.
        partition: training, validation and test patients.
        arm: what to train on.
        gans: that made the arm's synthetic images; none for a baseline.
        recipe: sizes and hyper-parameters.
        seed: arms of one seed and run start from the same weights.
    """
    patients, split, case = partition.slices.open(), partition.split(), training_sets(partition)[arm.case]
    labels = labels_of(arm, partition)
    made = fakes(gans, partition) if gans else None

    def samples(records: Sequence[Record]) -> Samples:
        background = recipe.background if arm.masked else None
        return samples_of(records, patients, made, labels=labels, background=background)

    validation, test = (samples(real_patients(ids, patients.available)) for ids in (split.validation, split.test))
    second = samples(case.real)
    first = (samples(case.augmented) if case.augmented else second) if arm.first else None
    like = len(training_sets(partition)[arm.like].augmented) if arm.like else 0
    network, history = train_two_stages(
        first, second, validation, recipe=recipe, seed=named_seed(seed, "classifier", partition.run), like=like,
        folder=work.checkpoints(),
    )  # fmt: skip
    seen = predict(network, validation, split.validation)
    threshold = validation_threshold(seen["truth"], seen["score"])
    found = predict(network, test, split.test)
    names = list(patients.modalities)
    weights = attention_of(network, test).view(len(found), -1, len(names)).mean(1).numpy()
    work.scores(found.assign(calibrated=found["score"] > threshold))
    work.table("attention", pd.DataFrame(weights, columns=names).assign(subject=list(split.test)))
    work.history(history)
    work.weights("network", network)
    work.note(threshold=threshold)


@job
def densenet(work: Work, *, partition: Partition, recipe: DenseRecipe, seed: int) -> None:
    """Train Liang's network on the crops of the real training patients and predict the test patients."""
    patients, split = partition.slices.open(), partition.split()

    def crops(ids: Sequence[str]) -> tuple[Tensor, Tensor]:
        images, masks = extract_crops(partition.slices, ids, crop=recipe.crop)
        images = enhanced(images, masks, background=recipe.background, space=3)
        return images, torch.tensor(patients.mutant.loc[list(ids)].to_numpy(dtype=int))

    validation = crops(split.validation)
    network = train_densenet(
        *crops(split.train), validation, recipe=recipe, folder=work.checkpoints(),
        seed=named_seed(seed, "densenet", partition.run),
    )  # fmt: skip
    seen = predict_crops(network, *validation, split.validation)
    threshold = validation_threshold(seen["truth"], seen["score"])
    found = predict_crops(network, *crops(split.test), split.test)
    work.scores(found.assign(calibrated=found["score"] > threshold))


@job
def transferred(work: Work, *, slices: Slices, trained: Job) -> None:
    """A trained network of the arm ``prop_a`` predicts all patients of another cohort."""
    recipe, patients = trained.inputs["recipe"], slices.open()
    network = MultiStreamClassifier(
        widths=recipe.widths, pool_after=recipe.pool_after, hidden=recipe.hidden, size=slices.size,
        streams=len(patients.modalities),
    )  # fmt: skip
    trained.result().load("network", network)
    records = real_patients(patients.ids, patients.available)
    everyone = samples_of(records, patients, None, labels=patients.mutant, background=recipe.background)
    found = predict(network, everyone, patients.ids)
    work.scores(found.assign(calibrated=found["score"] > trained.result().notes["threshold"]))


@job
def shown(work: Work, *, partition: Partition, gans: tuple[Job, ...], seed: int, n_folds: int = 5) -> None:
    """What real and fake training patients show of IDH to a plain rule, cross-validated by real patient.

    Scores: ``patients`` (``real``, ``fake``, and the fake ones of each way) and ``way``, the number of the fake patient
    among those of one real. The rule is :func:`plain_rule`.
    """
    work.scores(plain_rule(partition, fakes(gans, partition), seed=seed, n_folds=n_folds))


def plain_rule(partition: Partition, made: Translated, *, seed: int, n_folds: int = 5) -> pd.DataFrame:
    """A logistic regression on mean, standard deviation and maximum of each modality within the tumour, over slices.

    It asks what the first stage can learn, apart from any network.

    Args:
        partition: its training patients.
        made: their translations.
        seed: of the folds.
        n_folds: at most; never more than the smaller class has patients.

    Returns:
        Scores; empty where a class has fewer than two patients.
    """
    patients, case = partition.slices.open(), training_sets(partition)["prop_a"]
    fake, ways = case.augmented, len(patients.modalities) - 1
    by_way = {_way(fake[way], patients.modalities): fake[way::ways] for way in range(ways)}
    sets = {"real": case.real, "fake": fake} | by_way
    parts = []
    for name, records in sets.items():
        ids = [record.subject for record in records]
        everyone, truth = list(dict.fromkeys(ids)), patients.mutant.loc[ids].to_numpy(dtype=bool)
        known = patients.mutant.loc[everyone]
        smaller = int(min(known.sum(), (~known).sum()))
        if smaller < 2:
            return pd.DataFrame(columns=["patients", "way", "subject", "truth", "predicted", "score"])
        features = tumour_statistics(assemble(records, patients, made), patients.masks[patients.rows(ids)])
        score = np.zeros(len(ids))
        for fold in k_fold(
            everyone, n_folds=min(n_folds, smaller), stratify=known, seed=named_seed(seed, "shown")
        ):  # fmt: skip
            test = np.isin(ids, fold.test)
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            model.fit(features[~test], truth[~test])
            score[test] = model.predict_proba(features[test])[:, 1]
        place = np.arange(len(ids)) % (len(ids) // len(everyone))
        parts.append(pd.DataFrame({
            "patients": name, "way": place, "subject": ids, "truth": truth, "predicted": score > 0.5, "score": score,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _way(record: Record, modalities: Sequence[str]) -> str:
    """How a fake patient was made: ``t1 with t1ce and t2 with flair``, or in a circle ``t1 from t1ce, ...``."""
    made = [(modalities[k], modalities[source]) for k, source in enumerate(record.sources)]
    if any(record.sources[source] != k for k, source in enumerate(record.sources)):
        return ", ".join(f"{target} from {source}" for target, source in made)
    once = [made[k] for k, source in enumerate(record.sources) if k < source]
    return " and ".join(f"{a} with {b}" for a, b in once)


def tumour_statistics(images: Tensor, masks: Tensor) -> np.ndarray:
    """Mean, standard deviation, maximum within the tumour, means over slices: ``(R, 6, K, S, S)`` to ``(R, 3 K)``."""
    inside = masks[:, :, None].float()
    size = inside.sum(dim=(3, 4)).clamp(min=1)
    mean = (images * inside).sum(dim=(3, 4)) / size
    spread = (((images - mean[..., None, None]) ** 2 * inside).sum(dim=(3, 4)) / size).sqrt()
    largest = (images * inside).amax(dim=(3, 4))
    return torch.cat([mean, spread, largest], dim=2).mean(dim=1).numpy()


# What needs no image

_KNOWN = ("collection", "age", "grade", "codel_1p19q")
"""Columns from which rules predict."""


def rules(
    participants: pd.DataFrame, mutant: pd.Series, split: Split, *, run: int, traits: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Rules fitted on the training patients: majority class, collection, age, both, grade.

    In patients of one collection, which says nothing of them, age with grade and 1p/19q take its place.

    Args:
        participants: with ``collection``, ``age`` and ``grade``, any of which may be empty, and ``codel_1p19q``, which
            may lack.
        mutant: labels by patient.
        split: training and test patients.
        run: number of the partition.
        traits: what simulated images had to show; a logistic regression on them is the most that images can tell.

    Returns:
        Predictions with ``arm`` and ``run``.
    """
    train, test = list(split.train), list(split.test)
    table = participants[[name for name in _KNOWN if name in participants]]
    models = {"majority": (DummyClassifier(), table)} | {
        name.replace(" + ", "_").replace(" ", "_"): (model, table)
        for name, model in clinical_rules(participants).items()
    }
    if participants["grade"].nunique() > 1:
        models["grade_model"] = (clinical_model("grade"), table)
    if participants["collection"].nunique() < 2:
        if "grade_model" in models and "age_model" in models:
            models["age_grade"] = (clinical_model("age", "grade"), table)
        if "codel_1p19q" in table and table["codel_1p19q"].nunique() > 1:
            models["codel"] = (clinical_model("codel_1p19q"), table)
    if traits is not None:
        models["traits"] = (make_pipeline(StandardScaler(), LogisticRegression()), traits)
    parts = []
    for name, (model, values) in models.items():
        model.fit(values.loc[train], mutant.loc[train].to_numpy(dtype=bool))
        called = np.asarray(model.predict(values.loc[test]), dtype=bool)
        parts.append(pd.DataFrame({
            "arm": name, "run": run, "subject": test, "truth": mutant.loc[test].to_numpy(dtype=bool),
            "votes": 0, "predicted": called, "score": model.predict_proba(values.loc[test])[:, 1],
            "calibrated": called,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def arm_jobs(
    partition: Partition, arms: Mapping[str, Arm], gans: Mapping[str, tuple[Job, ...]], recipe: ClassifierRecipe, *,
    seed: int,
) -> dict[str, Job]:  # fmt: skip
    """The classifiers of a run, by arm.

    Args:
        partition: of the run.
        arms: by name.
        gans: of :func:`~radlib.papers.ge2020.study_gan.gan_jobs`.
        recipe, seed: of the classifiers.
    """
    return {
        name: classifier(
            partition=partition, arm=arm, gans=gans[arm.case[-1]] if arm.case.startswith("prop") else (),
            recipe=recipe, seed=seed,
        )
        for name, arm in arms.items()
    }  # fmt: skip
