"""Tables and figures of the chapter on the pairwise GAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from radlib.book.report import Report
from radlib.data.cohort import MODALITIES
from radlib.data.published import published
from radlib.papers.ge2020.cases import Case, Translated
from radlib.papers.ge2020.data import SLICES, VIEWS, SliceSet
from radlib.papers.ge2020.runs import HELD_OUT, MASKED, SEEN, UNMASKED, GanRun, Partition
from radlib.plots.style import PALETTE
from radlib.stats.intervals import Estimate

TITLES = {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR"}


def partition_table(partitions: Sequence[Partition], mutant: pd.Series) -> pd.DataFrame:
    """Table 1(b): slices of each class in training, validation and testing, of the first run (all have as many)."""
    split = partitions[0].split
    rows = {}
    for name, label in (("IDH1 mutation", True), ("IDH1 wild-type", False)):
        counts = {part: int((mutant.loc[list(ids)] == label).sum()) for part, ids in (
            ("training", split.train), ("validation", split.validation), ("testing", split.test))}  # fmt: skip
        real = SLICES * counts["training"]
        rows[name] = {
            "training": 4 * real, "training, real": real, "training, GAN-augmented": 3 * real,
            "validation": SLICES * counts["validation"], "testing": SLICES * counts["testing"],
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def case_table(cases: Mapping[str, Case]) -> pd.DataFrame:
    """What each training set holds: real, completed and fake patients."""
    rows = []
    for case in cases.values():
        complete = [r for r in case.real if r.sources == tuple(range(len(MODALITIES)))]
        fake = [r for r in case.augmented if r.fake]
        mixed = [r for r in case.real if r.sources != tuple(range(len(MODALITIES))) and -1 not in r.sources]
        rows.append({
            "training set": case.name, "real patients, all modalities": len(complete),
            "real patients, a scan missing": sum(-1 in r.sources for r in case.real),
            "real patients, a scan synthesised": len(mixed), "fake patients": len(fake),
            "slices in each modality": SLICES * (len(case.real) + len(fake)),
        })  # fmt: skip
    return pd.DataFrame(rows)


def case_figure(cases: Mapping[str, Case]) -> Figure:
    """Figure 6: patients by modality, real and synthesised, in the training sets of both case studies."""
    figure, panels = plt.subplots(1, 2, figsize=(9.4, 3.4), sharex=True)
    groups = {"Prop-A": (("S1, real", 0), ("S2, fake patients", 1)),
              "Prop-B": (("S3, real", 0), ("S4, missing scans", 2), ("S5, fake patients", 1))}  # fmt: skip
    for axes, (name, parts) in zip(panels, groups.items(), strict=True):
        case = cases[name]
        left = np.zeros(len(MODALITIES))
        for title, colour in parts:
            records = case.real if colour != 1 else [r for r in case.augmented if r.fake]
            counts = np.array([
                sum((r.sources[k] == k) if colour == 0 else (r.sources[k] not in (k, -1)) for r in records)
                for k in range(len(MODALITIES))
            ])  # fmt: skip
            axes.barh(range(len(MODALITIES)), counts, left=left, color=PALETTE[colour], label=title,
                      hatch="//" if colour else None, edgecolor="white", linewidth=0)  # fmt: skip
            left += counts
        axes.set_yticks(range(len(MODALITIES)), [TITLES[m] for m in MODALITIES])
        axes.invert_yaxis()
        axes.set(xlabel="patients", title=f"Case {name[-1]}")
        axes.grid(visible=False, axis="y")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, fontsize=9)
    return figure


def example_figure(slices: SliceSet, made: Translated, subjects: Sequence[str], *, place: int = 4) -> Figure:
    """Figure 7: a row a real slice (framed), the other modalities made from it.

    Args:
        slices, made: real and synthetic images.
        subjects: one a row; row ``r`` starts from modality ``r``.
        place: which of the six slices.
    """
    count = len(MODALITIES)
    figure, grid = plt.subplots(len(subjects), count, figsize=(7.4, 1.9 * len(subjects)), squeeze=False)
    for number, subject in enumerate(subjects):
        source, row = number % count, made.ids.index(subject)
        own = slices.rows([subject])[0]
        for channel in range(count):
            axes = grid[number, channel]
            real = channel == source
            image = slices.images[own, place, channel] if real else made.images[source, channel][row, place]
            axes.imshow(image.numpy().T, cmap="gray", vmin=0, vmax=1, origin="lower" if place < 4 else "upper")
            axes.contour(slices.masks[own, place].numpy().T, [0.5], colors=PALETTE[4], linewidths=0.6)
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set(visible=real, color=PALETTE[1], linewidth=3)
            if number == 0:
                axes.set_title(TITLES[MODALITIES[channel]])
    return figure


def view_figure(slices: SliceSet, subject: str) -> Figure:
    """The six slices of a patient, two of each view, in every modality."""
    row = slices.rows([subject])[0]
    figure, grid = plt.subplots(len(MODALITIES), SLICES, figsize=(9.4, 6.2))
    for channel, line in enumerate(grid):
        for place, axes in enumerate(line):
            axes.imshow(slices.images[row, place, channel].numpy().T, cmap="gray", vmin=0, vmax=1,
                        origin="lower" if place < 4 else "upper")  # fmt: skip
            axes.set(xticks=[], yticks=[])
            if channel == 0:
                axes.set_title(VIEWS[place // 2], fontsize=10)
            if place == 0:
                axes.set_ylabel(TITLES[MODALITIES[channel]])
    return figure


def kept_rows(runs: Sequence[GanRun]) -> pd.DataFrame:
    """PSNR of held-out patients to keep (:mod:`radlib.book.scores`), by direction and model."""
    rows = pd.concat([run.psnr for run in runs], ignore_index=True)
    rows = rows[rows["patients"] == HELD_OUT].rename(columns={"whole": "psnr", "tumour": "psnr_tumour"})
    titles = rows[["from", "to"]].map(lambda name: TITLES[name])
    return rows.assign(direction=titles["from"] + " to " + titles["to"])


def direction_table(runs: Sequence[GanRun]) -> pd.DataFrame:
    """PSNR of held-out patients by direction and model, means over patients and runs."""
    rows = pd.concat([run.psnr for run in runs], ignore_index=True)
    rows = rows[rows["patients"] == HELD_OUT]
    wide = rows.pivot_table(index=["from", "to"], columns="model", values=["whole", "tumour"], sort=False)
    return wide.set_axis([", ".join(column) for column in wide.columns.to_list()], axis=1).reset_index()


def direction_figure(runs: Sequence[GanRun]) -> Figure:
    """PSNR of held-out patients by direction: with and without mask, beside the two rules; dots are runs."""
    rows = pd.concat([run.psnr for run in runs], ignore_index=True)
    rows = rows[rows["patients"] == HELD_OUT]
    directions = list(dict.fromkeys(zip(rows["from"], rows["to"], strict=True)))
    models = [MASKED, UNMASKED, "straight line", "other modality as it is"]
    figure, panels = plt.subplots(1, 2, figsize=(9.4, 5.2), sharey=True)
    for axes, (region, title) in zip(panels, (("whole", "whole image"), ("tumour", "tumour")), strict=True):
        for number, model in enumerate(models):
            means = rows[rows["model"] == model].groupby(["from", "to", "run"])[region].mean()
            for y, direction in enumerate(directions):
                values = means.loc[direction]
                axes.plot(values, np.full(len(values), y + 0.16 * (number - 1.5)), "o", markersize=5,
                          color=PALETTE[number], alpha=0.85, label=model if y == 0 else None)  # fmt: skip
        axes.set_yticks(range(len(directions)), [f"{TITLES[a]} to {TITLES[b]}" for a, b in directions])
        axes.set(xlabel="PSNR (dB)", title=title)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def objective_figure(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """The mean error of the generators under the corrected and the printed objective."""
    figure, axes = plt.subplots(figsize=(6.4, 3.4))
    for number, (name, history) in enumerate(histories.items()):
        axes.plot(history["step"], history["generators.l1"], color=PALETTE[number], label=name)
    axes.set(xlabel="step", ylabel="mean error, intensities in [-1, 1]", ylim=(0, None))
    axes.legend()
    return figure


def pair_losses(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """The losses of the six pairs of a run."""
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.6))
    shown = {"generators.l1": "mean error", "generators.deceive": "E|D(G) - 1|², both", "discriminator_n.loss": "L_n"}
    for axes, (metric, title) in zip(panels, shown.items(), strict=True):
        for number, (pair, history) in enumerate(histories.items()):
            smooth = history[metric].rolling(5, min_periods=1).mean()
            axes.plot(history["step"], smooth, color=PALETTE[number], label=pair)
        axes.set(xlabel="step", ylabel=title)
    handles = [Patch(color=PALETTE[number], label=pair) for number, pair in enumerate(histories)]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=9)
    return figure


def collapse_sentence(runs: Sequence[GanRun]) -> str:
    """Which generators collapsed; a mean over directions with one of them says nothing about the mask."""
    found = [name for run in runs for name in run.collapsed]
    total = sum(2 * len(run.speed) for run in runs)
    if not found:
        return f"None of the {total} generators collapsed to one value."
    return f"{len(found)} of the {total} generators collapsed to one value ({'; '.join(found)}): read means with care."


def speed_table(runs: Sequence[GanRun]) -> pd.DataFrame:
    """How fast the pairs were trained: means over the trainings of each model."""
    rows = pd.concat([run.speed for run in runs], ignore_index=True)
    found = rows.groupby("model", sort=False).agg(
        trainings=("pair", "size"), steps=("steps_per_second", "mean"), waiting=("data_share", "mean"),
        memory=("peak_memory", "max"), minutes=("seconds", "sum"),
    )  # fmt: skip
    return pd.DataFrame({
        "trainings": found["trainings"], "steps a second": found["steps"],
        "waiting for data (%)": 100 * found["waiting"], "peak memory (GB)": found["memory"] / 1e9,
        "minutes": found["minutes"] / 60,
    }).reset_index()  # fmt: skip


def published_mask_sentence() -> str:
    """What the mask changes in the paper's Table 6."""
    gaps = {}
    for region in ("whole", "tumour"):
        with_mask, without = (
            published(f"ge2020.table6.{row}.psnr.{region}").number for row in ("with_mask", "without_mask")
        )
        assert with_mask is not None
        assert without is not None
        gaps[region] = float(with_mask) - float(without)
    return f"The paper's means differ by {gaps['whole']:+.2f} dB and {gaps['tumour']:+.2f} dB."


def record_all(
    report: Report,
    *,
    estimates: Mapping[tuple[str, ...], Estimate],
    counts: pd.DataFrame,
    cases: Mapping[str, Case],
    partition: Partition,
    patients: int,
) -> None:
    """Every entry of the paper that belongs to this chapter, once in the ledger."""
    measured = "gain over a copy and a straight line stands beside it; intensities in [0, 1]"
    for row, model in (("with_mask", MASKED), ("without_mask", UNMASKED)):
        for metric in ("psnr", "daef"):
            for region in ("whole", "tumour"):
                for seen, protocol in ((SEEN, "as published"), (HELD_OUT, "leakage-free")):
                    found = estimates[model, seen, metric, region]
                    note = "patients whose images the networks saw" if seen == SEEN else "test patients"
                    note += f"; {measured}" if metric == "psnr" else "; its unit is that of the autoencoder at hand"
                    low, high = (None if np.isnan(limit) else limit for limit in (found.low, found.high))
                    report.record(f"ge2020.table6.{row}.{metric}.{region}", found.value, low=low, high=high, n=found.n,
                                  unit="dB" if metric == "psnr" else "", protocol=protocol, note=note)  # fmt: skip
    for name, label in (("mutation", "IDH1 mutation"), ("wildtype", "IDH1 wild-type")):
        for column, value in zip(("training", "training_real", "training_gan", "validation", "testing"),
                                 counts.loc[label], strict=True):  # fmt: skip
            report.record(f"ge2020.table1b.{name}.{column}", float(value), n=patients, unit="slices",
                          note="counted in the first partition")  # fmt: skip
    train = len(partition.split.train)
    fake = {name: sum(r.fake for r in cases[name].augmented) for name in ("Prop-A", "Prop-B")}
    numbers = {
        "training_share": 100 * train / patients, "fake_patients_a": fake["Prop-A"],
        "fake_slices_a": SLICES * fake["Prop-A"], "fake_patients_b": fake["Prop-B"],
        "fake_slices_b": SLICES * fake["Prop-B"], "removed_share": 100 * len(partition.missing) / train,
        "removed_share_per_modality": 100 * len(partition.missing) / train / len(MODALITIES),
    }  # fmt: skip
    for key, value in numbers.items():
        report.record(f"ge2020.text.{key}", float(value), n=patients, note="counted in the first partition")
    report.record("ge2020.figure6", float(fake["Prop-A"] + fake["Prop-B"]), n=train,
                  note="redrawn; the value is the number of fake patients of both cases")  # fmt: skip
    if report.source == "simulated":
        report.record("ge2020.figure7", estimates[MASKED, HELD_OUT, "psnr", "whole"].value, n=patients,
                      note="redrawn; the value is the PSNR of held-out patients, whole image")  # fmt: skip
    else:
        report.missing("ge2020.figure7", "pictures of real patients are not shown")
    for number, what in ((1, "the pipeline"), (2, "the pairwise GAN"), (3, "generator and discriminator")):
        report.missing(f"ge2020.figure{number}", f"a drawing of {what}; the book has it as code and equations")
