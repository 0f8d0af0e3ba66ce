"""What the segmentation chapter trains: its subjects, the networks' sizes, and how the trainings went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from radlib.data.cohort import Cohort
from radlib.data.regions import REGIONS, region_mask
from radlib.data.store import ImageStore
from radlib.nn.common import count_flops, count_parameters
from radlib.nn.octave import conv_flops, octave_flops
from radlib.papers.islam2020.segmentation import Outcome, Plan
from radlib.papers.islam2020.segmentation_networks import PAPER, TITLES, Recipe, build


def subject_table(cohort: Cohort, plan: Plan, store: ImageStore) -> pd.DataFrame:
    """Who develops and who is held out: subjects, grade, tumour slices, median volumes of the regions (ml)."""
    rows = []
    for name, ids in (("development", plan.development), ("held out", list(plan.held_out))):
        labels = store.labels[store.rows(ids)]
        line: dict[str, object] = {
            "part": name, "subjects": len(ids),
            "high-grade": int((cohort.participants.loc[ids, "grade_group"] == "HGG").sum()),
            "slices with tumour": len(store.slices(ids, where="tumour")),
        }  # fmt: skip
        for region in REGIONS:
            voxels = region_mask(labels, region).flatten(1).sum(dim=1)
            line[f"{region.upper()}, median ml"] = float(voxels.double().median()) * store.spacing**3 / 1000
            line[f"without {region.upper()}"] = int((voxels == 0).sum())
        rows.append(line)
    return pd.DataFrame(rows)


def size_table(models: Sequence[str], recipe: Recipe, *, side: int, paper: Recipe, paper_side: int) -> pd.DataFrame:
    """Parameters and multiplications of every network for one slice, at this size and at the published one.

    Nothing is computed: the networks are built on torch's meta device.
    """
    rows = []
    for model in models:
        line: dict[str, object] = {"network": TITLES[model]}
        for name, one, edge in (("here", recipe, side), ("paper", paper, paper_side)):
            with torch.device("meta"):
                network = build(model, in_channels=3, recipe=one)
            edge = -(-edge // 2 ** len(one.widths)) * 2 ** len(one.widths)  # a multiple that every network takes
            line[f"parameters (10³), {name}"] = count_parameters(network) / 1e3
            line[f"multiplications (10⁹), {name}"] = count_flops(network, (1, 3, edge, edge)) / 1e9
        rows.append(line)
    return pd.DataFrame(rows)


def octave_table(ratios: Sequence[float] = (0.0, 0.25, 0.5, 0.75), *, channels: int = 64) -> pd.DataFrame:
    """Multiplications of one 3 x 3 octave convolution beside those of the plain one, by the closed form."""
    plain = conv_flops(channels, channels, height=240, width=240)
    rows = []
    for ratio in ratios:
        count = octave_flops(channels, channels, height=240, width=240, ratio_in=ratio, ratio_out=ratio)
        rows.append({"ratio of low frequencies": ratio, "multiplications (10⁹)": count / 1e9,
                     "of the plain convolution (%)": 100 * count / plain})  # fmt: skip
    return pd.DataFrame(rows)


def octave_sentence(octave: Outcome, plain: Outcome, recipe: Recipe, *, side: int) -> str:
    """What octave convolutions save on paper and in time, the whole network beside the one with plain convolutions."""
    with torch.device("meta"):
        counts = [
            count_flops(build(model, in_channels=3, recipe=recipe), (1, 3, side, side))
            for model in ("fcn", "fcn_plain")
        ]
    n = min(len(octave.runs), len(plain.runs))
    speed, other = (float(np.median([run.fitted.steps_per_second for run in one.runs[:n]])) for one in (octave, plain))
    return (
        f"With octave convolutions the network has {100 * (1 - counts[0] / counts[1]):.0f} % fewer multiplications "
        f"than with plain ones; its trainings here made {speed:.1f} steps a second, those with plain ones {other:.1f}."
    )


def training_table(outcomes: Mapping[str, Outcome]) -> pd.DataFrame:
    """How the trainings of every network ended, averaged over folds."""
    rows = []
    for outcome in outcomes.values():
        ends, changes = [], []
        for run in outcome.runs:
            history = run.fitted.history
            ends.append(history.loc[history["part"] == "training", "loss"].iloc[-1])
            checks = history[history["part"] == "validation"]
            if len(checks) > 1:
                changes.append(checks["dice_mean"].iloc[-1] - checks["dice_mean"].iloc[-2])
        fitted = [run.fitted for run in outcome.runs]
        rows.append({
            "network": outcome.label, "loss at the end": np.mean(ends),
            "last change of Dice": np.mean(changes) if changes else float("nan"),
            "steps a second": np.mean([one.steps_per_second for one in fitted]),
            "waiting for data": np.mean([one.data_share for one in fitted]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def paper_parameters() -> float:
    """Millions of parameters of the FCN at the published size."""
    with torch.device("meta"):
        return count_parameters(build("fcn", in_channels=3, recipe=PAPER)) / 1e6
