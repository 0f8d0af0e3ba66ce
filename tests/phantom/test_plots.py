"""Figures and tables of the chapter on the simulated cohort."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from radlib.core.errors import MissingDataError
from radlib.data.cohort import Cohort
from radlib.phantom import plots
from radlib.phantom.agreement import BAKAS_QUARTILES, label_volumes, part_volumes
from radlib.phantom.anatomy import Grid
from radlib.phantom.biology import sample_subjects
from radlib.phantom.causal import ARROWS, resolve_strengths
from radlib.phantom.make import make
from radlib.phantom.templates import TEMPLATE_NAMES, load_template
from radlib.phantom.validation import arrow_table, scan_patterns, template_table


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make("brats2017", out=tmp_path_factory.mktemp("cohort"), n=3, grid=(48, 48, 40), seed=2)


def test_label_volumes_are_the_counts_of_the_label_maps(cohort: Cohort) -> None:
    table = label_volumes(cohort)
    assert list(table.index) == cohort.ids
    volume = cohort.labels(cohort.ids[0])
    ml = np.prod(volume.spacing) / 1000
    row = table.iloc[0]
    assert row["ET"] == pytest.approx((volume.data == 4).sum() * ml)
    assert row["ED"] == pytest.approx((volume.data == 2).sum() * ml)
    assert row["WT"] == pytest.approx((volume.data > 0).sum() * ml)
    assert row["collection"] == cohort.participants["collection"].iloc[0]


def test_label_maps_hold_the_volume_that_was_asked_for(cohort: Cohort) -> None:
    asked = part_volumes(sample_subjects(load_template("brats2017"), n=3, seed=2))
    drawn = label_volumes(cohort)["WT"].to_numpy()  # by a person, so not exactly
    assert drawn == pytest.approx(asked["WT"].to_numpy(), rel=0.35)


def test_gallery_shows_each_subject_once(cohort: Cohort) -> None:
    choice = plots.gallery_choice(cohort)
    assert sorted(choice.values()) == sorted(cohort.ids)
    assert next(iter(choice)) == "most enhancement"


def test_a_gallery_is_of_simulated_subjects_only(cohort: Cohort, tmp_path: Path) -> None:
    real = Cohort(name="real", source="real", root=tmp_path, participants=cohort.participants)
    with pytest.raises(MissingDataError, match="truth"):
        plots.gallery_choice(real)


def test_volume_figure_draws_the_published_medians(cohort: Cohort) -> None:
    asked = part_volumes(sample_subjects(load_template("brats2017"), n=60, seed=0))
    figure = plots.volume_figure({"asked for": asked})
    assert [axes.get_title() for axes in figure.axes] == list(BAKAS_QUARTILES)
    medians = [line.get_segments()[0][0][1] for line in figure.axes[0].collections[1::2]]
    assert medians == [quartiles[1] for quartiles in BAKAS_QUARTILES["GBM"].values()]
    plt.close(figure)


def test_the_gallery_of_mechanisms_has_four_pictures_each() -> None:
    traits = next(iter(sample_subjects(load_template("brats2017"), n=1, seed=0).traits.values()))
    names = ("bright_cortex", "rater")
    figure = plots.mechanism_gallery(traits, protocol="brats-3t", grid=Grid.fitting((32, 40, 32)), seed=0, names=names)
    assert sum(len(axes.images) for axes in figure.axes) == 4 * len(names)
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["bright cortex", "rater"]
    contours = [bool(axes.collections) for axes in figure.axes]
    assert contours == [False] * 4 + [True] * 4
    plt.close(figure)


def test_what_fools_is_drawn_by_region_and_method() -> None:
    table = pd.DataFrame(
        [
            {"method": m, "region": r, "distractor": d, "Dice lost": 0.1, "false positive": 0.2, "false negative": 0.0}
            for m in ("U-Net", "rule") for r in ("wt", "et") for d in ("lesions", "vessels", "blood")
        ]
    )  # fmt: skip
    figure = plots.fools_figure(table)
    assert [len(axes.patches) for axes in figure.axes] == [6] * 4
    plt.close(figure)


def test_forest_draws_planted_values_and_estimates() -> None:
    table = pd.DataFrame(
        {"planted": [0.5, -1.0], "estimate": [0.4, -0.9], "low": [0.1, -1.2], "high": [0.7, -0.6]},
        index=["age", "gene:LDLR"],
    )
    figure = plots.forest(table, xlabel="log hazard ratio")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["age", "LDLR"]
    assert any(list(line.get_xdata()) == [0.5, -1.0] for line in axes.lines)
    plt.close(figure)


def test_quantile_plot_has_a_panel_a_group_and_a_line_a_test() -> None:
    p = pd.DataFrame({"survival ~ age": [0.9, 0.1], "volume ~ idh": [0.2, 0.4]})
    figure = plots.quantile_plot(p, groups=[("survival ~", "survival"), ("~ idh", "traits")])
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]  # the test and the diagonal
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.1, 0.9]
    plt.close(figure)


def test_tables_of_graph_and_templates() -> None:
    arrows = arrow_table()
    assert len(arrows) == len(ARROWS)
    assert (arrows["null"] == 0).sum() == sum(value == 0 for value in resolve_strengths("null").values())
    templates = template_table()
    assert list(templates.index) == list(TEMPLATE_NAMES)
    assert templates.loc["tcga-gbm", "with MRI"] == 106
    assert templates.loc["tcga-idh", "IDH mutant / wild type"] == "55 / 112"
    patterns = scan_patterns(load_template("tcga-gbm"))
    assert patterns["subjects"].sum() == 202
    assert patterns.loc[patterns["t2"] == "yes", "subjects"].sum() == 18
