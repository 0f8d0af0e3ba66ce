"""SHAP values of the linear SVM and of a neural network, per class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.svm import SVC

from radlib.core.errors import RadlibError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ShapValues:
    """Contributions of features to the score of every class.

    Attributes:
        values: (subjects, features, classes). Over the features they add up to score minus ``expected``.
        expected: (classes,) mean score over the background.
        X: (subjects, features) what was explained.
        classes: names of the classes.
    """

    values: FloatArray
    expected: FloatArray
    X: pd.DataFrame
    classes: tuple[str, ...]

    def importance(self) -> pd.DataFrame:
        """Mean absolute SHAP value, (features, classes), the largest sum first."""
        table = pd.DataFrame(np.abs(self.values).mean(axis=0), index=self.X.columns, columns=list(self.classes))
        return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]

    def direction(self) -> pd.DataFrame:
        """Correlation of a feature's values with its SHAP values, (features, classes): -1 to 1.

        Positive: a higher value speaks for the class. 0 where the feature contributes nothing.
        """
        X = self.X.to_numpy(dtype=float)
        X = X - X.mean(axis=0)
        S = self.values - self.values.mean(axis=0)
        scale = np.sqrt((X**2).sum(axis=0))[:, None] * np.sqrt((S**2).sum(axis=0))
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.where(scale > 1e-12, np.einsum("nf,nfk->fk", X, S) / scale, 0.0)
        return pd.DataFrame(r, index=self.X.columns, columns=list(self.classes))


def class_scores(model: SVC) -> tuple[FloatArray, FloatArray]:
    """Weights (classes, features) and intercepts (classes,) of the mean pairwise margin of every class.

    A linear SVC of K classes is K (K - 1) / 2 machines :math:`f_{kl}`, positive for class k. The score of class k is
    the mean of its machines' outputs towards it, :math:`s_k = \\frac{1}{K-1} \\sum_{l \\ne k} f_{kl}` with
    :math:`f_{lk} = -f_{kl}`: a linear function, so that its SHAP values are exact. scikit-learn predicts by the votes
    of the machines instead, which is no smooth function; where classes lie in a row the two can choose differently.

    Raises:
        RadlibError: if the kernel is not linear.
    """
    if model.kernel != "linear":
        raise RadlibError(f"the kernel is {model.kernel!r}", remedy="explain a linear SVC, or use kernel_shap")
    K = len(model.classes_)
    coefficients, intercepts = np.asarray(model.coef_), np.asarray(model.intercept_)
    if K == 2:  # scikit-learn turns the sign for two classes: positive is the second
        coefficients, intercepts = -coefficients, -intercepts
    W = np.zeros((K, coefficients.shape[1]))
    b = np.zeros(K)
    machine = 0
    for k in range(K):
        for other in range(k + 1, K):
            for member, sign in ((k, 1.0), (other, -1.0)):
                W[member] += sign * coefficients[machine] / (K - 1)
                b[member] += sign * intercepts[machine] / (K - 1)
            machine += 1
    return W, b


def linear_shap(model: SVC, X: pd.DataFrame, *, classes: Mapping[Any, str]) -> ShapValues:
    """SHAP values of a linear SVC's class scores (:func:`class_scores`), features taken as independent.

    The background is ``X`` itself, so that :math:`\\phi_{j} = w_{kj} (x_j - \\bar x_j)`.

    Args:
        model: fitted on columns like those of ``X``.
        X: (subjects, features).
        classes: class -> name.
    """
    shap = _shap()
    W, b = class_scores(model)
    data = X.to_numpy(dtype=float)
    background = shap.maskers.Independent(data, max_samples=len(data))
    parts = [shap.LinearExplainer((w, intercept), background)(data) for w, intercept in zip(W, b, strict=True)]
    return ShapValues(
        np.stack([np.asarray(part.values) for part in parts], axis=2),
        np.array([float(np.mean(part.base_values)) for part in parts]),
        X,
        tuple(classes[label] for label in model.classes_),
    )


def kernel_shap(
    model: Any, X: pd.DataFrame, *, classes: Mapping[Any, str], n_background: int = 10, n_samples: int = 512,
    seed: int = 0,
) -> ShapValues:  # fmt: skip
    """Kernel SHAP of a classifier's probabilities.

    Args:
        model: a fitted classifier with ``predict_proba``.
        X: (subjects, features).
        classes: class -> name.
        n_background: centres (k-means) that stand for the background.
        n_samples: coalitions evaluated for each subject; more is more exact.
        seed: seed of the coalitions.
    """
    shap = _shap()
    data = X.to_numpy(dtype=float)
    background = shap.kmeans(data, min(n_background, len(np.unique(data, axis=0))))
    explainer = shap.KernelExplainer(model.predict_proba, background, seed=seed)
    values = np.asarray(explainer.shap_values(data, nsamples=n_samples, silent=True, l1_reg=0))
    return ShapValues(
        values, np.asarray(explainer.expected_value), X, tuple(classes[label] for label in model.classes_)
    )


def _shap() -> Any:
    with warnings.catch_warnings():
        # On import shap 0.51 uses a function that matplotlib 3.11 announces to drop, and misses notebook widgets.
        warnings.simplefilter("ignore")
        import shap
    return shap
