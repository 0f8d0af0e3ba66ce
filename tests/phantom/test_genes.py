"""Genes: names, correlation, and the planted few."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlib.core.seeds import rng
from radlib.phantom.agreement import PUBLISHED_GENES, gene_structure
from radlib.phantom.biology import sample_subjects
from radlib.phantom.genes import N_GENES, N_PROGRAMMES, PROGNOSTIC, gene_model, standardised_expression
from radlib.phantom.templates import load_template


def test_only_the_named_genes_have_real_names() -> None:
    names = gene_model().names
    assert len(names) == len(set(names)) == N_GENES == 1740
    real = {name for name in names if not (len(name) == 5 and name[0] == "G" and name[1:].isdigit())}
    assert real == {"LRRC17", "LDLR", "EDNRA", "AHNAK2", "TMSL8", "SLIT1", "LDNRA"}


def test_signs_follow_the_paper() -> None:
    assert all(PROGNOSTIC[name] > 0 for name in ("LRRC17", "EDNRA", "AHNAK2", "TMSL8", "SLIT1"))
    assert PROGNOSTIC["LDNRA"] < 0
    largest = sorted(PROGNOSTIC, key=lambda name: -abs(PROGNOSTIC[name]))[:2]
    assert set(largest) == {"LRRC17", "LDLR"}


def test_coefficients_are_zero_but_for_the_prognostic() -> None:
    model = gene_model()
    planted = {name: b for name, b in zip(model.names, model.coefficients, strict=True) if b != 0}
    assert planted == PROGNOSTIC


def test_expression_has_unit_variance_and_the_stated_correlation() -> None:
    draw = rng(0, "test")
    x = standardised_expression(
        draw.standard_normal((4000, N_PROGRAMMES)), draw.standard_normal((4000, N_GENES)), strength=1.0
    )
    assert x.var(axis=0) == pytest.approx(np.ones(N_GENES), abs=0.12)
    stated = gene_model().loadings[:50] @ gene_model().loadings[:50].T
    found = np.corrcoef(x[:, :50].T)
    off = ~np.eye(50, dtype=bool)
    assert found[off] == pytest.approx(stated[off], abs=0.08)


def test_without_the_arrow_from_programmes_genes_are_the_noise() -> None:
    draw = rng(1, "test")
    noise = draw.standard_normal((5, N_GENES))
    assert np.array_equal(standardised_expression(draw.standard_normal((5, N_PROGRAMMES)), noise, strength=0.0), noise)


def test_structure_is_near_the_published_table() -> None:
    table = gene_structure(sample_subjects(load_template("tcga-gbm"), seed=3).expression)
    assert table["simulated"].to_numpy() == pytest.approx(table["published"].to_numpy(), rel=0.25)


@pytest.mark.data
def test_published_structure_is_that_of_the_table(real_data: Path) -> None:
    file = real_data / "tcga-glioma/expression/unifiedScaledFiltered.txt"
    table = gene_structure(pd.read_csv(file, sep="\t", index_col=0, header=None, skiprows=1).T)
    assert dict(table["simulated"]) == pytest.approx(PUBLISHED_GENES, abs=0.0006)
