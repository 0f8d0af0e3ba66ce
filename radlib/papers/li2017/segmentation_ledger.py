"""Times of the tumour CNN of Li 2017, and its chapter's part of the ledger."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from radlib.book.report import Report
from radlib.data.published import published
from radlib.data.splits import Split
from radlib.papers.li2017.segmentation import Recipe
from radlib.papers.li2017.segmentation_study import MULTIPLE, SINGLE, VARIANTS, Outcome

LEDGER: tuple[str, ...] = (
    "figure1",
    *(f"text.{name}" for name in (
        "segmentation_training", "segmentation_test", "convolutional_layers", "added_layers", "fc_neurons",
        "fc_neurons_before", "patch_size", "tumour_patches", "segmentation_training_time", "segmentation_time",
        "feature_time", "encoding_time",
    )),
)  # fmt: skip
"""Entries of the paper that this chapter answers; all others belong to the chapters on its features."""


def record(
    report: Report,
    *,
    outcomes: Mapping[str, Outcome],
    found: pd.DataFrame,
    changes: pd.DataFrame,
    split: Split,
    recipe: Recipe,
    neurons: tuple[int, int],
    spent: Mapping[str, float],
) -> None:
    """Put what was measured beside the paper's entries of :data:`LEDGER`; each is recorded once."""
    title = outcomes[MULTIPLE.key].title
    best = found[(found["method"] == title) & (found["metric"] == "dice")].iloc[0]
    dsc = changes[changes["metric"] == "dice"].set_index("change")["value"].to_dict()
    said = ", ".join(f"{name} {dsc[name]:+.3f}" for name in ("deeper and wider", "T1c added"))
    report.record(
        "li2017.figure1", best["value"], low=best["low"], high=best["high"], n=int(best["n"]), protocol="leakage-free",
        note=f"DSC of {title}; {said}",
    )  # fmt: skip
    size = f"with filters {recipe.filters[0]} and {recipe.filters[1]}, {neurons[1]} neurons"
    seconds = float(np.mean([run.fitted.seconds for run in outcomes[MULTIPLE.key].runs]))
    segmentation = float(outcomes[MULTIPLE.key].scores["seconds"].median())
    values: dict[str, tuple[float, str, str]] = {
        "segmentation_training": (len(split.train), "patients", ""),
        "segmentation_test": (len(split.test), "patients", ""),
        "convolutional_layers": (SINGLE.convolutions, "", "built and trained with as many"),
        "added_layers": (SINGLE.convolutions - VARIANTS[0].convolutions, "", "against the network that it starts from"),
        "fc_neurons": (neurons[1], "", "the size of this run; the published size is built in the tests"),
        "fc_neurons_before": (neurons[0], "", "the size of this run"),
        "patch_size": (recipe.patch, "pixels", "edge; a pixel is as large as the grid's"),
        "tumour_patches": (100 * tumour_percent(recipe), "%", "counted in the batches"),
        "segmentation_training_time": (seconds / 3600, "h", f"{recipe.steps} steps {size}"),
        "segmentation_time": (segmentation / 60, "min", f"median of the test patients, {size}"),
        "feature_time": (spent["descriptors"], "s", f"last convolution, ten scales, {size}"),
        "encoding_time": (spent["encoding"], "s", f"{recipe.filters[1]} filters, 64 components"),
    }
    for name, (value, unit, note) in values.items():
        report.record(f"li2017.text.{name}", value, unit=unit, note=note)


def tumour_percent(recipe: Recipe) -> float:
    """Share of a batch that is around tumour, after rounding to whole patches."""
    return round(recipe.tumour_share * recipe.batch_size) / recipe.batch_size


def time_table(outcomes: Mapping[str, Outcome], *, spent: Mapping[str, float]) -> pd.DataFrame:
    """Seconds of every stage of the paper's network beside the published ones.

    Args:
        outcomes: of all variants.
        spent: of :func:`radlib.papers.li2017.segmentation_study.feature_times`.
    """
    outcome = outcomes[MULTIPLE.key]
    stages = {
        "training": (outcome.runs[0].fitted.seconds, "segmentation_training_time"),
        "segmentation of a patient": (float(outcome.scores["seconds"].median()), "segmentation_time"),
        "answers of the last convolution, ten scales": (spent["descriptors"], "feature_time"),
        "Fisher vector": (spent["encoding"], "encoding_time"),
    }
    rows = [
        {"stage": stage, "here (s)": seconds, "published": _printed(name)} for stage, (seconds, name) in stages.items()
    ]
    return pd.DataFrame(rows)


def _printed(name: str) -> str:
    entry = published(f"li2017.text.{name}")
    return f"{entry.printed} {entry.unit}"
