"""Three protocols for every prediction: as published, leakage-free, and controls.

A *preparation* (imputation, scaling, selection) is fitted, then one or more *models* are fitted on what it gives.
The protocols differ in what they may see:

``as published``
    The preparation is fitted on **all** subjects with their labels, only the models are cross-validated: the literal
    reading of papers that select features once and then report folds.
``leakage-free``
    Preparation and models are fitted inside the training folds; nothing of a test subject is ever seen.
``control``
    The majority class and a clinical rule, fitted inside the same folds.
``permuted labels``
    The leakage-free protocol on labels shuffled between subjects: it has to find chance.
``as published, permuted labels``
    The published protocol on shuffled labels: whatever it finds above chance comes from the protocol.

Intervals. Repeated folds reuse the same subjects, so their results are not independent and a t interval over folds
is far too narrow. The default here is the **patient bootstrap**: subjects are resampled with replacement, each with
all its out-of-fold predictions, and the statistic averages over the repeats. It holds the fitted models fixed, so it
speaks of other patients under the models at hand, not of other training sets. :func:`corrected_resampled_interval`
gives the interval of Nadeau and Bengio (Machine Learning 52, 2003, section 3) over fold results as a second view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import Pipeline

from radlib.core.errors import RadlibError
from radlib.core.progress import track
from radlib.core.seeds import named_seed, rng

AS_PUBLISHED = "as published"
LEAKAGE_FREE = "leakage-free"
CONTROL = "control"
PERMUTED = "permuted labels"
PUBLISHED_PERMUTED = "as published, permuted labels"
PROTOCOLS = (AS_PUBLISHED, LEAKAGE_FREE, CONTROL, PERMUTED, PUBLISHED_PERMUTED)

IntArray = npt.NDArray[np.intp]
FloatArray = npt.NDArray[np.float64]
Fold = tuple[IntArray, IntArray]


class Splitter(Protocol):
    """Gives the folds of one repeat. Rows are subjects, so folds never part one subject."""

    @property
    def n_repeats(self) -> int:
        """How often the folds are drawn anew."""
        ...

    def folds(self, strata: npt.ArrayLike, *, repeat: int) -> list[Fold]:
        """(train, test) row numbers of every fold of one repeat; any ``repeat`` from 0 on has folds of its own."""
        ...


@dataclass(frozen=True, kw_only=True)
class RepeatedFolds:
    """K folds, shuffled anew in every repeat.

    Attributes:
        n_folds: folds of one repeat, at least 2.
        n_repeats: repeats, at least 1.
        seed: seed of the shuffles; repeat ``r`` has the same folds whatever ``n_repeats`` is.
        stratify: give every fold about the same share of every stratum.
        groups: one label a row (site, or subject where rows are samples of a subject); a group is never parted.
    """

    n_folds: int = 4
    n_repeats: int = 10
    seed: int = 0
    stratify: bool = True
    groups: Sequence[Any] | None = None

    def folds(self, strata: npt.ArrayLike, *, repeat: int) -> list[Fold]:
        """(train, test) row numbers of every fold.

        Raises:
            RadlibError: if there are fewer rows, groups, or rows of a stratum than folds.
        """
        labels = np.asarray(strata)
        self._check(labels)
        state = named_seed(self.seed, "folds", repeat) % 2**32
        kind: Any
        if self.groups is not None and self.stratify:
            kind = StratifiedGroupKFold(self.n_folds, shuffle=True, random_state=state)
        elif self.groups is not None:
            kind = GroupKFold(self.n_folds, shuffle=True, random_state=state)
        elif self.stratify:
            kind = StratifiedKFold(self.n_folds, shuffle=True, random_state=state)
        else:
            kind = KFold(self.n_folds, shuffle=True, random_state=state)
        groups = None if self.groups is None else np.asarray(self.groups)
        return list(kind.split(np.zeros((len(labels), 1)), labels, groups))

    def _check(self, labels: npt.NDArray[Any]) -> None:
        if self.n_folds < 2 or self.n_repeats < 1:
            raise RadlibError(
                f"n_folds={self.n_folds} and n_repeats={self.n_repeats} make no cross-validation",
                remedy="give at least 2 folds and 1 repeat",
            )
        if self.groups is not None:
            if len(self.groups) != len(labels):
                raise RadlibError(f"{len(self.groups)} groups for {len(labels)} rows", remedy="give one group a row")
            n_units, unit = len(set(self.groups)), "groups"
        else:
            n_units, unit = len(labels), "subjects"
        if n_units < self.n_folds:
            raise RadlibError(
                f"{n_units} {unit} cannot fill {self.n_folds} folds", remedy=f"take at most {n_units} folds"
            )
        if self.stratify and self.groups is None:
            names, counts = np.unique(labels, return_counts=True)
            if counts.min() < self.n_folds:
                rare = names[counts.argmin()]
                raise RadlibError(
                    f"class {rare!r} has {counts.min()} subjects, fewer than the {self.n_folds} folds",
                    remedy="take fewer folds, merge classes, or set stratify=False",
                )


@dataclass(frozen=True, kw_only=True)
class LeaveOneOutFolds:
    """Every subject is the test set once; there is one repeat only."""

    n_repeats: int = field(default=1, init=False)

    def folds(self, strata: npt.ArrayLike, *, repeat: int) -> list[Fold]:
        """(train, test) row numbers of every fold."""
        n = len(np.asarray(strata))
        if n < 2:
            raise RadlibError(f"{n} subjects cannot be left out in turn", remedy="give at least 2 subjects")
        return list(LeaveOneOut().split(np.zeros((n, 1))))


@dataclass(frozen=True)
class ProtocolRun:
    """What one or more protocols predicted.

    Attributes:
        predictions: one row a prediction of a test subject: ``protocol``, ``model``, ``repeat``, ``fold``,
            ``subject``, ``true``, ``predicted``; for classifiers also ``score`` and ``probability`` (binary, of the
            positive class) or ``score_<class>`` and ``probability_<class>``, NaN where a model gives none.
        selected: one row a selected feature: ``protocol``, ``repeat``, ``fold`` (-1 where the selection saw all
            subjects), ``feature``.
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
    positive: Any = None,
    strata: pd.Series | None = None,
    fit_on: npt.ArrayLike | None = None,
    repeats: Iterable[int] | None = None,
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
        positive: the class that binary scores point to; by default the last one in sorted order.
        strata: what the folds are balanced by; by default the classes, and for numbers nothing may be stratified.
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
    labels = y if strata is None else strata.loc[y.index]
    features: pd.DataFrame | npt.NDArray[Any] = X
    selected: list[pd.DataFrame] = []
    if before is not None:
        fitted = clone(before).fit(X[trains], y[trains])
        features = fitted.transform(X)
        if within is None:
            selected.append(_selected(fitted, protocol, -1, -1))
        elif not isinstance(features, pd.DataFrame):
            features = pd.DataFrame(features, index=X.index, columns=fitted.get_feature_names_out())
    rows: list[pd.DataFrame] = []
    for repeat in range(splitter.n_repeats) if repeats is None else repeats:
        for fold, (train, test) in enumerate(splitter.folds(labels, repeat=repeat)):
            train = train[trains[train]]
            _check_fold(y.iloc[train], models, repeat, fold)
            a, b = _rows(features, train), _rows(features, test)
            if within is not None:
                fitted = clone(within).fit(a, y.iloc[train])
                a, b = fitted.transform(a), fitted.transform(b)
                selected.append(_selected(fitted, protocol, repeat, fold))
            for name, model in models.items():
                done = clone(model).fit(a, y.iloc[train])
                frame = _predict(done, b, y.iloc[test], positive)
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
    outside: Sequence[str] | None = None,
    clinical: pd.DataFrame | None = None,
    rules: Mapping[str, BaseEstimator] | None = None,
    n_permutations: int = 20,
    positive: Any = None,
    strata: pd.Series | None = None,
    fit_on: npt.ArrayLike | None = None,
    seed: int = 0,
) -> ProtocolRun:
    """Run the same models as published, leakage-free, and beside their controls (see the module's first lines).

    Args:
        X, y, models, preparation, splitter, positive, strata, fit_on: as in :func:`out_of_fold`.
        outside: the leading steps of the preparation that the paper fits before the split; None means all of them.
        clinical: (subjects, columns) what the rules see, on the index of ``X``.
        rules: name -> estimator, the obvious clinical rules, fitted on ``clinical`` inside the folds.
        n_permutations: times that the labels are shuffled, once over all folds each; 0 leaves those controls out.
        seed: seed of the shuffles.

    Returns:
        All predictions. In the permuted protocols ``repeat`` counts permutations and ``true`` is the shuffled label.
    """
    common: dict[str, Any] = {"splitter": splitter, "positive": positive}
    steps = [name for name, _ in preparation.steps] if outside is None else list(outside)
    run = out_of_fold(
        X, y, models=models, preparation=preparation, outside=steps, protocol=AS_PUBLISHED,
        strata=strata, fit_on=fit_on, **common,
    )  # fmt: skip
    for repeat in track(range(splitter.n_repeats), description="leakage-free repeats"):
        run += out_of_fold(
            X, y, models=models, preparation=preparation, strata=strata, fit_on=fit_on, repeats=[repeat], **common
        )  # fmt: skip
    classes = all(is_classifier(model) for model in models.values())
    majority = DummyClassifier(strategy="most_frequent") if classes else DummyRegressor(strategy="mean")
    rest: dict[str, Any] = {"protocol": CONTROL, "strata": strata, "fit_on": fit_on, **common}
    run += out_of_fold(X, y, models={"majority class" if classes else "mean": majority}, **rest)
    if rules:
        if clinical is None:
            raise RadlibError("there are rules and no clinical table", remedy="give clinical=, what the rules see")
        run += out_of_fold(clinical.loc[X.index], y, models=rules, **rest)
    for permutation in track(range(n_permutations), description="permutations"):
        order = rng(seed, "permutation", permutation).permutation(len(y))
        shuffled = pd.Series(y.to_numpy()[order], index=y.index, name=y.name)
        moved: dict[str, Any] = {
            "models": models,
            "preparation": preparation,
            # Everything that goes with the label moves with it.
            "strata": None if strata is None else pd.Series(strata.loc[y.index].to_numpy()[order], index=y.index),
            "fit_on": None if fit_on is None else np.asarray(fit_on, dtype=bool)[order],
            "positive": positive,
        }
        run += out_of_fold(X, shuffled, splitter=splitter, repeats=[permutation], protocol=PERMUTED, **moved)
        run += out_of_fold(
            X, shuffled, splitter=splitter, repeats=[permutation], protocol=PUBLISHED_PERMUTED, outside=steps, **moved
        )  # fmt: skip
    return run


# ---------------------------------------------------------------------------------------------------- intervals


@dataclass(frozen=True)
class Estimate:
    """A value with its interval. ``n`` is the number of subjects (or permutations) behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}, n={self.n})"


def patient_bootstrap(
    statistic: Callable[[FloatArray], FloatArray],
    n_subjects: int,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """A percentile interval over resampled subjects.

    Args:
        statistic: takes (B, n_subjects) weights, how often each subject is in each resample, gives (B,) values;
            NaN where a resample leaves it undefined (no subject of a class), which is left out.
        n_subjects: number of subjects; 0 gives NaN throughout.
        n_resamples: resamples B.
        level: coverage, between 0 and 1.
        seed: seed of the resampling.
    """
    if n_subjects == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    value = float(statistic(np.ones((1, n_subjects)))[0])
    weights = rng(seed, "patient bootstrap").multinomial(
        n_subjects, np.full(n_subjects, 1 / n_subjects), size=n_resamples
    )
    drawn = statistic(weights.astype(float))
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size == 0:
        return Estimate(value, float("nan"), float("nan"), n_subjects)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), n_subjects)


def bootstrap_ratio(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Patient bootstrap of sum(numerator) / sum(denominator), a proportion averaged over repeats.

    Args:
        numerator: (subjects,) share of the repeats in which the subject counts, 0 to its denominator.
        denominator: (subjects,) 1 for a subject that the proportion is about, else 0.

    Returns:
        NaN where no subject is concerned. Where every subject counts always (or never), resampling shows no spread;
        the interval is then Wilson's for as many subjects, so that 16 of 16 is not taken for certainty.
    """
    top, bottom = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    concerned = int(np.count_nonzero(bottom))
    if concerned == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)

    def ratio(weights: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((weights @ top) / (weights @ bottom))

    found = patient_bootstrap(ratio, len(top), n_resamples=n_resamples, level=level, seed=seed)
    if found.value in (0.0, 1.0):
        sure = stats.binomtest(round(found.value * concerned), concerned).proportion_ci(level, method="wilson")
        return Estimate(found.value, float(sure.low), float(sure.high), concerned)
    return Estimate(found.value, found.low, found.high, concerned)


def permutation_interval(values: npt.ArrayLike, *, level: float = 0.95) -> Estimate:
    """The mean of a result over permutations, with the t interval of that mean (permutations are independent).

    One permutation gives NaN limits, none gives NaN throughout.
    """
    found = np.asarray(values, dtype=float)
    if found.size == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    mean = float(found.mean())
    if found.size == 1:
        return Estimate(mean, float("nan"), float("nan"), 1)
    half = float(stats.t.ppf((1 + level) / 2, found.size - 1) * found.std(ddof=1) / np.sqrt(found.size))
    return Estimate(mean, mean - half, mean + half, int(found.size))


def permutation_p_value(observed: float, permuted: npt.ArrayLike) -> float:
    """(1 + permutations at least as good) / (1 + permutations) (Phipson and Smyth 2010). Larger is better."""
    null = np.asarray(permuted, dtype=float)
    return float((1 + np.count_nonzero(null >= observed)) / (1 + null.size))


def corrected_resampled_interval(
    fold_values: npt.ArrayLike, *, n_train: float, n_test: float, level: float = 0.95
) -> Estimate:
    """The interval of Nadeau and Bengio over fold results: variance (1/J + n_test/n_train) s^2, J - 1 degrees.

    Args:
        fold_values: (J,) results of all folds of all repeats; NaN is left out.
        n_train: subjects of a training fold (mean).
        n_test: subjects of a test fold (mean).
    """
    values = np.asarray(fold_values, dtype=float)
    values = values[np.isfinite(values)]
    J = values.size
    if J < 2:
        value = float(values.mean()) if J else float("nan")
        return Estimate(value, float("nan"), float("nan"), J)
    scale = np.sqrt((1 / J + n_test / n_train) * values.var(ddof=1))
    half = float(stats.t.ppf((1 + level) / 2, J - 1) * scale)
    mean = float(values.mean())
    return Estimate(mean, mean - half, mean + half, J)


# ------------------------------------------------------------------------------------------------------ private


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
            f"training fold {fold} of repeat {repeat} holds class {y.iloc[0]!r} only",
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


def _predict(model: Any, X: Any, y: pd.Series, positive: Any) -> pd.DataFrame:
    frame = pd.DataFrame({"subject": y.index, "true": y.to_numpy(), "predicted": model.predict(X)})
    if not is_classifier(model):
        return frame
    classes = list(model.classes_)
    for column, method in (("score", "decision_function"), ("probability", "predict_proba")):
        if not hasattr(model, method):
            continue
        values = np.asarray(getattr(model, method)(X), dtype=float)
        if len(classes) == 2:
            towards = classes[1] if positive is None else positive
            if towards not in classes:
                raise RadlibError(f"positive={positive!r} is no class", remedy=f"choose from {classes}")
            if values.ndim == 1:  # a decision function points to the second class
                frame[column] = values if towards == classes[1] else -values
            else:
                frame[column] = values[:, classes.index(towards)]
        else:
            for k, name in enumerate(classes):
                frame[f"{column}_{name}"] = values[:, k]
    return frame
