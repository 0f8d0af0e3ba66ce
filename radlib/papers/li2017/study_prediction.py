"""Jobs of IDH1 prediction in Li 2017: features of some patients, put to the question under every protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from radlib.core.seeds import named_seed
from radlib.data.published import published
from radlib.features.extract import extract_cohort
from radlib.papers.li2017.data import first_cohort
from radlib.papers.li2017.features import encode, feature_set, mixture_of
from radlib.papers.li2017.prediction import (
    SELECTION,
    Classifier,
    Fold,
    Table,
    folds_of,
    leave_one_out,
    number_chosen_inside,
    permutation_table,
    predict,
    readings,
    time_split,
)
from radlib.papers.li2017.recipes import Setting
from radlib.papers.li2017.training import tumour_network
from radlib.phantom.planted import planted_traits
from radlib.stats.classification import Predictions, evaluate
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE
from radlib.study.cohorts import Source
from radlib.study.jobs import Job, job
from radlib.study.store import Work

#: Schemes of testing, as tables call them.
LEAVE_ONE_OUT, FOLDS = "leave-one-out", "folds"
#: Under which each arm is run.
PROTOCOLS = (AS_PUBLISHED, LEAKAGE_FREE)

# Features


@job
def radiomics(work: Work, *, setting: Setting) -> None:
    """The 671 conventional features of FLAIR within the outlines (preset ``li671``), a row a patient."""
    out = work.checkpoints("radiomics") / "li671.parquet"
    found = extract_cohort(setting.known(), preset="li671", out=out)
    work.table("features", found.features.rename_axis("subject").reset_index())


@job
def planted(work: Work, *, setting: Setting) -> None:
    """The planted traits of simulated patients, on which IDH acts in an image."""
    work.table("features", planted_traits(setting.known()).rename_axis("subject").reset_index())


@job
def without_effect(work: Work, *, features: Job, layer: str, hospital: Source) -> None:
    """Fisher vectors of patients in whom IDH does nothing to an image, by the same network and dictionary.

    Args:
        work: keeps them as a job ``features`` does, and the labels in its notes (``mutant``).
        features: of both modalities, first cohort.
        layer: whose.
        hospital: the simulated cohort without an effect; its patients with both modalities are taken.
    """
    trained, setting = features.inputs["trained"], features.inputs["setting"]
    model, cohort = tumour_network(trained.result()), hospital.open()
    ids = first_cohort(cohort)
    store = replace(setting.images, source=hospital).open(tuple(ids))
    arms = {layer: (layer, mixture_of(features.result(), layer))}
    sets, _ = encode(model, store, ids, arms=arms, encoding=features.inputs["encoding"], seed=setting.seed)
    work.arrays(f"vectors_{layer}", {"values": sets[layer].values})
    mutant = (cohort.participants.loc[ids, "idh"] == "mutant").tolist()
    work.note(ids=ids, components=sets[layer].components, mutant=mutant)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Features of some patients, put to the question.

    Attributes:
        setting, n_encoder: who belongs to which cohort.
        features: the job that leaves them.
        layer: of Fisher vectors; empty for a table.
        cohort: the paper's first or second cohort, or all patients of the job with labels of its own.
    """

    setting: Setting
    n_encoder: int
    features: Job
    layer: str = ""
    cohort: Literal["first", "second", "own"] = "first"

    def labels(self) -> pd.Series:
        """Whether a patient is mutant, by patient."""
        if self.cohort == "own":
            notes = self.features.result().notes
            return pd.Series(notes["mutant"], index=notes["ids"])
        who = self.setting.patients(n_encoder=self.n_encoder)
        ids = list(who.first if self.cohort == "first" else who.second)
        return (self.setting.known().participants["idh"] == "mutant")[ids]

    def table(self) -> Table:
        """Features and labels; a gap is the feature's median, which knows no labels, a feature without values 0."""
        truth, found = self.labels(), self.features.result()
        if self.layer:
            return Table(feature_set(found, self.layer).rows([str(one) for one in truth.index]), truth)
        values = found.table("features").set_index("subject").loc[truth.index]
        finite = values.where(np.isfinite(values))
        return Table(finite.fillna(finite.median()).fillna(0), truth)


# Predictions


def schemes(truth: npt.NDArray[np.bool_], *, n_folds: int, seed: int, run: int) -> dict[str, list[Fold]]:
    """Leave-one-out, as the paper tests, and folds that are others in every run."""
    return {
        LEAVE_ONE_OUT: leave_one_out(len(truth)), FOLDS: folds_of(truth, n_folds=n_folds, seed=seed, repeat=run)
    }  # fmt: skip


def prediction_rows(ids: Sequence[str], found: Predictions, **columns: str) -> pd.DataFrame:
    """Rows ``subject, truth, predicted, score`` of one run, and further columns as they are given."""
    assert found.score is not None
    return pd.DataFrame(
        {"subject": list(ids), "truth": found.truth, "predicted": found.predicted[0], "score": found.score[0]}
    ).assign(**columns)


@job
def predictions(work: Work, *, asked: Asked, classifier: Classifier, n_folds: int, run: int) -> None:
    """Both protocols, by leave-one-out and by folds that are others in every run; ``kept`` counts selected features."""
    table, ids = asked.table(), list(asked.labels().index)
    parts, kept = [], []
    for protocol, selection in SELECTION.items():
        for scheme, split in schemes(table.truth, n_folds=n_folds, seed=asked.setting.seed, run=run).items():
            (found,), counts = predict(table, split, classifier, selection=selection)
            parts.append(prediction_rows(ids, found, scheme=scheme, protocol=protocol))
            kept.append(pd.DataFrame({"scheme": scheme, "protocol": protocol, "features": counts}))
    work.scores(pd.concat(parts))
    work.table("kept", pd.concat(kept))


def _best_outside(table: Table, classifier: Classifier, numbers: Sequence[int]) -> tuple[int, list[Predictions]]:
    """The place of the best of several numbers of features, as one sees it who tries them all, and what each gives."""
    tried, _ = predict(table, leave_one_out(len(table.truth)), classifier, selection="outside", numbers=numbers)
    return int(np.argmax([evaluate(found, n_boot=1)["auc"].value for found in tried])), tried


@job
def further_selection(work: Work, *, asked: Asked, classifier: Classifier, numbers: tuple[int, ...]) -> None:
    """The best so many features by F-score, leave-one-out.

    As published, the number is the one with the best result. Leakage-free, each training set chooses it by inner folds
    (``chosen``). ``curve`` has the AUC over the number under both protocols.
    """
    table, ids = asked.table(), list(asked.labels().index)
    folds = leave_one_out(len(ids))
    best, tried = _best_outside(table, classifier, numbers)
    clean, _ = predict(table, folds, classifier, selection="inside", numbers=numbers)
    inside, chosen = number_chosen_inside(table, folds, classifier, numbers, seed=asked.setting.seed)
    both = {AS_PUBLISHED: tried[best], LEAKAGE_FREE: inside}
    work.scores(pd.concat(
        prediction_rows(ids, found, scheme=LEAVE_ONE_OUT, protocol=protocol) for protocol, found in both.items()
    ))  # fmt: skip
    work.table("curve", pd.DataFrame([
        {"features": k, "protocol": protocol, **evaluate(found, n_boot=1)["auc"].as_dict()}
        for protocol, runs in ((AS_PUBLISHED, tried), (LEAKAGE_FREE, clean))
        for k, found in zip(numbers, runs, strict=True)
    ]))  # fmt: skip
    work.table("chosen", pd.DataFrame({"features": chosen}))


def late_patients(asked: Asked) -> tuple[list[str], list[str]]:
    """Training and test patients of the split by time of diagnosis, of the paper's size."""
    sizes = [
        (status, int(published(f"li2017.text.test_by_time.{name}").value))
        for status, name in (("mutant", "mutation"), ("wildtype", "wildtype"))
    ]
    people = asked.setting.known().participants.loc[asked.labels().index]
    return time_split(people, test=sizes, seed=asked.setting.seed)


@job
def by_time(work: Work, *, asked: Asked, classifier: Classifier, numbers: tuple[int, ...], n_splits: int) -> None:
    """Trained on patients diagnosed early, tested on the later ones, with further selection (Table 2c).

    As published the features, and how many, were chosen on all patients, those tested included. ``draws`` has the
    leakage-free AUC and accuracy of ``n_splits`` random splits of the same size.
    """
    table, ids, seed = asked.table(), list(asked.labels().index), asked.setting.seed
    place = {subject: row for row, subject in enumerate(ids)}
    train, late = (np.array([place[one] for one in side], dtype=np.intp) for side in late_patients(asked))
    best, _ = _best_outside(table, classifier, numbers)
    chosen = replace(classifier, n_selected=numbers[best])
    (first,), _ = predict(table, [(train, late)], chosen, selection="outside")
    second, _ = number_chosen_inside(table, [(train, late)], classifier, numbers, seed=seed)
    tested = [ids[number] for number in sorted(late)]
    work.scores(pd.concat(
        prediction_rows(tested, found, scheme="split", protocol=protocol)
        for protocol, found in ((AS_PUBLISHED, first), (LEAKAGE_FREE, second))
    ))  # fmt: skip
    rows = []
    for number in range(n_splits):
        generator = np.random.default_rng(named_seed(seed, "split", number))
        test = np.sort(np.concatenate([
            generator.permutation(np.flatnonzero(table.truth == status))[: int((table.truth[late] == status).sum())]
            for status in (True, False)
        ]))  # fmt: skip
        (found,), _ = predict(table, [(np.setdiff1d(np.arange(len(ids)), test), test)], classifier, selection="inside")
        result = evaluate(found, n_boot=1)
        rows.append({"split": number, "auc": result["auc"].value, "accuracy": result["accuracy"].value})
    work.table("draws", pd.DataFrame(rows, columns=["split", "auc", "accuracy"]))


@job
def shuffled(
    work: Work, *, asked: Asked, classifier: Classifier, permutations: int, n_folds: int, few: int, one_by_one: int
) -> None:
    """Every reading of the paper's selection on the labels as they are and on shuffled ones.

    By ``n_folds`` folds, and for the labels as they are and ``one_by_one`` shuffles also by leave-one-out, which is
    what the paper does and takes longer.
    """
    table, every, seed = asked.table(), readings(classifier, few=few), asked.setting.seed
    work.scores(pd.concat([
        permutation_table(table, every, permutations=permutations, n_folds=n_folds, seed=seed).assign(scheme=FOLDS),
        permutation_table(table, every, permutations=one_by_one, n_folds=0, seed=seed).assign(scheme=LEAVE_ONE_OUT),
    ]))  # fmt: skip


#: Rules without features of an image, and the columns that they take.
RULES: dict[str, tuple[str, ...]] = {
    "age": ("age",), "age, sex, volume": ("age", "male", "volume"), "grade": ("grade",),
    "age, grade": ("age", "grade"), "1p/19q": ("codel",),
}  # fmt: skip


@job
def controls(work: Work, *, asked: Asked, volumes: Job, n_folds: int, run: int) -> None:
    """Logistic regression on :data:`RULES` (``model``), on the same patients, by leave-one-out and by folds.

    A rule whose columns are unknown for most patients, or the same for all of them, is left out. A gap is the median
    of the training patients.
    """
    truth = asked.labels()
    people, ids = asked.setting.known().participants.loc[truth.index], list(truth.index)
    volume = volumes.result().table("features").set_index("subject")["morphology_volume_voxel_counting"]
    numbers = pd.DataFrame(
        {
            "age": people["age"].astype(float), "male": (people["sex"] == "M").astype(float),
            "volume": volume[truth.index], "grade": people["grade"].astype(float),
            "codel": people["codel_1p19q"].map({"codel": 1.0, "non-codel": 0.0}).astype(float),
        },
        index=truth.index,
    )  # fmt: skip
    labels = truth.to_numpy(dtype=bool)
    told = [name for name in numbers if numbers[name].nunique() > 1 and numbers[name].notna().mean() > 0.5]
    parts = []
    for name, columns in RULES.items():
        if not set(columns) <= set(told):
            continue
        values = numbers[list(columns)].to_numpy(dtype=float)
        for scheme, split in schemes(labels, n_folds=n_folds, seed=asked.setting.seed, run=run).items():
            score = np.zeros(len(labels))
            for train, test in split:
                rule = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression())
                score[test] = rule.fit(values[train], labels[train]).decision_function(values[test])
            found = Predictions.of(labels, score > 0, score=score)
            parts.append(prediction_rows(ids, found, scheme=scheme, protocol=CONTROL, model=name))
    work.scores(pd.concat(parts))
