"""External validation: models of a table fitted on some sites, collections or cohorts and tested on another.

Whatever runs in folds runs here too, with :class:`radlib.stats.protocols.LeaveGroupOutFolds`. What differs is how
the result is read: a group at a time, because scores of models of different training sets are not comparable, and
beside a description of the shift between the groups.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from radlib.core.errors import RadlibError
from radlib.data.persons import refuse_shared
from radlib.stats.binary import SVM, Question, Recipe, Results, folds_for, predictions_of, run_controls
from radlib.stats.calibration import calibration_fit
from radlib.stats.classification import Predictions, evaluate
from radlib.stats.intervals import Estimate
from radlib.stats.protocols import (
    EXTERNAL,
    LEAKAGE_FREE,
    LeaveGroupOutFolds,
    out_of_fold,
)
from radlib.stats.tabular import TableCleaner

FEWEST = 10
"""Patients that a group needs to be tested alone; smaller sites are tested together."""


def pooled_groups(groups: pd.Series, *, fewest: int = FEWEST, name: str = "other sites") -> pd.Series:
    """Groups with fewer than ``fewest`` patients, or without a name, become one."""
    known = groups.fillna(name).astype(str)
    small = known.map(known.value_counts()) < fewest
    return known.mask(small, name)


def joined(questions: Mapping[str, Question], *, name: str) -> tuple[Question, pd.Series]:
    """Several cohorts as one question, with the features that all have, and which cohort each patient is of.

    Raises:
        RadlibError: if the cohorts share no feature, or a patient is in two of them.
    """
    shared = list(next(iter(questions.values())).features.columns)
    for question in questions.values():
        shared = [feature for feature in shared if feature in question.features]
    if not shared:
        raise RadlibError(
            f"the cohorts {', '.join(questions)} share no feature", remedy="extract the same preset for each of them"
        )
    features = pd.concat([question.features[shared] for question in questions.values()])
    if features.index.has_duplicates:
        twice = features.index[features.index.duplicated()][0]
        raise RadlibError(f"patient {twice!r} is in two cohorts", remedy="leave the patient out of one of them")
    clinical = pd.concat([question.clinical for question in questions.values()])
    truth = pd.concat([question.truth for question in questions.values()])
    of = pd.Series(
        np.repeat(list(questions), [len(question) for question in questions.values()]),
        index=features.index,
        name="cohort",
    )
    return Question(name=name, features=features, truth=truth, clinical=clinical), of


def validate(question: Question, groups: pd.Series, recipe: Recipe, *, n_repeats: int = 5) -> Results:
    """The radiomics SVM and the clinical rules, tested on groups that trained nothing, and in ordinary folds.

    Returns:
        ``(EXTERNAL, SVM)``, ``(LEAKAGE_FREE, SVM)`` (five folds of all patients, each group both trained and tested)
        and ``(CONTROL, rule)`` (fitted on the other groups).

    Raises:
        RadlibError: if there are fewer than two groups, the others of some group have one class only, or a person
            (column ``person`` of the clinical table) stands in two groups.
    """
    splitter = LeaveGroupOutFolds(groups=groups)
    for group in sorted(set(groups)):
        members = (groups == group).to_numpy()
        refuse_shared(question.clinical[~members], question.clinical[members])
        counts = question.truth[groups != group].value_counts()
        if len(counts) < 2 or counts.min() < 2:
            raise RadlibError(
                f"without {group!r} fewer than two patients of a class are left to train on",
                remedy="join small groups, or take another division",
            )
    run = out_of_fold(
        question.features,
        question.truth,
        models={SVM: recipe.with_probabilities(recipe.whole())},
        splitter=splitter,
        protocol=EXTERNAL,
    )
    inside = out_of_fold(
        question.features,
        question.truth,
        models={SVM: recipe.with_probabilities(recipe.whole())},
        splitter=folds_for(question, n_folds=5, n_repeats=n_repeats, seed=recipe.seed),
    )
    order = question.truth.index
    return {
        (EXTERNAL, SVM): predictions_of(run, EXTERNAL, SVM, order=order),
        (LEAKAGE_FREE, SVM): predictions_of(inside, LEAKAGE_FREE, SVM, order=order),
        **run_controls(question, splitter),
    }


def by_group(results: Results, groups: pd.Series, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Every model in every group.

    Returns:
        One row a protocol, model, group and metric (``auc``, ``accuracy``, ``brier``, and of models with
        probabilities ``slope`` and ``in the large`` of the calibration): ``value``, ``low``, ``high``, ``n``. NaN where
        a metric is not defined, such as the AUC of a group with one class.
    """
    rows = []
    for (protocol, model), found in results.items():
        for group in sorted(set(groups)):
            part = found.subset((groups == group).to_numpy())
            metrics = {
                k: v for k, v in evaluate(part, n_boot=n_boot, seed=seed).items() if k in ("auc", "accuracy", "brier")
            }
            metrics |= _calibration(part)
            for metric, estimate in metrics.items():
                rows.append(
                    {"protocol": protocol, "model": model, "group": group, "metric": metric, **estimate.as_dict()}
                )
    return pd.DataFrame(rows)


def _calibration(part: Predictions) -> dict[str, Estimate]:
    if part.probability is None or part.truth.all() or not part.truth.any():
        return {}
    fit = calibration_fit(part.truth, part.probability)
    return {"slope": fit.slope, "in the large": fit.in_the_large}


def balance(question: Question, groups: pd.Series) -> pd.DataFrame:
    """Patients, share of the positive class and age of every group."""
    rows = []
    for group in sorted(set(groups)):
        members = (groups == group).to_numpy()
        age = question.clinical["age"][members].astype(float) if "age" in question.clinical else pd.Series(dtype=float)
        rows.append({
            "group": group, "patients": int(members.sum()), "positive": int(question.truth[members].sum()),
            "share": float(question.truth[members].mean()), "age, mean": age.mean(), "age, SD": age.std(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def shift(question: Question, groups: pd.Series) -> pd.DataFrame:
    """How each feature of each group differs from the other groups.

    Returns:
        One row a group and feature: ``smd`` (difference of means over the pooled standard deviation), ``ks`` (largest
        distance of the distribution functions, 0 to 1), ``p`` of Kolmogorov-Smirnov, and ``missing`` and ``missing
        elsewhere`` (shares). Features without values on one side are NaN.
    """
    rows = []
    for group in sorted(set(groups)):
        members = (groups == group).to_numpy()
        for feature in question.features:
            values = question.features[feature].astype(float)
            here, there = values[members].dropna(), values[~members].dropna()
            row = {"group": group, "feature": feature, "smd": np.nan, "ks": np.nan, "p": np.nan,
                   "missing": float(values[members].isna().mean()),
                   "missing elsewhere": float(values[~members].isna().mean())}  # fmt: skip
            if len(here) > 1 and len(there) > 1:
                spread = np.sqrt((here.var() + there.var()) / 2)
                row["smd"] = float((here.mean() - there.mean()) / spread) if spread > 0 else 0.0
                test = stats.ks_2samp(here, there)
                row |= {"ks": float(test.statistic), "p": float(test.pvalue)}
            rows.append(row)
    return pd.DataFrame(rows)


def shift_summary(found: pd.DataFrame, *, alpha: float = 0.05) -> pd.DataFrame:
    """:func:`shift` in a line a group: median and largest absolute difference, features that differ after Holm."""
    rows = []
    for group, part in found.groupby("group", sort=False):
        p = np.sort(part["p"].dropna().to_numpy())
        passed = p <= alpha / np.arange(len(p), 0, -1)
        size = part.set_index("feature")["smd"].abs().dropna()
        rows.append({
            "group": group, "features": len(part), "median |SMD|": size.median(),
            "largest |SMD|": size.max() if len(size) else np.nan, "of": size.idxmax() if len(size) else "",
            "differ (Holm)": int(np.cumprod(passed).sum()),
        })  # fmt: skip
    return pd.DataFrame(rows)


def domain_auc(question: Question, groups: pd.Series, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """How well features tell a group from the others: an AUC of 0.5 is no shift that a linear model sees."""
    rows = []
    for group in sorted(set(groups)):
        asked = question.relabelled(groups == group)
        model = Pipeline([("clean", TableCleaner()), ("model", LogisticRegression(C=0.1, max_iter=1000))])
        run = out_of_fold(
            asked.features, asked.truth, models={"domain": model},
            splitter=folds_for(asked, n_folds=5, n_repeats=1, seed=seed),
        )  # fmt: skip
        found = evaluate(predictions_of(run, LEAKAGE_FREE, "domain", order=asked.truth.index), n_boot=n_boot, seed=seed)
        rows.append({"group": group, **found["auc"].as_dict()})
    return pd.DataFrame(rows)
