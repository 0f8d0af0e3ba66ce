"""Clinical rules: what they answer, what they need, and the collection rule on the real patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from radlib.core.errors import MissingDataError, RadlibError
from radlib.stats.baselines import (
    ColumnRule,
    clinical_model,
    clinical_rules,
)
from radlib.stats.classification import Confusion

PATIENTS = pd.DataFrame(
    {"collection": ["LGG", "LGG", "LGG", "GBM", "GBM"], "age": [30.0, 40.0, np.nan, 60.0, 70.0]}, index=list("abcde")
)
MUTANT = np.array([True, True, False, False, False])


def test_the_rule_reads_the_collection_only() -> None:
    rule = ColumnRule("collection", "LGG").fit(PATIENTS, MUTANT)
    assert rule.predict(PATIENTS).tolist() == [True, True, True, False, False]
    assert rule.decision_function(PATIENTS).tolist() == [1, 1, 1, -1, -1]
    # (2 + 1) / (3 + 2) of LGG and (0 + 1) / (2 + 2) of GBM are mutant
    assert rule.predict_proba(PATIENTS)[[0, 3], 1] == pytest.approx([0.6, 0.25])


def test_the_rule_does_not_learn_its_decision() -> None:
    rule = ColumnRule("collection", "LGG").fit(PATIENTS, ~MUTANT)
    assert rule.predict(PATIENTS).tolist() == [True, True, True, False, False]


def test_a_rule_on_any_column_and_named_classes() -> None:
    grades = pd.DataFrame({"grade": [2, 3, 4]})
    rule = clone(ColumnRule("grade", 4)).fit(grades, ["a", "a", "b"])
    assert rule.predict(grades).tolist() == ["a", "a", "b"]
    assert rule.predict_proba(pd.DataFrame({"grade": [2]})).sum() == pytest.approx(1)


def test_what_the_rule_needs_is_named() -> None:
    with pytest.raises(RadlibError, match="lacks collection"):
        ColumnRule("collection", "LGG").fit(PATIENTS[["age"]], MUTANT)
    gap = PATIENTS.assign(collection=["LGG", None, "LGG", "GBM", "GBM"])
    with pytest.raises(MissingDataError, match="collection of 'b' is empty"):
        ColumnRule("collection", "LGG").fit(gap, MUTANT)
    with pytest.raises(RadlibError, match="1 classes"):
        ColumnRule("collection", "LGG").fit(PATIENTS, np.ones(5, dtype=bool))


def test_age_model_is_logistic_regression_on_standardised_age() -> None:
    generator = np.random.default_rng(0)
    age = generator.uniform(20, 80, 60)
    mutant = generator.random(60) < 1 / (1 + np.exp((age - 45) / 8))
    model = clinical_model("age").fit(pd.DataFrame({"age": age}), mutant)
    z = ((age - age.mean()) / age.std())[:, None]
    expected = LogisticRegression().fit(z, mutant).predict_proba(z)[:, 1]
    young, old = model.predict_proba(pd.DataFrame({"age": [25.0, 75.0]}))[:, 1]
    assert young > 0.7 > 0.3 > old
    assert model.predict_proba(pd.DataFrame({"age": age}))[:, 1] == pytest.approx(expected)


def test_a_missing_age_is_the_training_median() -> None:
    model = clinical_model("age").fit(PATIENTS, MUTANT)
    gap, median = model.decision_function(pd.DataFrame({"age": [np.nan, 50.0]}))
    assert gap == pytest.approx(median)


def test_clinical_model_accepts_an_unseen_category() -> None:
    model = clinical_model("age", "collection").fit(PATIENTS, MUTANT)
    assert 0 < model.predict_proba(pd.DataFrame({"age": [50.0], "collection": ["other"]}))[0, 1] < 1


def test_rules_follow_what_is_known() -> None:
    assert list(clinical_rules(PATIENTS)) == ["collection rule", "age model", "age + collection"]
    assert list(clinical_rules(PATIENTS[PATIENTS["collection"] == "LGG"])) == ["age model"]
    assert list(clinical_rules(PATIENTS.assign(age=np.nan))) == ["collection rule"]
    assert clinical_rules(pd.DataFrame(index=range(3))) == {}


@pytest.mark.data
def test_the_collection_rule_on_the_167_patients(real_data: Path) -> None:
    """51 of 55 mutant patients are in LGG, 98 of 112 others in GBM: 149 of 167 right, 89.2 %."""
    folder = real_data / "tcga-glioma"
    collection = pd.concat(
        pd.Series(name, index=pd.read_csv(folder / f"radiomics/TCGA_{name}_radiomicFeatures.csv", usecols=["ID"])["ID"])
        for name in ("GBM", "LGG")
    )
    status = pd.read_csv(folder / "clinical/TCGA_GBM_LGG_Mutations_all.csv", encoding="utf-8-sig").set_index("Case_ID")
    mutant = (status["IDH1"].reindex(collection.index) == "MUTATED").to_numpy()
    table = collection.to_frame("collection")
    found = Confusion.count(mutant, ColumnRule("collection", "LGG").fit(table, mutant).predict(table))
    assert (found.tp, found.fn, found.tn, found.fp) == (51, 4, 98, 14)
    assert found.metric("accuracy") == pytest.approx(149 / 167)
