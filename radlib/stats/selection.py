"""Feature selection of the papers: recursive elimination by a linear SVM, and t-test with F-score ranking.

Recursive elimination (Guyon et al. 2002) fits a linear machine, drops the feature with the smallest squared weight,
and starts again, as ``sklearn.feature_selection.RFE`` does with a linear ``SVC`` or ``SVR``. With thousands of
features and tens of subjects nearly all of that time goes into computing inner products of features that stay.
:class:`LinearRFE` computes the kernel :math:`K = X X^T` once, takes :math:`x_j x_j^T` off when feature ``j`` leaves,
and starts each fit from the dual variables of the last one. The support is scikit-learn's, hundreds of times sooner.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from radlib.core.errors import RadlibError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class _Selector(SelectorMixin, BaseEstimator):
    """A selection that needs labels; ``support_`` is ``(features,)`` booleans."""

    support_: npt.NDArray[np.bool_]

    def _get_support_mask(self) -> npt.NDArray[np.bool_]:
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class LinearRFE(_Selector):
    """Recursive feature elimination by a linear support vector machine on an updated kernel.

    Args:
        n_features_to_select: features that stay, at least 1; where there are no more than that, all stay.
        machine: ``"ovo"``, one SVC for every pair of classes (scikit-learn's and libsvm's multi-class rule);
            ``"ovr"``, one SVC for every class against the rest; ``"svr"``, regression. Two classes are one machine.
        C: penalty of the hinge (or of the epsilon-insensitive) loss.
        epsilon: half width of the insensitive tube of ``"svr"``, in standard deviations of the target: (y - mean) / sd
            is fitted, so that C and epsilon do not depend on the unit.
        tol: largest violation of the optimality conditions at which a fit ends. scikit-learn's default of 1e-3 is
            too loose for thousands of features: on near ties the support then depends on the rounding.

    Attributes:
        support_: (features,) booleans, the features that stay.
        ranking_: (features,) 1 for those; then 2 for the last that left, and so on.
    """

    def __init__(
        self,
        n_features_to_select: int = 10,
        *,
        machine: Literal["ovo", "ovr", "svr"] = "ovo",
        C: float = 1.0,
        epsilon: float = 0.1,
        tol: float = 1e-6,
    ) -> None:
        self.n_features_to_select = n_features_to_select
        self.machine = machine
        self.C = C
        self.epsilon = epsilon
        self.tol = tol

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> LinearRFE:
        """Select on (subjects, features) ``X``, finite, and (subjects,) ``y``.

        Raises:
            RadlibError: for a parameter out of range, or one class only.
        """
        if self.n_features_to_select < 1 or self.C <= 0 or self.epsilon < 0:
            raise RadlibError(
                f"LinearRFE cannot run with n_features_to_select={self.n_features_to_select}, C={self.C}, "
                f"epsilon={self.epsilon}",
                remedy="the first is at least 1, C is positive, epsilon is not negative",
            )
        data, target = validate_data(self, X, y, dtype=np.float64, y_numeric=self.machine == "svr")
        rows, signs, linear, sizes = self._machines(np.asarray(target))
        order = _eliminate(
            np.ascontiguousarray(data.T), rows, signs, linear, sizes,
            float(self.C), min(int(self.n_features_to_select), data.shape[1]), float(self.tol),
        )  # fmt: skip
        self.ranking_: IntArray = np.ones(data.shape[1], dtype=np.int64)
        self.ranking_[order] = len(order) + 1 - np.arange(len(order))
        self.support_ = self.ranking_ == 1
        return self

    def _machines(self, y: npt.NDArray[Any]) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
        """Every binary machine as a dual problem: its rows of X, signs, linear term; padded, with their sizes."""
        if self.machine == "svr":
            goal = y.astype(np.float64)
            goal = (goal - goal.mean()) / (goal.std() or 1.0)
            n = len(goal)
            everyone = np.arange(n)
            rows = np.concatenate([everyone, everyone])[None]
            signs = np.concatenate([np.ones(n), -np.ones(n)])[None]
            linear = np.concatenate([self.epsilon - goal, self.epsilon + goal])[None]
            return rows.astype(np.int64), signs, linear, np.array([2 * n])
        if self.machine not in ("ovo", "ovr"):
            raise RadlibError(f"machine={self.machine!r} is unknown", remedy="choose 'ovo', 'ovr' or 'svr'")
        check_classification_targets(y)
        classes, coded = np.unique(y, return_inverse=True)
        K = len(classes)
        if K < 2:
            raise RadlibError(f"only class {classes[0]!r} is there to select for", remedy="give at least two classes")
        if self.machine == "ovo" or K == 2:
            pairs = [(i, j) for i in range(K) for j in range(i + 1, K)]
            members = [np.flatnonzero((coded == i) | (coded == j)) for i, j in pairs]
            sides = [np.where(coded[m] == i, 1.0, -1.0) for m, (i, _) in zip(members, pairs, strict=True)]
        else:
            members = [np.arange(len(y))] * K
            sides = [np.where(coded == k, 1.0, -1.0) for k in range(K)]
        width = max(map(len, members))
        rows = np.zeros((len(members), width), dtype=np.int64)
        signs = np.ones((len(members), width))
        for k, (m, side) in enumerate(zip(members, sides, strict=True)):
            rows[k, : len(m)], signs[k, : len(m)] = m, side
        return rows, signs, -np.ones_like(signs), np.array([len(m) for m in members])


@njit(cache=True)
def _eliminate(  # pragma: no cover - compiled
    features: FloatArray,
    rows: IntArray,
    signs: FloatArray,
    linear: FloatArray,
    sizes: IntArray,
    C: float,
    n_keep: int,
    tol: float,
) -> IntArray:
    """The features in the order in which they leave. ``features`` is (features, subjects)."""
    p, n = features.shape
    kernel = features.T @ features
    alphas = np.zeros(rows.shape)
    kept = np.arange(p)
    left = np.empty(p - n_keep, dtype=np.int64)
    gone = 0
    dual = np.zeros((rows.shape[0], n))
    while p - gone > n_keep:
        for m in range(rows.shape[0]):
            size = sizes[m]
            _smo(kernel, rows[m, :size], signs[m, :size], linear[m, :size], alphas[m, :size], C, tol)
            dual[m] = 0.0
            for i in range(size):
                dual[m, rows[m, i]] += signs[m, i] * alphas[m, i]
        worst = np.argmin(_importance(features, kept, dual))
        column = features[kept[worst]]
        for i in range(n):
            for j in range(n):
                kernel[i, j] -= column[i] * column[j]
        left[gone] = kept[worst]
        gone += 1
        kept = np.delete(kept, worst)
    return left


@njit(cache=True, fastmath={"reassoc", "contract"})  # lets the sums be vectorised
def _importance(features: FloatArray, kept: IntArray, dual: FloatArray) -> FloatArray:  # pragma: no cover - compiled
    """The squared weight of every kept feature, summed over the machines."""
    found = np.zeros(kept.shape[0])
    for f in range(kept.shape[0]):
        column = features[kept[f]]
        for m in range(dual.shape[0]):
            weight = 0.0
            for i in range(column.shape[0]):
                weight += dual[m, i] * column[i]
            found[f] += weight * weight
    return found


@njit(cache=True)
def _smo(  # pragma: no cover - compiled
    kernel: FloatArray,
    rows: IntArray,
    signs: FloatArray,
    linear: FloatArray,
    alpha: FloatArray,
    C: float,
    tol: float,
) -> None:
    """Minimise 1/2 a'Qa + p'a with 0 <= a <= C and s'a = 0 in place, Q_ij = s_i s_j K_ij, from a feasible ``alpha``.

    Sequential minimal optimisation with the second-order choice of the pair (Fan, Chen and Lin 2005), as in libsvm.
    """
    size = rows.shape[0]
    gradient = linear.copy()
    for j in range(size):
        if alpha[j] != 0.0:
            for i in range(size):
                gradient[i] += signs[i] * signs[j] * kernel[rows[i], rows[j]] * alpha[j]
    for _ in range(100_000 + 1000 * size):
        up, highest = -1, -np.inf
        for i in range(size):
            can_rise = alpha[i] < C if signs[i] > 0 else alpha[i] > 0
            if can_rise and -signs[i] * gradient[i] > highest:
                up, highest = i, -signs[i] * gradient[i]
        if up < 0:
            return
        down, lowest, best = -1, np.inf, np.inf
        for j in range(size):
            can_fall = alpha[j] > 0 if signs[j] > 0 else alpha[j] < C
            if not can_fall:
                continue
            value = -signs[j] * gradient[j]
            lowest = min(lowest, value)
            gap = highest - value
            if gap > 0:
                curve = kernel[rows[up], rows[up]] + kernel[rows[j], rows[j]] - 2.0 * kernel[rows[up], rows[j]]
                gain = -gap * gap / max(curve, 1e-12)
                if gain < best:
                    down, best = j, gain
        if down < 0 or highest - lowest < tol:
            return
        curve = kernel[rows[up], rows[up]] + kernel[rows[down], rows[down]] - 2.0 * kernel[rows[up], rows[down]]
        move = (highest + signs[down] * gradient[down]) / max(curve, 1e-12)
        # Both variables move by the same amount along s; the box limits how far.
        move = min(move, C - alpha[up] if signs[up] > 0 else alpha[up])
        move = min(move, alpha[down] if signs[down] > 0 else C - alpha[down])
        alpha[up] = min(max(alpha[up] + signs[up] * move, 0.0), C)
        alpha[down] = min(max(alpha[down] - signs[down] * move, 0.0), C)
        for i in range(size):
            gradient[i] += signs[i] * move * (kernel[rows[i], rows[up]] - kernel[rows[i], rows[down]])


def f_score(X: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
    """The F-score of every feature for two classes (Chen and Lin 2006, equation 4).

    .. math:: F = \\frac{(\\bar x^+ - \\bar x)^2 + (\\bar x^- - \\bar x)^2}{s_+^2 + s_-^2}

    with the sample variances :math:`s^2` (n - 1). It is not the F statistic of an analysis of variance, but ranks
    features alike when the classes have one size.

    Args:
        X: (subjects, features), finite.
        y: (subjects,) two classes.

    Returns:
        (features,) scores, 0 or more; 0 for a constant feature, infinite where both classes are constant and differ.
    """
    first, second = _two_classes(X, y)
    centre = np.concatenate([first, second]).mean(axis=0)
    above = (first.mean(axis=0) - centre) ** 2 + (second.mean(axis=0) - centre) ** 2
    below = first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(above > 0, above / below, 0.0)


def t_test_p(X: npt.ArrayLike, y: npt.ArrayLike) -> FloatArray:
    """The two-sided p-value of Student's t-test (equal variances) of every feature; 1 for a constant feature."""
    first, second = _two_classes(X, y)
    varies = np.ptp(np.concatenate([first, second]), axis=0) > 0
    p = np.ones(first.shape[1])
    within = varies & ((np.ptp(first, axis=0) > 0) | (np.ptp(second, axis=0) > 0))
    p[varies & ~within] = 0.0  # the classes differ and neither varies
    if within.any():
        p[within] = stats.ttest_ind(first[:, within], second[:, within]).pvalue
    return p


class TTestFScore(_Selector):
    """Keep what a t-test finds different between two classes, then the highest F-scores (Li 2017, Methods).

    Args:
        alpha: features with p below stay for the ranking. Li 2017 uses 0.05.
        n_features_to_select: the most that stay; None keeps all below ``alpha``.
            Where none passes the test the smallest p-value stays, so that a fold in which nothing is significant
            still has a model.

    Attributes:
        p_values_: (features,) of the t-test.
        scores_: (features,) F-scores.
        support_: (features,) booleans.
    """

    def __init__(self, *, alpha: float = 0.05, n_features_to_select: int | None = None) -> None:
        self.alpha = alpha
        self.n_features_to_select = n_features_to_select

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> TTestFScore:
        """Select on (subjects, features) ``X``, finite, and two-class ``y``."""
        if not 0 < self.alpha <= 1:
            raise RadlibError(f"alpha={self.alpha} selects nothing", remedy="alpha lies above 0 and up to 1")
        data, target = validate_data(self, X, y, dtype=np.float64)
        self.p_values_ = t_test_p(data, target)
        self.scores_ = f_score(data, target)
        passed = self.p_values_ < self.alpha if self.alpha < 1 else np.ones(data.shape[1], dtype=bool)
        if not passed.any():
            passed[np.argmin(self.p_values_)] = True
        most = data.shape[1] if self.n_features_to_select is None else self.n_features_to_select
        ranked = np.argsort(np.where(passed, -self.scores_, np.inf), kind="stable")
        self.support_ = np.zeros(data.shape[1], dtype=bool)
        self.support_[ranked[: min(most, int(passed.sum()))]] = True
        return self


def _two_classes(X: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    data, target = np.asarray(X, dtype=np.float64), np.asarray(y)
    classes = np.unique(target)
    if len(classes) != 2:
        raise RadlibError(
            f"a t-test and an F-score compare two classes, not {len(classes)} ({classes[:5].tolist()})",
            remedy="select for two classes, or use LinearRFE",
        )
    first, second = data[target == classes[0]], data[target == classes[1]]
    if min(len(first), len(second)) < 2:
        raise RadlibError("a class with one subject has no variance", remedy="give every class two subjects or more")
    return first, second
