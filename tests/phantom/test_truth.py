"""The planted truth: found where it is, absent where it is not."""

from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.phantom.agreement import (
    BAKAS_QUARTILES,
    NO_ENHANCEMENT_SHARE,
    PUBLISHED_SURVIVAL,
    median_survival,
    part_volumes,
    survival_agreement,
    volume_agreement,
)
from radlib.phantom.biology import Subjects, sample_subjects
from radlib.phantom.causal import (
    ARROWS,
    DESIGN,
    DESIGNED,
    IMAGING,
    causal_graph,
    draw_causal_graph,
    order,
    resolve_strengths,
)
from radlib.phantom.equations import EQUATIONS
from radlib.phantom.templates import load_template
from radlib.phantom.validation import (
    coverage,
    cox_score_test,
    p_values,
    planted_readers,
    recover_arrows,
    recover_survival,
    uniformity,
)


@pytest.fixture(scope="module")
def many() -> Subjects:
    return sample_subjects(load_template("tcga-idh"), n=2000, seed=1)


# The graph


def test_every_variable_with_an_arrow_has_an_equation() -> None:
    assert set(EQUATIONS) == {arrow.target for arrow in ARROWS.values()}
    assert nx.is_directed_acyclic_graph(causal_graph())
    rank = {node: number for number, node in enumerate(order())}
    assert all(rank[arrow.source] < rank[arrow.target] for arrow in ARROWS.values())


def test_no_arrow_of_the_presets_is_lost() -> None:
    signal = resolve_strengths()
    assert list(signal) == list(ARROWS)
    assert all(signal.values())
    edges = [(s, t) for s, t in causal_graph().edges if s != DESIGN]
    assert sorted(f"{s}->{t}" for s, t in edges) == sorted(ARROWS)
    assert resolve_strengths({"idh->survival": 0, "preset": "null"}) == resolve_strengths("null")
    assert resolve_strengths({"idh->survival": 2})["idh->survival"] == 2


def test_null_separates_survival_and_images_from_the_classes() -> None:
    null = causal_graph("null")
    assert not list(null.predecessors("survival"))
    assert nx.is_d_separator(null, {"survival"}, set(null) - {"survival"}, set())
    assert nx.is_d_separator(null, {*DESIGNED, "codel", "mgmt"}, set(IMAGING), set())
    assert not nx.is_d_separator(causal_graph(), {"idh"}, set(IMAGING), set())
    assert null.has_edge("aggressiveness", "volume")  # what stays: variation among images that means nothing


@pytest.mark.parametrize(
    ("strengths", "problem"),
    [
        ("nul", "unknown preset 'nul'"),
        ({"idh->hair": 1}, "unknown arrow 'idh->hair'"),
        ({"idh->survival": float("nan")}, "is nan"),
        ({"idh->survival": "strong"}, "is 'strong'"),
        ({"idh->survival": True}, "is True"),
        ({"preset": "none"}, "unknown preset 'none'"),
    ],
)
def test_impossible_strengths(strengths: object, problem: str) -> None:
    with pytest.raises(RadlibError, match=problem):
        resolve_strengths(strengths)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(ARROWS))
def test_taking_an_arrow_away_changes_what_follows_and_nothing_else(name: str) -> None:
    template = load_template("tcga-idh")
    full = sample_subjects(template, n=120, seed=3).latents
    cut = sample_subjects(template, n=120, seed=3, strengths={name: 0}).latents
    target = ARROWS[name].target
    changed = {_node(column) for column in full if not full[column].equals(cut[column])}
    allowed = {target, *nx.descendants(causal_graph(), target)}
    assert changed <= allowed
    # 1p/19q, mismatch and foci are yes-or-no: one weak arrow need not flip any of 120 subjects
    assert target in changed or target in ("codel", "mismatch", "foci")


def _node(column: str) -> str:
    kind = column.split(":")[0]
    return {"gene": "genes", "programme": "pathways"}.get(kind, kind)


def test_the_figure_draws_the_arrows_of_the_simulation() -> None:
    from matplotlib.patches import FancyArrowPatch

    for preset in ("signal", "null"):
        figure = draw_causal_graph(preset)
        arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]
        assert len(arrows) == sum(value != 0 for value in resolve_strengths(preset).values()) + len(DESIGNED)


# Signal


def test_a_cox_model_on_the_truth_finds_every_planted_effect(many: Subjects) -> None:
    table = recover_survival(many)
    assert set(table.index) == set(many.effects["survival"]["log_time"])
    assert (np.sign(table["estimate"]) == np.sign(table["planted"])).all()
    assert (table["p"] < 0.01).all()
    assert table["inside"].mean() >= 0.85
    assert recover_survival(many, level=0.999)["inside"].all()


def test_regressions_find_the_other_arrows(many: Subjects) -> None:
    table = recover_arrows(many)
    assert len(table) >= 30
    assert table["inside"].mean() >= 0.85
    assert recover_arrows(many, level=0.999)["inside"].all()


def test_an_arrow_of_another_strength_is_found_at_that_strength() -> None:
    subjects = sample_subjects(
        load_template("tcga-idh"), n=2000, seed=2, strengths={"idh->survival": 0, "sex->survival": 0.5}
    )
    table = recover_survival(subjects, level=0.99)
    assert table.loc["idh", "planted"] == 0
    assert table.loc["sex", "planted"] == -1
    assert table.loc[["idh", "sex"], "inside"].all()


def test_recovery_needs_a_known_survival() -> None:
    with pytest.raises(RadlibError, match="nobody's survival is known"):
        recover_survival(sample_subjects(load_template("huashan"), n=20, seed=0))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    table = coverage(load_template("tcga-idh"), replicates=8, n=600)
    assert len(table) == 21
    assert table["inside"].mean() == pytest.approx(0.95, abs=0.05)
    assert table["bias"].abs().max() < 6  # t with 7 degrees of freedom, 21 of them
    with pytest.raises(RadlibError, match="no spread"):
        coverage(load_template("tcga-idh"), replicates=1, n=600)


def test_readers_of_the_planted_traits_are_as_good_as_stated() -> None:
    table = planted_readers(n=1500, seed=0)
    assert table["IDH, all traits"].drop("tcga-gbm").between(0.88, 0.975).all()
    assert table["grade 4, FLAIR's traits"].dropna().between(0.85, 0.95).all()
    assert len(table["grade 4, FLAIR's traits"].dropna()) == 3


def test_age_tells_idh_as_in_li2017() -> None:
    """First cohort: 37.9 (8.9) against 44.2 (11.7) years, an AUC of 0.67 for normal ages; in every seed's cohort."""
    people = sample_subjects(load_template("huashan"), seed=3).participants
    first = people[people["t1ce"].notna()]
    ages = {status: part["age"] for status, part in first.groupby("idh")}
    pairs = ages["mutant"].to_numpy()[:, None] < ages["wildtype"].to_numpy()[None]
    assert pairs.mean() == pytest.approx(0.67, abs=0.02)
    assert ages["mutant"].agg(["mean", "std", "size"]).tolist() == pytest.approx([37.9, 8.9, 89], abs=0.6)
    assert (first["sex"] == "F").groupby(first["idh"]).sum().to_dict() == {"mutant": 41, "wildtype": 11}


# Null


@pytest.mark.slow
def test_p_values_are_uniform_without_signal() -> None:
    p = p_values(load_template("tcga-idh"), strengths="null", replicates=120)
    table = uniformity(p)
    tests = [name for name in table.index if name.startswith("survival ~")]
    assert len(tests) == 21
    assert len(table) == 21 + len(IMAGING)
    assert table["p"].min() > 0.01 / len(table)  # Bonferroni
    assert table["below_0.05"].mean() == pytest.approx(0.05, abs=0.015)


@pytest.mark.slow
def test_p_values_are_not_uniform_with_signal() -> None:
    table = uniformity(p_values(load_template("tcga-idh"), strengths="signal", replicates=20))
    strong = ["survival ~ aggressiveness", "survival ~ idh", "core ~ idh", "border ~ idh"]
    assert (table.loc[strong, "p"] < 1e-6).all()


def test_too_few_replicates_are_refused() -> None:
    with pytest.raises(RadlibError, match="5 replicates"):
        p_values(load_template("huashan"), strengths="null", replicates=5)


def test_score_test_is_that_of_statsmodels() -> None:
    from scipy.stats import chi2
    from statsmodels.duration.hazard_regression import PHReg

    draw = rng(0, "score")
    x = np.column_stack([draw.standard_normal(80), draw.integers(0, 2, 80), np.ones(80)])
    days, event = draw.integers(1, 40, 80).astype(float), draw.integers(0, 2, 80)
    p = cox_score_test(x, days, event)
    for column in (0, 1):
        model = PHReg(days, x[:, [column]], status=event, ties="breslow")
        zero = np.zeros(1)
        statistic = model.score(zero) ** 2 / -model.hessian(zero)
        assert p[column] == pytest.approx(chi2.sf(statistic.item(), 1))
    assert np.isnan(p[2])


def test_score_test_by_hand() -> None:
    # two subjects, the one with x = 1 dies first: score 1 - 1/2, information 1/4, statistic 1
    p = cox_score_test(np.array([[1.0], [0.0]]), np.array([1.0, 2.0]), np.array([1, 0]))
    assert p[0] == pytest.approx(0.3173105)


# Distributions


def test_tumour_parts_have_the_published_medians(many: Subjects) -> None:
    volumes = part_volumes(many)
    table = volume_agreement(volumes)
    assert len(table) == 6
    assert table["inside"].all()
    none = (volumes["ET"] == 0).groupby(volumes["collection"]).mean()
    assert none.to_dict() == pytest.approx(NO_ENHANCEMENT_SHARE, abs=0.07)


@pytest.mark.data
def test_the_stated_quartiles_are_those_of_the_tables(real_data: Path) -> None:
    for name, parts in BAKAS_QUARTILES.items():
        table = pd.read_csv(real_data / f"tcga-glioma/radiomics/TCGA_{name}_radiomicFeatures.csv")
        for part, quartiles in parts.items():
            volume = pd.to_numeric(table[f"VOLUME_{part}"]) / 1000
            assert volume.quantile([0.25, 0.5, 0.75]).tolist() == pytest.approx(quartiles)
        assert (table["VOLUME_ET"] == 0).mean() == pytest.approx(NO_ENHANCEMENT_SHARE[name])


@pytest.mark.data
@pytest.mark.parametrize(("name", "group"), [("GBM", "HGG"), ("LGG", "LGG")])
def test_medians_lie_within_the_real_quartiles(real_data: Path, name: str, group: str) -> None:
    table = pd.read_csv(real_data / f"tcga-glioma/radiomics/TCGA_{name}_radiomicFeatures.csv")
    subjects = sample_subjects(load_template("brats2017"), seed=0)
    volumes = part_volumes(subjects)[subjects.participants["grade_group"] == group]
    for part in ("ET", "NET", "ED", "WT"):
        low, high = (pd.to_numeric(table[f"VOLUME_{part}"]) / 1000).quantile([0.25, 0.75])
        assert low <= volumes[part].median() <= high


def test_survival_is_near_the_published(many: Subjects) -> None:
    table = median_survival(many)
    assert table.loc["LGG", "median"] > 3 * table.loc["GBM", "median"]
    agreement = survival_agreement(n=2000, seed=0)
    assert agreement["median"].to_numpy() == pytest.approx(agreement["published_median"].to_numpy(), rel=0.2)
    assert agreement["q25"].to_numpy() == pytest.approx(agreement["published_q25"].to_numpy(), rel=0.2)
    assert median_survival(sample_subjects(load_template("brats2017"), n=200, seed=0)).loc["GBM", "deaths"] == 1


@pytest.mark.data
def test_the_stated_survival_is_that_of_the_tables(real_data: Path) -> None:
    from sksurv.nonparametric import kaplan_meier_estimator

    clinical = pd.read_csv(real_data / "tcga-glioma/clinical/TCGA-CDR_GBM_LGG.csv").set_index("bcr_patient_barcode")
    header = pd.read_csv(real_data / "tcga-glioma/expression/unifiedScaledFiltered.txt", sep="\t", nrows=0).columns
    brats = pd.read_csv(real_data / "brats-tables/survival_data_2017.csv")
    tables = {
        ("tcga-gbm", "GBM"): clinical.reindex([name[:12] for name in header])[["OS", "OS.time"]],
        ("tcga-idh", "LGG"): clinical.loc[clinical["type"] == "LGG", ["OS", "OS.time"]],
        ("brats2017", "GBM"): pd.DataFrame({"OS": 1.0, "OS.time": brats["Survival"]}),
    }
    for key, table in tables.items():
        known = table.dropna()
        days, alive = kaplan_meier_estimator(known["OS"].to_numpy() > 0, known["OS.time"].to_numpy(dtype=float))
        assert [days[np.argmax(alive <= q)] for q in (0.75, 0.5, 0.25)] == list(PUBLISHED_SURVIVAL[key])
