"""Three protocols for every prediction: as published, leakage-free, and controls; and external validation.

A *preparation* (imputation, scaling, selection) is fitted, then one or more *models* are fitted on what it gives.
The protocols differ in what they may see:

``as published``
    The preparation is fitted on **all** subjects with their labels, only the models are cross-validated: the literal
    reading of papers that select features once and then report folds.
``leakage-free``
    Preparation and models are fitted inside the training folds; nothing of a test subject is ever seen.
``control``
    The majority class and a clinical rule, fitted inside the same folds.
``external``
    Leakage-free, and the test patients come from where no training patient does: another site, collection or cohort
    (:class:`LeaveGroupOutFolds`, :mod:`radlib.stats.external`).
``permuted labels``
    The leakage-free protocol on labels shuffled between subjects: it has to find chance.
``as published, permuted labels``
    The published protocol on shuffled labels: whatever it finds above chance comes from the protocol.

Intervals. Repeated folds reuse the same subjects, so their results are not independent and a t interval over folds
is far too narrow. The book resamples **patients**, each with all its out-of-fold predictions, and averages the
statistic over the repeats (:func:`radlib.stats.intervals.bootstrap`). That holds the fitted models fixed: it
speaks of other patients under the models at hand, not of other training sets.
:func:`radlib.stats.intervals.corrected_resampled_interval` is a second view, the interval of Nadeau and Bengio (Machine
Learning 52, 2003, section 3) over fold results, which allows for the training sets but trusts a t distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import Pipeline

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import named_seed, rng
from radlib.data.splits import Labels, Split, k_fold, leave_one_group_out, leave_one_out

AS_PUBLISHED = "as published"
LEAKAGE_FREE = "leakage-free"
CONTROL = "control"
EXTERNAL = "external"
PERMUTED = "permuted labels"
PUBLISHED_PERMUTED = "as published, permuted labels"
PROTOCOLS = (AS_PUBLISHED, LEAKAGE_FREE, CONTROL, EXTERNAL, PERMUTED, PUBLISHED_PERMUTED)

IntArray = npt.NDArray[np.intp]


class Splitter(Protocol):
    """Gives the folds of one repeat."""

    @property
    def n_repeats(self) -> int:
        """How often the folds are drawn anew."""
        ...

    def folds(self, subjects: Sequence[str], strata: Labels | None, *, repeat: int) -> list[Split]:
        """The folds of one repeat; any ``repeat`` from 0 on has folds of its own."""
        ...


@dataclass(frozen=True, kw_only=True)
class RepeatedFolds:
    """K folds of subjects, shuffled anew in every repeat (:func:`radlib.data.splits.k_fold`).

    Attributes:
        n_folds: folds of one repeat, at least 2.
        n_repeats: repeats, at least 1.
        seed: seed of the shuffles; repeat ``r`` has the same folds whatever ``n_repeats`` is.
        stratify: give every fold about the same share of every stratum.
        groups: a label for each subject, e.g. its site; the subjects of a group are never parted.
    """

    n_folds: int = 4
    n_repeats: int = 10
    seed: int = 0
    stratify: bool = True
    groups: Labels | None = None

    def __post_init__(self) -> None:
        if self.n_repeats < 1:
            raise RadlibError(f"n_repeats is {self.n_repeats}", remedy="repeat at least once")

    def folds(self, subjects: Sequence[str], strata: Labels | None, *, repeat: int) -> list[Split]:
        """The folds of one repeat.

        Raises:
            RadlibError: if the folds cannot be filled.
        """
        return k_fold(
            subjects,
            n_folds=self.n_folds,
            seed=named_seed(self.seed, "repeat", repeat),
            stratify=strata if self.stratify else None,
            groups=self.groups,
        )


@dataclass(frozen=True, kw_only=True)
class LeaveOneOutFolds:
    """Every subject is the test set once; a repeat would be the same."""

    n_repeats: int = field(default=1, init=False)

    def folds(self, subjects: Sequence[str], strata: Labels | None, *, repeat: int) -> list[Split]:
        """The folds: one a subject."""
        return leave_one_out(subjects)


@dataclass(frozen=True, kw_only=True)
class LeaveGroupOutFolds:
    """External validation: all patients of a group are the test set, those of the other groups train.

    With the sites of one cohort as groups this is *internal-external* validation (Steyerberg and Harrell 2016, J Clin
    Epidemiol 69:245); with two cohorts as groups, the external validation of each by the other.

    Attributes:
        groups: a label for each subject.
    """

    groups: Labels
    n_repeats: int = field(default=1, init=False)

    def folds(self, subjects: Sequence[str], strata: Labels | None, *, repeat: int) -> list[Split]:
        """The folds: one a group, in the order of their names."""
        return leave_one_group_out(subjects, groups=self.groups)


@dataclass(frozen=True)
class ProtocolRun:
    """What one or more protocols predicted.

    Attributes:
        predictions: one row a prediction of a test subject: ``protocol``, ``model``, ``repeat``, ``fold``,
            ``subject``, ``true``, ``predicted``; for classifiers also ``score`` and ``probability`` (binary, of the
            last class in sorted order) or ``score_<class>`` and ``probability_<class>``, NaN where a model gives none.
        selected: one row a selected feature: ``protocol``, ``repeat``, ``fold``, ``feature``. Where the selection saw
            all subjects ``fold`` is -1, and ``repeat`` too unless one repeat was run alone (a permutation).
    """

    predictions: pd.DataFrame
    selected: pd.DataFrame

    def of(self, protocol: str, model: str | None = None) -> pd.DataFrame:
        """The predictions of one protocol (and model).

        Raises:
            RadlibError: if there are none, naming those there are.
        """
        rows = self.predictions["protocol"] == protocol
        if model is not None:
            rows &= self.predictions["model"] == model
        if not rows.any():
            there = self.predictions[["protocol", "model"]].drop_duplicates().agg(": ".join, axis=1).tolist()
            raise RadlibError(f"no predictions of {protocol!r}, {model!r}", remedy=f"choose from {there}")
        return self.predictions[rows]

    def __add__(self, other: ProtocolRun) -> ProtocolRun:
        return ProtocolRun(
            pd.concat([self.predictions, other.predictions], ignore_index=True),
            pd.concat([self.selected, other.selected], ignore_index=True),
        )


def out_of_fold(
    X: pd.DataFrame,
    y: pd.Series,
    *,
    models: Mapping[str, BaseEstimator],
    splitter: Splitter,
    preparation: Pipeline | None = None,
    outside: Sequence[str] = (),
    protocol: str = LEAKAGE_FREE,
    strata: pd.Series | None = None,
    fit_on: npt.ArrayLike | None = None,
    repeats: Sequence[int] | None = None,
) -> ProtocolRun:
    """Predict every subject from models that did not see it.

    Args:
        X: (subjects, features), the index names the subjects; may hold NaN if the preparation imputes.
        y: (subjects,) classes or numbers, on the same index.
        models: name -> estimator, each fitted on what the preparation gives.
        splitter: the folds.
        preparation: the pipeline that imputes, scales, selects; None passes ``X`` on.
        outside: the leading steps of the preparation that are fitted on *all* subjects before the split, which
            leaks. Empty is leakage-free.
        protocol: the name that the results carry.
        strata: what the folds are balanced by; by default the classes; numbers are not stratified.
        fit_on: (subjects,) booleans; subjects with False are predicted, but train nothing.
        repeats: which repeats to run; by default all of the splitter's.

    Returns:
        The predictions and, where a preparation names its output, the selected features.

    Raises:
        RadlibError: if the indices differ, a subject appears twice, ``outside`` is not a leading part of the
            preparation, or a training fold has one class only.
    """
    _check_input(X, y)
    trains = np.ones(len(y), dtype=bool) if fit_on is None else np.asarray(fit_on, dtype=bool)
    if trains.shape != (len(y),):
        raise RadlibError(f"fit_on has shape {trains.shape}", remedy=f"give {len(y)} booleans, one a subject")
    before, within = _part(preparation, outside)
    subjects = [str(subject) for subject in y.index]
    labels = list(y if strata is None else strata.loc[y.index])
    if strata is None and not any(is_classifier(model) for model in models.values()):
        labels = [0] * len(y)  # numbers are no strata
    features: pd.DataFrame | npt.NDArray[Any] = X
    selected: list[pd.DataFrame] = []
    if before is not None:
        fitted = clone(before).fit(X[trains], y[trains])
        features = fitted.transform(X)
        if within is None:
            only = repeats[0] if repeats is not None and len(repeats) == 1 else -1
            selected.append(_selected(fitted, protocol, only, -1))
        elif not isinstance(features, pd.DataFrame):
            features = pd.DataFrame(features, index=X.index, columns=fitted.get_feature_names_out())
    rows: list[pd.DataFrame] = []
    for repeat in range(splitter.n_repeats) if repeats is None else repeats:
        for fold, split in enumerate(splitter.folds(subjects, labels, repeat=repeat)):
            train, test = split.indices(subjects)
            train = train[trains[train]]
            _check_fold(y.iloc[train], models, repeat, fold)
            a, b = _rows(features, train), _rows(features, test)
            if within is not None:
                fitted = clone(within).fit(a, y.iloc[train])
                a, b = fitted.transform(a), fitted.transform(b)
                selected.append(_selected(fitted, protocol, repeat, fold))
            for name, model in models.items():
                done = clone(model).fit(a, y.iloc[train])
                frame = _predict(done, b, y.iloc[test])
                frame.insert(0, "protocol", protocol)
                frame.insert(1, "model", name)
                frame.insert(2, "repeat", repeat)
                frame.insert(3, "fold", fold)
                rows.append(frame)
    return ProtocolRun(pd.concat(rows, ignore_index=True), pd.concat([_no_selection(), *selected], ignore_index=True))


def three_protocols(
    X: pd.DataFrame,
    y: pd.Series,
    *,
    models: Mapping[str, BaseEstimator],
    preparation: Pipeline,
    splitter: Splitter,
    clinical: pd.DataFrame | None = None,
    rules: Mapping[str, BaseEstimator] | None = None,
    n_permutations: int = 20,
    strata: pd.Series | None = None,
    fit_on: npt.ArrayLike | None = None,
    seed: int = 0,
) -> ProtocolRun:
    """Run the same models as published, leakage-free, and beside their controls (see the module's first lines).

    As published, the whole preparation is fitted before the split.

    Args:
        X, y, models, preparation, splitter, strata, fit_on: as in :func:`out_of_fold`.
        clinical: (subjects, columns) what the rules see, on the index of ``X``.
        rules: name -> estimator, the obvious clinical rules, fitted on ``clinical`` inside the folds.
        n_permutations: times that the labels are shuffled, once over all folds each; 0 leaves those controls out.
        seed: seed of the shuffles.

    Returns:
        All predictions. In the permuted protocols ``repeat`` counts permutations and ``true`` is the shuffled label.
    """
    steps = [name for name, _ in preparation.steps]
    run = out_of_fold(
        X, y, models=models, preparation=preparation, outside=steps, protocol=AS_PUBLISHED,
        strata=strata, fit_on=fit_on, splitter=splitter,
    )  # fmt: skip
    for repeat in track(range(splitter.n_repeats), description="leakage-free repeats"):
        run += out_of_fold(
            X, y, models=models, preparation=preparation, strata=strata, fit_on=fit_on, repeats=[repeat],
            splitter=splitter,
        )  # fmt: skip
    classes = all(is_classifier(model) for model in models.values())
    majority = DummyClassifier(strategy="most_frequent") if classes else DummyRegressor(strategy="mean")
    rest: dict[str, Any] = {"protocol": CONTROL, "strata": strata, "fit_on": fit_on, "splitter": splitter}
    run += out_of_fold(X, y, models={"majority class" if classes else "mean": majority}, **rest)
    if rules:
        if clinical is None:
            raise RadlibError("there are rules and no clinical table", remedy="give clinical=, what the rules see")
        run += out_of_fold(clinical.loc[X.index], y, models=rules, **rest)
    for permutation in track(range(n_permutations), description="permutations"):
        order = permutation_order(len(y), permutation=permutation, seed=seed)
        shuffled = pd.Series(y.to_numpy()[order], index=y.index, name=y.name)
        moved: dict[str, Any] = {
            "models": models,
            "preparation": preparation,
            # Everything that goes with the label moves with it.
            "strata": None if strata is None else pd.Series(strata.loc[y.index].to_numpy()[order], index=y.index),
            "fit_on": None if fit_on is None else np.asarray(fit_on, dtype=bool)[order],
        }
        run += out_of_fold(X, shuffled, splitter=splitter, repeats=[permutation], protocol=PERMUTED, **moved)
        run += out_of_fold(
            X, shuffled, splitter=splitter, repeats=[permutation], protocol=PUBLISHED_PERMUTED, outside=steps, **moved
        )  # fmt: skip
    return run


def permutation_order(n: int, *, permutation: int, seed: int = 0) -> IntArray:
    """Whose label each of ``n`` subjects gets in one permutation of :func:`three_protocols`."""
    return rng(seed, "permutation", permutation).permutation(n)


def _check_input(X: pd.DataFrame, y: pd.Series) -> None:
    if not X.index.equals(y.index):
        raise RadlibError(
            f"features of {len(X)} subjects and labels of {len(y)} do not share one index",
            remedy="align them first: y = y.loc[X.index]",
        )
    if not X.index.is_unique:
        twice = X.index[X.index.duplicated()][0]
        raise RadlibError(f"subject {twice!r} has more than one row", remedy="give one row a subject")
    if y.isna().any():
        raise RadlibError(
            f"{int(y.isna().sum())} subjects have no label, e.g. {y.index[y.isna()][0]!r}",
            remedy="leave subjects without a label out, and say how many",
        )


def _part(preparation: Pipeline | None, outside: Sequence[str]) -> tuple[Pipeline | None, Pipeline | None]:
    """The steps fitted before the split and those fitted within."""
    if preparation is None:
        if outside:
            raise RadlibError(f"there is no preparation to take {list(outside)} out of")
        return None, None
    names = [name for name, _ in preparation.steps]
    k = len(outside)
    if names[:k] != list(outside):
        raise RadlibError(
            f"{list(outside)} is no leading part of the preparation's steps {names}",
            remedy="name the steps fitted before the split in order, from the first",
        )
    return (preparation[:k] if k else None), (preparation[k:] if k < len(names) else None)


def _check_fold(y: pd.Series, models: Mapping[str, BaseEstimator], repeat: int, fold: int) -> None:
    if len(y) == 0:
        raise RadlibError(f"no subject is left to train on in repeat {repeat}, fold {fold}", remedy="use fewer folds")
    if any(is_classifier(model) for model in models.values()) and y.nunique() < 2:
        raise RadlibError(
            f"training fold {fold} of repeat {repeat} holds class {y.iloc[0]} only",
            remedy="stratify the folds or use fewer",
        )


def _rows(features: pd.DataFrame | npt.NDArray[Any], rows: IntArray) -> Any:
    return features.iloc[rows] if isinstance(features, pd.DataFrame) else features[rows]


def _no_selection() -> pd.DataFrame:
    return pd.DataFrame({"protocol": [], "repeat": [], "fold": [], "feature": []}).astype(
        {"protocol": object, "repeat": int, "fold": int, "feature": object}
    )


def _selected(fitted: Pipeline, protocol: str, repeat: int, fold: int) -> pd.DataFrame:
    names = np.asarray(fitted.get_feature_names_out(), dtype=object)
    frame = pd.DataFrame({"protocol": protocol, "repeat": repeat, "fold": fold, "feature": names})
    return frame.astype({"protocol": object, "feature": object})


def _predict(model: Any, X: Any, y: pd.Series) -> pd.DataFrame:
    frame = pd.DataFrame({"subject": y.index, "true": y.to_numpy(), "predicted": model.predict(X)})
    if not is_classifier(model):
        return frame
    classes = list(model.classes_)
    for column, method in (("score", "decision_function"), ("probability", "predict_proba")):
        if not hasattr(model, method):
            continue
        values = np.asarray(getattr(model, method)(X), dtype=float)
        if len(classes) == 2:
            frame[column] = values if values.ndim == 1 else values[:, 1]  # the second class is the positive one
        else:
            for k, name in enumerate(classes):
                frame[f"{column}_{name}"] = values[:, k]
    return frame
