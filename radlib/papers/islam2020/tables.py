"""Tables of the chapters on segmentation and synthesis, and what the papers print beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import torch

from radlib.core.titles import MODALITY_TITLES
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.published import published
from radlib.data.regions import REGIONS, region_mask
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.nn.common import count_flops, count_parameters
from radlib.papers.islam2020.recipes import (
    METHODS,
    PAPER,
    Recipe,
    SynthesisRecipe,
    build,
    build_discriminator,
    build_generator,
)
from radlib.stats.intervals import mean_estimate
from radlib.stats.tables import format_interval
from radlib.study.estimates import standard_table
from radlib.study.studies import Study

MODELS: dict[str, str] = {
    "fcn": "Octave FCN, skip-scSE",
    "unet_scse": "U-Net, scSE",
    "unet": "U-Net",
    "deeplab_v3": "DeepLab v3",
    "gcn": "GCN",
    "dynunet": "DynUNet (MONAI)",
    "segresnet": "SegResNet (MONAI)",
    "basic_unet": "BasicUNet (MONAI)",
    "unet_plain": "U-Net, no batch norm",
    "fcn_norm": "Octave FCN, batch norm",
    "fcn_scse": "Octave FCN, scSE",
    "fcn_none": "Octave FCN, no excitation",
    "fcn_plain": "plain FCN, skip-scSE",
}
"""The segmentation networks by the names that readers see; the first five are rows of Table I."""

LACKING: dict[str, str] = {
    "synthetic": "U-Net: T1ce, FLAIR, synthetic T2",
    "zeroed": "U-Net: T1ce, FLAIR, T2 all 0",
    "dropout": "U-Net with modality dropout: T1ce, FLAIR",
    "dropout_whole": "U-Net with modality dropout: T1ce, FLAIR, T2",
}
"""What is done about a missing T2."""

LACKING_T1CE: dict[str, str] = {
    "synthetic_t1ce": "U-Net: T1, FLAIR, synthetic T1ce",
    "line_t1ce": "U-Net: T1, FLAIR, T1ce by a straight line",
    "zeroed_t1ce": "U-Net: T1, FLAIR, T1ce all 0",
    "dropout_t1ce": "U-Net with modality dropout: T1, FLAIR",
    "dropout_all": "U-Net with modality dropout: T1, T1ce, FLAIR",
}
"""What is done about a missing T1ce, where no patient has T2."""

GENERATORS: dict[str, str] = {
    "fcn": "FCN cGAN (the paper's)",
    "fcn_norm": "FCN cGAN with batch norm",
    "unet": "U-Net cGAN (pix2pix)",
    "fcn_l1": "FCN, L1 only",
    "linear": "linear in intensities",
}
"""The methods of synthesis by the names that readers see."""


def named(modalities: Sequence[str]) -> str:
    """``T1ce, FLAIR``."""
    return ", ".join(MODALITY_TITLES[name] for name in modalities)


def direction(slug: str) -> str:
    """``T1ce + FLAIR to T2`` of ``t1ce_flair_to_t2``."""
    sources, _, target = slug.partition("_to_")
    return f"{' + '.join(MODALITY_TITLES[name] for name in sources.split('_'))} to {MODALITY_TITLES[target]}"


def subject_table(cohort: Cohort, split: Split, store: ImageStore) -> pd.DataFrame:
    """Who develops and who is held out: subjects, grade, tumour slices, median volumes of the regions (ml)."""
    rows = []
    for name, ids in (("development", [*split.train, *split.validation]), ("held out", list(split.test))):
        labels = store.labels[store.rows(ids)]
        line: dict[str, object] = {
            "part": name, "subjects": len(ids),
            "high-grade": int((cohort.participants.loc[ids, "grade_group"] == "HGG").sum()),
            "slices with tumour": len(store.slices(ids, where="tumour")),
        }  # fmt: skip
        for region in REGIONS:
            voxels = region_mask(labels, region).flatten(1).sum(dim=1)
            line[f"{region.upper()}, median ml"] = float(voxels.double().median()) * store.voxel_ml
            line[f"without {region.upper()}"] = int((voxels == 0).sum())
        rows.append(line)
    return pd.DataFrame(rows)


def size_table(models: Sequence[str], recipe: Recipe, *, side: int, paper_side: int = 240) -> pd.DataFrame:
    """Parameters and multiplications of every network for one slice, at this size and at the published one.

    Nothing is computed: the networks are built on torch's meta device.
    """
    rows = []
    for model in models:
        line: dict[str, object] = {"network": MODELS[model]}
        for name, one, edge in (("here", recipe, side), ("paper", PAPER, paper_side)):
            with torch.device("meta"):
                network = build(model, in_channels=3, recipe=one)
            edge = -(-edge // 2 ** len(one.widths)) * 2 ** len(one.widths)  # a multiple that every network takes
            line[f"parameters (10³), {name}"] = count_parameters(network) / 1e3
            line[f"multiplications (10⁹), {name}"] = count_flops(network, (1, 3, edge, edge)) / 1e9
        rows.append(line)
    return pd.DataFrame(rows)


def generator_sizes(recipe: SynthesisRecipe, *, n_sources: int, edge: int) -> pd.DataFrame:
    """Parameters, operations and the discriminator's map of every method, at an edge of the slice."""
    rows = []
    for method, changes in METHODS.items():
        chosen = replace(recipe, **changes)  # type: ignore[arg-type]
        net = build_generator(tuple(MODALITIES[:n_sources]), chosen)
        judge = build_discriminator(n_sources + 1, chosen)
        shape = None if judge is None else judge(torch.zeros(1, n_sources + 1, edge, edge)).shape
        rows.append({
            "method": GENERATORS[method],
            "generator, parameters": count_parameters(net),
            "generator, million multiplications": count_flops(net, (1, n_sources, edge, edge)) / 1e6,
            "discriminator, parameters": 0 if judge is None else count_parameters(judge),
            "verdicts on a slice": "none" if shape is None else f"{shape[-2]} x {shape[-1]}",
        })  # fmt: skip
    return pd.DataFrame(rows)


def training_table(study: Study) -> pd.DataFrame:
    """How the trainings of every arm ended, averaged over runs; loss and Dice are those of the history."""
    history = study.history
    rows = []
    for arm, title in study.titles.items():
        ends, changes = [], []
        for _, part in history[history["arm"] == arm].groupby("run"):
            ends.append(part.loc[part["part"] == "training", "loss"].iloc[-1])
            checks = part.loc[part["part"] == "validation", "dice_mean"] if "dice_mean" in part else part[:0]
            if len(checks) > 1:
                changes.append(checks.iloc[-1] - checks.iloc[-2])
        notes = pd.DataFrame([one.notes for one in study.results(arm)])
        rows.append({
            "network": title, "loss at the end": sum(ends) / len(ends),
            "last change of Dice": sum(changes) / len(changes) if changes else float("nan"),
            "steps a second": notes["steps_per_second"].mean(), "waiting for data": notes["data_share"].mean(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def beside_print(
    found: pd.DataFrame, *, titles: Mapping[str, str], table: str, rows: Mapping[str, str], printed: str
) -> pd.DataFrame:
    """Estimates of one metric by region as a table to read, with the published values beside them.

    Args:
        found: of :func:`radlib.study.estimates.estimates`.
        titles: of arms.
        table: ``table1`` or ``table3``.
        rows: arms to rows of the published table; others have none.
        printed: the published metric.
    """
    shown = standard_table(found, titles=titles, digits={"dice": 3, "hd95": 1}).rename(columns={"": "network"})
    for region in dict.fromkeys(found["group"]):
        shown[f"published, {region.upper()}"] = [
            published(f"islam2020.{table}.{rows[arm]}.{printed}.{region}").printed if arm in rows else ""
            for arm in dict.fromkeys(found["arm"])
        ]
    return shown


def lesion_table(found: pd.DataFrame, *, titles: Mapping[str, str]) -> pd.DataFrame:
    """Lesion-wise scores to read, of estimates that hold them; a line a network."""
    names = {"lesion_dice": "Dice by lesion", "lesion_hd95": "HD95 by lesion"}
    own = found[found["metric"].isin(names)]
    shown = own.assign(metric=own["metric"].map(names))
    digits = {"Dice by lesion": 3, "HD95 by lesion": 0}
    return standard_table(shown, titles=titles, digits=digits).rename(columns={"": "network"})


def temperature_table(study: Study, *, n_boot: int, seed: int) -> pd.DataFrame:
    """What tempering the members does to ensembles (:func:`~radlib.papers.islam2020.study_temperature.temperature`)."""
    rows = []
    for arm, title in study.titles.items():
        result = study.result(arm)
        found = result.table("temperatures")["temperature"]
        row = {"network": title, "temperatures": f"{found.min():.2f} to {found.max():.2f}"}
        for metric, name in {"nll": "negative log probability", "brier": "Brier score"}.items():
            rows_of = result.scores[result.scores["metric"] == metric]
            wide = rows_of.pivot(index="subject", columns="prediction", values="value")
            change = mean_estimate(wide["tempered"] - wide["plain"], n_boot=n_boot, seed=seed)
            row[name] = f"{wide['plain'].mean():.4f}"
            row[f"{name}, change"] = format_interval(change.value, change.low, change.high, digits=4)
        bins = result.table("reliability").groupby(["prediction", "bin"])[["voxels", "confidence", "right"]].sum()
        gaps = (bins["confidence"] - bins["right"]).abs().groupby("prediction").sum()
        error = gaps / bins["voxels"].groupby("prediction").sum()
        rows.append(row | {"calibration error": f"{error['plain']:.4f}", "tempered": f"{error['tempered']:.4f}"})
    return pd.DataFrame(rows)


def contrast_table(found: pd.DataFrame, *, titles: Mapping[str, str], digits: int = 3) -> pd.DataFrame:
    """Contrasts as a table to read: a line a pair, a column a metric and group."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    several = found["metric"].nunique() > 1
    for row in found.to_dict("records"):
        pair = (row["first"], row["second"])
        line = lines.setdefault(pair, {"": f"{titles[pair[0]]} minus {titles[pair[1]]}"})
        column = f"{row['metric']}, {row['group']}" if several else row["group"].upper()
        line[column] = format_interval(row["value"], row["low"], row["high"], digits=digits)
    return pd.DataFrame(list(lines.values())).fillna("")
