"""Feature tables as they are published, made fit for a classifier inside the training folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted

from radlib.core.errors import RadlibError
from radlib.stats.selection import TTestFScore


class TableCleaner(TransformerMixin, BaseEstimator):
    """Fill gaps with the training median, drop what does not vary in the training set, and standardise (ddof 0).

    A radiomic table has gaps by construction: a tumour without enhancement has no texture of its enhancing part.
    Infinite values count as gaps. Median, constancy, mean and standard deviation all come from the training set. The
    work is a few array operations (scikit-learn's imputer takes most of the time of a leave-one-out run).

    Attributes:
        medians_: ``(features,)``; NaN for a feature without any value, which is dropped.
        kept_: ``(features,)`` booleans.
    """

    def fit(self, X: ArrayLike, y: Any = None) -> TableCleaner:
        """Learn from ``X`` ``(subjects, features)``, numbers with gaps."""
        data = self._read(X, reset=True)
        ranked = np.sort(data, axis=0)  # NaN goes to the end
        known = (~np.isnan(data)).sum(axis=0)
        columns = np.arange(data.shape[1])
        middle = [ranked[np.maximum(place, 0), columns] for place in ((known - 1) // 2, known // 2)]
        self.medians_ = np.where(known > 0, (middle[0] + middle[1]) / 2, np.nan)
        filled = np.where(np.isnan(data), self.medians_, data)
        spread = np.ptp(filled, axis=0) if len(filled) else np.zeros(data.shape[1])
        # a column that differs in its last digits only is constant: standardising it would make signal of rounding
        self.kept_ = (known > 0) & (spread > 1e-12 * np.abs(np.nan_to_num(self.medians_)))
        self.centre_ = filled[:, self.kept_].mean(axis=0)
        self.scale_ = filled[:, self.kept_].std(axis=0)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """``(subjects, kept features)``, finite."""
        check_is_fitted(self)
        data = self._read(X, reset=False)
        filled = np.where(np.isnan(data), self.medians_, data)[:, self.kept_]
        return (filled - self.centre_) / self.scale_

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """The names of the kept features (``x0``, ``x1``, ... where the table had none)."""
        check_is_fitted(self)
        names: Any = self.feature_names_in_
        if names is None:
            names = input_features if input_features is not None else [f"x{i}" for i in range(len(self.kept_))]
        return np.asarray(names, dtype=object)[self.kept_]

    def _read(self, X: Any, *, reset: bool) -> NDArray[np.float64]:
        # scikit-learn's own check looks at every column of a DataFrame and would take longer than all the rest.
        names = np.asarray(X.columns, dtype=object) if isinstance(X, pd.DataFrame) else None
        data = np.asarray(X, dtype=np.float64)
        if reset:
            self.n_features_in_ = data.shape[1]
            self.feature_names_in_ = names
        elif data.shape[1] != self.n_features_in_ or (
            names is not None and self.feature_names_in_ is not None and (names != self.feature_names_in_).any()
        ):
            raise RadlibError(
                f"a table of {data.shape[1]} features does not match the {self.n_features_in_} learnt from",
                remedy="give the same columns in the same order",
            )
        return np.where(np.isinf(data), np.nan, data)


def selection_steps(*, n_selected: int | None = None, alpha: float = 0.05) -> Pipeline:
    """Clean the table, then t-test and F-score ranking (Li 2017): the steps that see labels without being a classifier.

    Args:
        n_selected: features that stay after the ranking; None keeps all that pass the t-test.
        alpha: level of the t-test.
    """
    return Pipeline([("clean", TableCleaner()), ("select", TTestFScore(alpha=alpha, n_features_to_select=n_selected))])


def linear_svm(*, C: float = 1.0) -> SVC:
    """The linear support vector machine of Li 2017 (box constraint 1)."""
    return SVC(kernel="linear", C=C)


def radiomics_svm(*, n_selected: int | None = None, alpha: float = 0.05, C: float = 1.0) -> Pipeline:
    """The whole conventional-radiomics arm of Li 2017 as one estimator: clean, t-test, F-score, linear SVM."""
    return Pipeline([*selection_steps(n_selected=n_selected, alpha=alpha).steps, ("svm", linear_svm(C=C))])
