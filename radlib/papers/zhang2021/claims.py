"""What the two chapters say of every entry of the paper; each entry is spoken of by one of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from radlib.book.report import Report
from radlib.nn.common import count_parameters
from radlib.papers.zhang2021.architecture import PAPER, fusion_parameters, transferred, transition_parameters
from radlib.papers.zhang2021.fusion import Outcome
from radlib.papers.zhang2021.networks import UNet
from radlib.papers.zhang2021.recipe import PAIRS, SINGLES
from radlib.papers.zhang2021.results import (
    FUSION_ROWS,
    TRANSITION_ROWS,
    difference,
    estimate,
    record_quoted,
    record_scores,
)
from radlib.papers.zhang2021.stages import Subjects
from radlib.stats.intervals import Estimate

COUNTED = (
    "ensembles_beaten_2017", "ensembles_listed_2017", "ensembles_compared_2017", "singles_compared_2017",
    "singles_beaten_2017", "ensembles_compared_2018", "singles_compared_2018", "ensembles_beaten_2018",
)  # fmt: skip
"""Statements that count rows of the paper's own tables."""

SHAPES = "pre-trained in 2D on simulated shapes, which stand for PASCAL VOC here"


def record_transition(
    report: Report,
    subjects: Subjects,
    scores: Mapping[str, pd.DataFrame],
    outcomes: Mapping[str, Outcome],
    *,
    voc: bool,
    pairs: Mapping[str, Estimate],
    n_boot: int = 2000,
    seed: int = 0,
) -> None:
    """The entries of the chapter on feature transition.

    Args:
        report: of the chapter.
        subjects: who took part.
        scores: ``table2`` and ``table4`` to :func:`~radlib.papers.zhang2021.results.score_rows`.
        outcomes: ``ours``, ``ours_self`` and, where trained, ``ours_other``.
        voc: whether the 2D network saw PASCAL VOC.
        pairs: of :func:`~radlib.papers.zhang2021.architecture.within_and_between`.
        n_boot, seed: of the bootstrap.
    """
    for table, found in scores.items():
        note = f"{_runs(outcomes['ours'])}, {subjects.store.spacing:g} mm, held-out subjects of the training set"
        rows = [row for row in TRANSITION_ROWS if row != "ours_2d" or voc]
        record_scores(report, found, table=table, rows=rows, note=note)
        if not voc and report.source == "simulated":
            record_scores(report, found, table=table, rows=["ours_2d"], note=f"{note}; {SHAPES}")
        elif not voc:
            _all_missing(report, f"zhang2021.{table}.ours_voc", "PASCAL VOC is not under the data root")
    for metric in ("dice", "sensitivity", "hd95"):
        key = f"zhang2021.text.other_pairs.{metric}"
        if "ours_other" in outcomes:
            one = estimate(outcomes["ours_other"], metric, "average", n_boot=n_boot, seed=seed)
            _record(report, key, one, note=f"T1 + FLAIR and T2 + T1c, {_runs(outcomes['ours_other'])}")
        else:
            report.missing(key, "the other pairs were not trained in this run")
    one = difference(outcomes["ours"], outcomes["ours_self"], "dice", "average", n_boot=n_boot, seed=seed)
    _record(
        report, "zhang2021.text.self_reconstruction", one, note="average Dice, transition minus self-reconstruction"
    )
    everyone = len(subjects.train) + len(subjects.held_out)
    for key, count, note in (
        ("training_subjects", everyone, "subjects with four modalities and a segmentation; some are held out here"),
        ("validation_2017", len(subjects.fewer), "held-out subjects in place of the hidden validation set"),
        ("validation_2018", len(subjects.held_out), "held-out subjects in place of the hidden validation set"),
    ):
        report.record(f"zhang2021.text.{key}", count, n=count, note=note)
    report.record("zhang2021.figure1", everyone, n=everyone, unit="subjects", note="drawn with the pairs (Figure 5)")
    moved = transferred()
    report.record("zhang2021.figure2", moved["parameters"] / moved["of"], unit="of the fusion network's parameters",
                  note="share that starts from the generators, at the published size")  # fmt: skip
    generator = count_parameters(UNet(2, 2, widths=PAPER.widths)) / 1e6
    report.record("zhang2021.figure3", generator, unit="million parameters",
                  note="a generator at the published size; the paper prints no count")  # fmt: skip
    _record(report, "zhang2021.figure5", pairs["difference"],
            note="absolute rank correlation within pairs minus between pairs")  # fmt: skip
    ratio = transition_parameters(SINGLES, PAPER) / transition_parameters(PAIRS, PAPER)
    report.record("zhang2021.figure6", ratio, unit="times the parameters",
                  note="six CycleGANs over the one between pairs, at the published size")  # fmt: skip


def record_fusion(
    report: Report,
    subjects: Subjects,
    scores: Mapping[str, pd.DataFrame],
    outcomes: Mapping[str, Outcome],
    *,
    training: Estimate,
    failure: Estimate,
    failure_note: str,
    n_boot: int = 2000,
    seed: int = 0,
) -> None:
    """The entries of the chapter on feature fusion.

    Args:
        report: of the chapter.
        subjects: who took part.
        scores: ``table2`` and ``table4`` to :func:`~radlib.papers.zhang2021.results.score_rows`.
        outcomes: of all of :data:`~radlib.papers.zhang2021.results.FUSION_ROWS`.
        training: average Dice of ours on training subjects.
        failure: what stands for Figure 9, and ``failure_note`` what it is.
        failure_note: see there.
        n_boot, seed: of the bootstrap.
    """
    minus = functools.partial(difference, metric="dice", place="average", n_boot=n_boot, seed=seed)
    ours = outcomes["ours"]
    note = f"{_runs(ours)}, {subjects.store.spacing:g} mm, held-out subjects of the training set"
    for table, found in scores.items():
        record_scores(report, found, table=table, rows=FUSION_ROWS, note=note)
    for table, source in (("table3", "table2"), ("table5", "table4")):
        record_scores(report, scores[source], table=table, rows=["ours"], note=note)
        record_quoted(report, table)
    gain = minus(ours, outcomes["s_a_s_b"])
    percent = Estimate(100 * gain.value, 100 * gain.low, 100 * gain.high, gain.n)
    _record(report, "zhang2021.text.dice_gain_2018", percent, note=note)
    _record(report, "zhang2021.text.dice_training_2018", training, note="ours on subjects it was trained on",
            protocol="as published")  # fmt: skip
    above = minus(outcomes["s_a_s_b"], outcomes["s_b"])
    below = minus(outcomes["s_a"], outcomes["s_a_s_b"])
    held = int(above.low > 0) + int(below.low > 0)
    steps = f"S_A + S_B over S_B ({_said(above)}), S_A over S_A + S_B ({_said(below)})"
    report.record("zhang2021.text.fusion_order", held, n=above.n, unit="of 2 steps", protocol="leakage-free",
                  note=f"intervals above 0: {steps}")  # fmt: skip
    guided = minus(ours, outcomes["without_mg"])
    _record(report, "zhang2021.text.mask_guidance", guided, note="average Dice, with minus without mask guidance")
    for name in COUNTED:
        report.missing(
            f"zhang2021.text.{name}", "counts rows of the paper's own tables; its remark says what they give"
        )
    report.record("zhang2021.figure4", fusion_parameters() / 1e3, unit="thousand parameters",
                  note="the fusion branch at the published size; the paper prints no count")  # fmt: skip
    _record(report, "zhang2021.figure7", gain, note="average Dice, ours minus S_A + S_B, where the paper has pictures")
    _record(report, "zhang2021.figure8", training, note="average Dice of ours on subjects it was trained on",
            protocol="as published")  # fmt: skip
    _record(report, "zhang2021.figure9", failure, note=failure_note)


def _record(report: Report, key: str, one: Estimate, *, note: str, protocol: str = "leakage-free") -> None:
    if not np.isfinite(one.value):
        report.missing(key, f"undefined in this run: {note}")
        return
    low, high = (one.low, one.high) if np.isfinite(one.low) else (None, None)
    report.record(key, one.value, low=low, high=high, n=one.n, protocol=protocol, note=note)


def _all_missing(report: Report, prefix: str, reason: str) -> None:
    from radlib.data.published import published_values

    for key in published_values("zhang2021"):
        if key.startswith(f"{prefix}."):
            report.missing(key, reason)


def _runs(outcome: Outcome) -> str:
    count = outcome.scores["run"].nunique()
    return f"mean of {count} trainings" if count > 1 else "one training"


def _said(one: Estimate) -> str:
    return f"{one.value:+.3f}, {one.low:+.3f} to {one.high:+.3f}"
