"""What a clinician knows without a model: which collection a tumour came from, and how old the patient is.

These baselines stand beside every classifier of the book. They are scikit-learn estimators over the clinical columns
of a cohort, fitted inside the same folds as the models they are compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from radlib.core.errors import MissingDataError, RadlibError


class ColumnRule(ClassifierMixin, BaseEstimator):
    """A one-line rule: the positive class where a column has a given value, the negative class elsewhere.

    Nothing is learnt that decides. Fitting counts how often the rule's two answers are positive in the training set,
    so that probabilities can be given: ``(k + 1) / (n + 2)`` (Laplace), which is 1/2 for an answer never seen.

    Args:
        column: a column of the table, e.g. ``collection``.
        value: where the column has this value, the positive class is predicted, e.g. ``LGG``.

    The positive class is the last in sorted order (True of booleans).
    """

    def __init__(self, column: str = "collection", value: Any = "LGG") -> None:
        self.column = column
        self.value = value

    def fit(self, X: pd.DataFrame, y: ArrayLike) -> ColumnRule:
        """Count. Raises :class:`RadlibError` if the column is absent or has gaps, or ``y`` has not two classes."""
        labels = np.asarray(y)
        self.classes_ = np.unique(labels)
        if len(self.classes_) != 2:
            raise RadlibError(
                f"{len(self.classes_)} classes in the training set of a rule for two",
                remedy="stratify the folds, or use fewer",
            )
        answer = self._answer(X)
        positive = labels == self.classes_[1]
        self.frequency_ = np.array(
            [(positive[answer == a].sum() + 1) / ((answer == a).sum() + 2) for a in (False, True)]
        )
        return self

    def decision_function(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """1 where the rule says positive, -1 elsewhere, ``(n,)``."""
        return np.where(self._answer(X), 1.0, -1.0)

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        """The rule's answers, ``(n,)``."""
        return self.classes_[self._answer(X).astype(int)]

    def predict_proba(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Training frequencies of the two classes given the rule's answer, ``(n, 2)``."""
        positive = self.frequency_[self._answer(X).astype(int)]
        return np.column_stack([1 - positive, positive])

    def _answer(self, X: pd.DataFrame) -> NDArray[np.bool_]:
        _require_columns(X, [self.column])
        if X[self.column].isna().any():
            who = X.index[X[self.column].isna()][0]
            raise MissingDataError(
                f"{self.column} of {who!r} is empty", remedy="leave such patients out, or fill it in"
            )
        return (X[self.column] == self.value).to_numpy(dtype=bool)


def clinical_model(*columns: str) -> Pipeline:
    """Logistic regression on clinical columns.

    ``age`` is a number (years): gaps become the training median, then it is standardised. Any other column is a
    category: one-hot, where a gap or an unseen value is no category. The ridge penalty is weak on such columns, and
    keeps the fit finite where a small training set happens to be separable.
    """
    number = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    category = OneHotEncoder(handle_unknown="ignore")
    parts = [(number if name == "age" else category, [name]) for name in columns]
    return Pipeline([("columns", make_column_transformer(*parts)), ("model", LogisticRegression())])


def clinical_rules(clinical: pd.DataFrame) -> dict[str, BaseEstimator]:
    """The baselines that a clinical table allows, by the name under which tables show them.

    Args:
        clinical: columns ``collection`` and ``age``, either of which may be absent or empty.

    Returns:
        ``collection rule`` where there is more than one collection and no gap, ``age model`` where ages vary, and
        ``age + collection`` where both hold. Empty where nothing is known.
    """
    collection = clinical.get("collection")
    age = clinical.get("age")
    has_collection = collection is not None and collection.notna().all() and collection.nunique() > 1
    has_age = age is not None and age.nunique() > 1
    rules: dict[str, BaseEstimator] = {}
    if has_collection:
        rules["collection rule"] = ColumnRule("collection", "LGG")
    if has_age:
        rules["age model"] = clinical_model("age")
    if has_collection and has_age:
        rules["age + collection"] = clinical_model("age", "collection")
    return rules


def _require_columns(X: pd.DataFrame, columns: Sequence[str]) -> None:
    absent = [name for name in columns if name not in getattr(X, "columns", ())]
    if absent:
        raise RadlibError(
            f"the clinical table lacks {', '.join(absent)}",
            remedy="give a DataFrame with this column (cohort.participants has it)",
        )
