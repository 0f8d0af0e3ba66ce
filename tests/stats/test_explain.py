"""SHAP values: exact for linear scores, additive for the network, and drawn in order."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.svm import SVC

from radlib.core.errors import RadlibError
from radlib.plots.statistics import plot_importance
from radlib.stats import explain
from radlib.stats.survival import CLASSES, ann_classifier, days_to_class

mpl.use("Agg")


@pytest.fixture(scope="module")
def data() -> tuple[pd.DataFrame, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(45, 4))
    X = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    return X, days_to_class(375 + 150 * X["b"])  # only b matters, and high b means long survival


@pytest.mark.parametrize("n_classes", [2, 3])
def test_linear_values_are_exact(data: tuple[pd.DataFrame, np.ndarray], n_classes: int) -> None:
    X, y = data
    if n_classes == 2:
        y = (y > 0).astype(int)
    model = SVC(kernel="linear").fit(X.to_numpy(), y)
    W, b = explain.class_scores(model)
    found = explain.linear_shap(model, X, classes=CLASSES)
    expected = (X.to_numpy() - X.to_numpy().mean(axis=0))[:, :, None] * W.T[None]
    np.testing.assert_allclose(found.values, expected, atol=1e-10)
    np.testing.assert_allclose(found.values.sum(axis=1) + found.expected, X.to_numpy() @ W.T + b, atol=1e-10)


def test_class_scores_are_the_mean_margins(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = data
    model = SVC(kernel="linear", decision_function_shape="ovo").fit(X.to_numpy(), y)
    margins = model.decision_function(X.to_numpy())  # short-medium, short-long, medium-long
    W, b = explain.class_scores(model)
    scores = X.to_numpy() @ W.T + b
    np.testing.assert_allclose(scores[:, 0], (margins[:, 0] + margins[:, 1]) / 2)
    np.testing.assert_allclose(scores[:, 1], (-margins[:, 0] + margins[:, 2]) / 2)
    np.testing.assert_allclose(scores[:, 2], (-margins[:, 1] - margins[:, 2]) / 2)
    two = SVC(kernel="linear").fit(X.to_numpy(), y > 0)
    W, b = explain.class_scores(two)
    assert (((X.to_numpy() @ W.T + b).argmax(axis=1) == 1) == two.predict(X.to_numpy())).all()
    with pytest.raises(RadlibError, match="'rbf'"):
        explain.class_scores(SVC().fit(X.to_numpy(), y))


def test_the_feature_that_matters_leads_and_points_the_right_way(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = data
    found = explain.linear_shap(SVC(kernel="linear").fit(X.to_numpy(), y), X, classes=CLASSES)
    assert found.importance().index[0] == "b"
    assert found.direction().loc["b", "long"] == pytest.approx(1)
    assert found.direction().loc["b", "short"] == pytest.approx(-1)


def test_kernel_values_add_up_and_repeat(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    X, y = data
    model = ann_classifier().fit(X.to_numpy(), y)
    found = explain.kernel_shap(model, X.iloc[:6], classes=CLASSES, n_samples=100)
    assert found.values.shape == (6, 4, 3)
    np.testing.assert_allclose(
        found.values.sum(axis=1) + found.expected, model.predict_proba(X.to_numpy()[:6]), atol=1e-6
    )
    again = explain.kernel_shap(model, X.iloc[:6], classes=CLASSES, n_samples=100)
    np.testing.assert_allclose(found.values, again.values)
    assert found.importance().index[0] == "b"


def test_plot_shows_the_leading_features_from_the_top(data: tuple[pd.DataFrame, np.ndarray]) -> None:
    import matplotlib.pyplot as plt

    X, y = data
    found = explain.linear_shap(SVC(kernel="linear").fit(X.to_numpy(), y), X, classes=CLASSES)
    figure, axes = plt.subplots()
    drawn = plot_importance(axes, found, top=3, highlight=["b"])
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels][::-1] == list(drawn.index)
    assert labels[-1].get_text() == "b"
    assert labels[-1].get_fontweight() == "bold"
    assert len(axes.patches) == 3 * 3
    plt.close(figure)
