"""The radiogenomic survival study of Islam 2020 (sections II-C and III-C3), under the three protocols.

Two readings of the paper are run, since it prints the error of predicted days and the accuracy of classes of what it
calls one model, and trains "regression models":

``days``
    Features are eliminated by a linear support vector regression of days; SVM or network predict days; the class is
    the one into which the predicted days fall.
``classes``
    Features are eliminated by a linear support vector classifier; SVM or network predict the class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectKBest, VarianceThreshold, f_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import Cohort
from radlib.stats.baselines import clinical_model
from radlib.stats.protocols import AS_PUBLISHED, ProtocolRun, Splitter, out_of_fold, three_protocols
from radlib.stats.selection import LinearRFE
from radlib.stats.survival import (
    LONG_ABOVE_DAYS,
    SHORT_BELOW_DAYS,
    ann_classifier,
    ann_regressor,
    days_to_class,
    survival_classes,
    svm_regressor,
)
from radlib.stats.tabular import linear_svm

Reading = Literal["days", "classes"]
ARMS = ("radiomic", "genomic", "fused")
AGE_RULE, MAJORITY = "age", "majority class"

PAPER_GENES = ("LRRC17", "LDLR", "EDNRA", "AHNAK2", "TMSL8", "SLIT1", "LDNRA")
"""Genes that section IV of Islam 2020 names. ``LDNRA`` is printed there and is no gene's symbol."""


@dataclass(frozen=True)
class Study:
    """The patients and tables of the study, on one index.

    Attributes:
        X: (patients, features): the radiomic features, then age, then the genes; NaN where a feature is missing.
        radiomic: names of the radiomic features, age among them (the paper counts it with them).
        genomic: names of the genes.
        days, event: follow-up in days, and 1 for a death.
        classes: 0 short, 1 medium, 2 long; known for everyone here.
        short_below, long_above: the limits, days.
        notes: who was left out, and why.
    """

    X: pd.DataFrame
    radiomic: tuple[str, ...]
    genomic: tuple[str, ...]
    days: pd.Series
    event: pd.Series
    classes: pd.Series
    short_below: float
    long_above: float
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.X)


def study_of(cohort: Cohort, *, short_below: float = SHORT_BELOW_DAYS, long_above: float = LONG_ABOVE_DAYS) -> Study:
    """The patients with radiomic features, expression, follow-up and a known survival class.

    Raises:
        MissingDataError: if the cohort has no radiomics, expression, survival or age, or no patient has them all.
    """
    cohort.require("radiomics", "expression", "survival_days", "event", "age")
    assert cohort.radiomics is not None
    assert cohort.expression is not None
    table = cohort.participants
    classes = survival_classes(table["survival_days"], table["event"], short_below=short_below, long_above=long_above)
    has = pd.DataFrame({
        "no radiomic features": cohort.radiomics.reindex(table.index).notna().any(axis=1),
        "no expression": cohort.expression.reindex(table.index).notna().all(axis=1),
        "no follow-up": table["survival_days"].notna() & table["event"].notna(),
        "censored before a class is known": classes.notna(),
    })  # fmt: skip
    keep = has.all(axis=1)
    notes = []
    left = pd.Series(True, index=table.index)
    for reason, fine in has.items():
        lost = int((left & ~fine).sum())
        if lost:
            notes.append(f"{lost} of {len(table)} patients left out: {reason}.")
        left &= fine
    if not keep.any():
        raise MissingDataError(
            f"no patient of cohort {cohort.name!r} has radiomics, expression and survival",
            file=cohort.root,
            remedy="use a cohort in which some patients have all three",
        )
    radiomics = cohort.radiomics.loc[keep[keep].index].astype(float)
    if "age" in radiomics:
        radiomics = radiomics.drop(columns="age")
    expression = cohort.expression.loc[radiomics.index].astype(float)
    if both := sorted(set(map(str, radiomics)) & set(map(str, expression))):
        raise RadlibError(f"{both[0]!r} is a radiomic feature and a gene", remedy="rename one of them")
    age = table.loc[radiomics.index, ["age"]].astype(float)
    return Study(
        X=pd.concat([radiomics, age, expression], axis=1),
        radiomic=(*radiomics.columns, "age"),
        genomic=tuple(expression.columns),
        days=table.loc[radiomics.index, "survival_days"].astype(float),
        event=table.loc[radiomics.index, "event"].astype(float),
        classes=classes[radiomics.index].astype(int),
        short_below=short_below,
        long_above=long_above,
        notes=tuple(notes),
    )


def fusion(
    study: Study, *, n_radiomic: int, n_genomic: int, reading: Reading, C: float = 1.0, ranking: str = "rfe"
) -> Pipeline:
    """The preparation: impute, drop constants, standardise and select in each table, then put both side by side.

    Args:
        study: gives the columns.
        n_radiomic, n_genomic: features kept of each; the fused model has both (8 + 43 = 51 in the paper).
        reading: what the eliminating machine predicts.
        C: its penalty.
        ranking: ``"rfe"``, or ``"f"`` for the F statistic of an analysis of variance between classes, feature by
            feature.
    """

    def branch(n: int) -> Pipeline:
        selector: BaseEstimator = LinearRFE(n, machine="svr" if reading == "days" else "ovo", C=C)
        if ranking == "f":
            selector = SelectKBest(f_classif, k=n)
        return Pipeline([
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("varies", VarianceThreshold()),
            ("scale", StandardScaler()),
            ("select", selector),
        ])  # fmt: skip

    union = ColumnTransformer(
        [("radiomic", branch(n_radiomic), list(study.radiomic)), ("genomic", branch(n_genomic), list(study.genomic))],
        verbose_feature_names_out=False,
    )
    return Pipeline([("fuse", union)])


def models(reading: Reading, *, n_radiomic: int, hidden: int = 6, C: float = 1.0, seed: int = 0) -> dict[str, Pipeline]:
    """SVM and network on the radiomic, the genomic and all of the columns that :func:`fusion` gives."""
    if reading == "days":
        machines = {"SVM": svm_regressor(C=C), "ANN": ann_regressor(hidden=hidden, seed=seed)}
    else:
        machines = {"SVM": linear_svm(C=C), "ANN": ann_classifier(hidden=hidden, seed=seed)}
    columns = {"radiomic": slice(0, n_radiomic), "genomic": slice(n_radiomic, None), "fused": slice(0, None)}
    return {
        f"{machine}, {arm}": Pipeline([
            ("columns", ColumnTransformer([("take", "passthrough", columns[arm])])),
            ("model", model),
        ])
        for machine, model in machines.items()
        for arm in ARMS
    }  # fmt: skip


def run_reading(
    study: Study,
    *,
    reading: Reading,
    splitter: Splitter,
    n_radiomic: int = 8,
    n_genomic: int = 43,
    C: float = 1.0,
    hidden: int = 6,
    censored_as_deaths: bool = False,
    n_permutations: int = 10,
    seed: int = 0,
) -> ProtocolRun:
    """One reading under all protocols; ``true`` and ``predicted`` are classes in both.

    In the reading ``days``, ``true_days`` and ``predicted_days`` hold the regression, and censored patients train
    nothing unless ``censored_as_deaths`` takes the last follow-up for the day of death.
    """
    by_days = reading == "days"
    deaths_only = by_days and not censored_as_deaths
    rule = Pipeline([("impute", SimpleImputer(strategy="median")), ("model", LinearRegression())])
    run = three_protocols(
        study.X,
        study.days if by_days else study.classes,
        models=models(reading, n_radiomic=n_radiomic, hidden=hidden, C=C, seed=seed),
        preparation=fusion(study, n_radiomic=n_radiomic, n_genomic=n_genomic, reading=reading, C=C),
        splitter=splitter,
        clinical=study.X[["age"]],
        rules={AGE_RULE: rule if by_days else clinical_model("age")},
        n_permutations=n_permutations,
        strata=study.classes,
        fit_on=study.event == 1 if deaths_only else None,
        seed=seed,
    )
    return ProtocolRun(as_classes(run.predictions, study) if by_days else run.predictions, run.selected)


def ranked_run(study: Study, *, splitter: Splitter, n_radiomic: int, n_genomic: int, C: float = 1.0) -> ProtocolRun:
    """The fused SVM classifier as published, with features ranked one by one (F statistic) instead of eliminated."""
    return out_of_fold(
        study.X,
        study.classes,
        models={"SVM, fused": linear_svm(C=C)},
        preparation=fusion(study, n_radiomic=n_radiomic, n_genomic=n_genomic, reading="classes", ranking="f"),
        outside=["fuse"],
        splitter=splitter,
        protocol=AS_PUBLISHED,
    )


def as_classes(rows: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Predicted days as classes; the days move to ``true_days`` and ``predicted_days``.

    The true class of a censored patient of the study is the class of the follow-up, since those with an unknown class
    are not in it.
    """
    limits = {"short_below": study.short_below, "long_above": study.long_above}
    return rows.assign(
        true_days=rows["true"],
        predicted_days=rows["predicted"],
        true=days_to_class(rows["true"], **limits),
        predicted=days_to_class(rows["predicted"], **limits),
    )


def days_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the reading ``days`` with days as ``true`` and ``predicted``, for errors and concordance."""
    return rows.assign(true=rows["true_days"], predicted=rows["predicted_days"])


def fit_on_all(
    study: Study, *, n_radiomic: int, n_genomic: int, C: float = 1.0, hidden: int = 6, seed: int = 0
) -> tuple[pd.DataFrame, Any, Any]:
    """The classification models on all patients, for the explanation of Figure 9 C.

    Returns:
        The (patients, selected features) standardised table, the fitted SVM and the fitted network.
    """
    prepared = fusion(study, n_radiomic=n_radiomic, n_genomic=n_genomic, reading="classes", C=C)
    values = prepared.fit_transform(study.X, study.classes)
    table = pd.DataFrame(values, index=study.X.index, columns=prepared.get_feature_names_out())
    target = study.classes.to_numpy()
    return (
        table,
        linear_svm(C=C).fit(table.to_numpy(), target),
        ann_classifier(hidden=hidden, seed=seed).fit(table.to_numpy(), target),
    )


@dataclass(frozen=True)
class PlantedSurvival:
    """What a simulated cohort's survival was made of.

    Attributes:
        genes: log survival time per standard deviation, for every gene that acts.
        clinical: log survival time per unit of the other variables that act.
        log_days: (patients,) log of the median survival that the structural model gives each patient: the best
            prediction there is.
        sigma: spread of log survival around it.
    """

    genes: pd.Series
    clinical: pd.Series
    log_days: pd.Series
    sigma: float


def planted_survival(truth: Path, ids: list[str]) -> PlantedSurvival:
    """Read the truth of a simulated cohort.

    Args:
        truth: the cohort's ``truth`` folder.
        ids: the patients wanted.
    """
    from radlib.phantom.equations import survival_covariates

    effects = json.loads((truth / "effects.json").read_text(encoding="utf-8"))
    latents = pd.read_csv(truth / "latents.tsv", sep="\t", index_col="id").loc[ids]
    model = effects["survival"]
    coefficients: Mapping[str, float] = model["log_time"]
    forms = survival_covariates(latents)
    genes = {name.removeprefix("gene:"): value for name, value in coefficients.items() if name.startswith("gene:")}
    clinical = {name: value for name, value in coefficients.items() if not name.startswith("gene:")}
    log_days = np.log(model["median_days"]) + sum(
        value * latents[f"gene:{name}"].astype(float) for name, value in genes.items()
    )
    for name, value in clinical.items():
        log_days = log_days + value * np.asarray(forms[name], dtype=float)
    return PlantedSurvival(
        pd.Series(genes, dtype=float),
        pd.Series(clinical, dtype=float),
        pd.Series(log_days, index=latents.index),
        float(model["sigma"]),
    )
