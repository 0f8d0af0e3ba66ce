"""Islam 2020's survival by measures that respect censoring, and its protocol on many shuffles of the survival."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import clone

from radlib.core.progress import track
from radlib.data.splits import k_fold
from radlib.papers.islam2020 import radiogenomics as rg
from radlib.papers.islam2020.study_survival import Machines, Repeats, study_from
from radlib.stats.prognosis import NOBODY_KNOWN as NOBODY
from radlib.stats.prognosis import Floats, cox, kaplan_meier_only, prognosis_table, through_cox
from radlib.stats.protocols import AS_PUBLISHED, IntArray, out_of_fold, permutation_order
from radlib.study.cohorts import Source
from radlib.study.jobs import job
from radlib.study.store import Work

_INNER_FOLDS = 3


@job
def shuffled(
    work: Work, *, patients: Source, machines: Machines, repeats: Repeats, reading: rg.Reading, first: int, n: int
) -> None:
    """The fused SVM as published, on ``n`` shuffles of the survival between patients, from number ``first`` on.

    Days and death move together. The table ``accuracy`` has ``reading, permutation, accuracy`` (a share).
    """
    study = study_from(patients, machines)
    rows = []
    for number in track(range(first, first + n), description=f"shuffles, {reading}"):
        order = permutation_order(len(study), permutation=number, seed=repeats.seed)
        accuracy = _as_published(study, machines, repeats, reading, order, repeats=[number])
        rows.append({"reading": reading, "permutation": number, "accuracy": accuracy})
    work.table("accuracy", pd.DataFrame(rows))


@job
def as_published(work: Work, *, patients: Source, machines: Machines, repeats: Repeats, reading: rg.Reading) -> None:
    """The same on the patients' own survival, over all repeats of the folds; ``permutation`` is -1."""
    study = study_from(patients, machines)
    accuracy = _as_published(study, machines, repeats, reading, np.arange(len(study)), repeats=None)
    work.table("accuracy", pd.DataFrame([{"reading": reading, "permutation": -1, "accuracy": accuracy}]))


def _as_published(
    study: rg.Study, machines: Machines, folds: Repeats, reading: rg.Reading, order: IntArray,
    *, repeats: Sequence[int] | None,
) -> float:  # fmt: skip
    """Share of right classes where patient ``i`` has the survival of patient ``order[i]``."""
    by_days = reading == "days"
    preparation = rg.fusion(
        study, n_radiomic=machines.n_radiomic, n_genomic=machines.n_genomic, reading=reading, C=machines.svm_c
    )
    model = rg.models(reading, n_radiomic=machines.n_radiomic, C=machines.svm_c)["SVM, fused"]
    classes = pd.Series(study.classes.to_numpy()[order], index=study.classes.index)
    target = pd.Series((study.days if by_days else study.classes).to_numpy()[order], index=classes.index)
    run = out_of_fold(
        study.X, target, models={"SVM, fused": model}, preparation=preparation, outside=["fuse"],
        splitter=folds.splitter, repeats=repeats, protocol=AS_PUBLISHED, strata=classes,
        fit_on=study.event.to_numpy()[order] == 1 if by_days and not machines.censored_as_deaths else None,
    ).predictions  # fmt: skip
    predicted = rg.as_classes(run, study)["predicted"] if by_days else run["predicted"]
    return float(np.mean(predicted.to_numpy() == classes.loc[run["subject"]].to_numpy()))


@job
def prognosis(work: Work, *, patients: Source, machines: Machines, repeats: Repeats) -> None:
    """Concordance by IPCW, integrated Brier score and AUC over time, leakage-free, by fold.

    The machines are the paper's support vector regressions of days, each read through a Cox regression on its own inner
    out-of-fold predictions, beside a Cox regression on age and the Kaplan-Meier curve of the training patients. The
    table ``prognosis`` is that of :func:`radlib.stats.prognosis.prognosis_table`.
    """
    study = study_from(patients, machines)
    models = {NOBODY: (study.X[["age"]], kaplan_meier_only()), "Cox, age": (study.X[["age"]], cox())}
    for arm in rg.ARMS:
        models[f"SVM, {arm}"] = (study.X, through_cox(_machine(study, machines, arm, seed=repeats.seed)))
    subjects = [str(subject) for subject in study.X.index]
    parts = []
    for repeat in track(range(repeats.n_repeats), description="prognosis"):
        splits = repeats.splitter.folds(subjects, study.classes, repeat=repeat)
        parts.append(prognosis_table(models, study.days, study.event, splits=splits).assign(repeat=repeat))
    work.table("prognosis", pd.concat(parts, ignore_index=True))


def _machine(study: rg.Study, machines: Machines, arm: str, *, seed: int):
    preparation = rg.fusion(
        study, n_radiomic=machines.n_radiomic, n_genomic=machines.n_genomic, reading="days", C=machines.svm_c
    )
    model = rg.models("days", n_radiomic=machines.n_radiomic, C=machines.svm_c)[f"SVM, {arm}"]

    def fitted(train: pd.DataFrame, days: Floats, died: np.ndarray, test: pd.DataFrame) -> Floats:
        table, target = train[died], days[died]  # a censored patient's days are not known
        prepared = clone(preparation).fit(table, target)
        machine = clone(model).fit(prepared.transform(table), target)
        return np.asarray(machine.predict(prepared.transform(test)), dtype=float)

    def predict(train: pd.DataFrame, days: Floats, died: np.ndarray, test: pd.DataFrame) -> tuple[Floats, Floats]:
        own = np.zeros(len(train))
        subjects = [str(subject) for subject in train.index]
        for split in k_fold(subjects, n_folds=_INNER_FOLDS, seed=seed, stratify=[bool(one) for one in died]):
            inner, outer = split.indices(subjects)
            own[outer] = fitted(train.iloc[inner], days[inner], died[inner], train.iloc[outer])
        return own, fitted(train, days, died, test)

    return predict
