"""From images with gaps to survival: synthesis, segmentation, the 71 features, and what each stage's error costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import nn

from radlib.core.errors import MissingDataError
from radlib.core.progress import track
from radlib.data.cohort import Cohort
from radlib.data.store import ImageStore, prepare
from radlib.features.islam71 import Islam71Settings, feature_names, islam71
from radlib.papers.islam2020 import radiogenomic_results as results
from radlib.papers.islam2020 import radiogenomics as rg
from radlib.papers.islam2020 import segmentation as seg
from radlib.papers.islam2020.synthesis import Synthesiser, load_synthesiser, synthesise
from radlib.plots.style import PALETTE
from radlib.stats.intervals import Estimate
from radlib.stats.multiclass import estimates
from radlib.stats.paired import paired_difference
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, ProtocolRun, Splitter
from radlib.stats.segmentation import score_labels
from radlib.stats.survival import CLASSES, concordance

TRUE_MASKS = "true masks, recorded images"
RECORDED = "predicted masks, recorded images"
SYNTHESISED = "predicted masks, synthesised modalities"
ARMS: tuple[str, ...] = (TRUE_MASKS, RECORDED, SYNTHESISED)
"""Where the 71 features come from. The last is the paper's pipeline; the first needs a truth, as simulation has."""


@dataclass(frozen=True, kw_only=True)
class Stages:
    """A cohort with its gaps, before and after they are filled.

    Attributes:
        recorded: z-scored images as they are; what lacks is 0.
        filled: the same with synthetic modalities in the gaps.
        synthesised: subject and modality of every image that was made.
    """

    recorded: ImageStore
    filled: ImageStore
    synthesised: pd.DataFrame


def load_generators(folder: Path) -> dict[str, Synthesiser]:
    """The generators ``<target>_from_any.safetensors`` that the synthesis chapter left, by target.

    Raises:
        MissingDataError: if there are none.
    """
    found = {}
    for file in sorted(folder.glob("*_from_any.safetensors")):
        network, header = load_synthesiser(file)
        found[str(header["target"])] = network
    if not found:
        raise MissingDataError(
            "there are no generators", file=folder,
            remedy="run the chapter modality_synthesis with the same cohort and profile",
        )  # fmt: skip
    return found


def fill_gaps(
    cohort: Cohort,
    generators: Mapping[str, Synthesiser],
    *,
    modalities: Sequence[str],
    grid: Sequence[int],
    spacing: float,
    seed: int,
) -> Stages:
    """Read a cohort onto one grid and fill in the modalities that segmentation needs.

    A modality for which there is no generator, or no source, stays a gap.

    Args:
        cohort: subjects without any image are left out.
        generators: by target.
        modalities: what segmentation needs.
        grid, spacing: the common grid.
        seed: of the noise.
    """
    recorded = prepare(cohort, grid=grid, spacing=spacing)
    scaled = prepare(cohort, grid=grid, spacing=spacing, normalise="minmax")
    filled, rows = recorded, []
    for target in modalities:
        if target not in generators:
            continue
        network, channel = generators[target], recorded.channels([target])[0]
        takes = recorded.channels(network.sources)
        images = {}
        for row, subject in enumerate(track(recorded.ids, description=f"synthesise {target}")):
            if not recorded.present[row, channel] and recorded.present[row, takes].any():
                images[subject] = synthesise(network, scaled, subject, seed=seed)
        rows += [{"subject": subject, "modality": target} for subject in images]
        filled = filled.replaced(images, modality=target)
    return Stages(recorded=recorded, filled=filled, synthesised=pd.DataFrame(rows, columns=["subject", "modality"]))


def predict_masks(
    networks: Sequence[nn.Module], store: ImageStore, *, modalities: Sequence[str]
) -> dict[str, np.ndarray]:
    """Labels of every subject by the ensemble, ``(X, Y, Z)``; a subject with none of the modalities has no tumour."""
    return {
        subject: seg.segment(networks, store, subject, modalities=modalities)
        for subject in track(store.ids, description="segment")
    }


def true_masks(store: ImageStore) -> dict[str, np.ndarray]:
    """The labels of the store."""
    return {subject: store.labels[row].numpy() for row, subject in enumerate(store.ids) if store.has_labels[row]}


def features(
    masks: Mapping[str, np.ndarray], store: ImageStore, *, settings: Islam71Settings | None = None
) -> pd.DataFrame:
    """The 71 features of each subject with a mask; NaN where a region is empty or the modality lacks.

    Where a network found no tumour at all, lengths and eigenvalues are 0: the patient stays in the study, as such a
    failure is part of the pipeline.
    """
    chosen = settings or Islam71Settings()
    channel = store.channels([chosen.modality])[0]
    rows = {}
    for subject, labels in masks.items():
        row = store.rows([subject])[0]
        image = store.images[row, channel].numpy() if store.present[row, channel] else None
        rows[subject] = islam71(image, labels, spacing=(store.spacing,) * 3, settings=chosen)
        if not labels.any():
            rows[subject] |= {name: 0.0 for name in rows[subject] if "length" in name or "eigenvalue" in name}
    return pd.DataFrame.from_dict(rows, orient="index", columns=feature_names()).rename_axis("id")


def mask_scores(arms: Mapping[str, Mapping[str, np.ndarray]], store: ImageStore) -> pd.DataFrame:
    """Rows of :func:`radlib.stats.segmentation.score_labels` of every arm, with the column ``model``."""
    truth = true_masks(store)
    return pd.concat([
        score_labels(masks[subject], truth[subject], spacing=(store.spacing,) * 3, subject=subject).assign(model=arm)
        for arm, masks in arms.items()
        for subject in truth
    ], ignore_index=True)  # fmt: skip


def with_features(cohort: Cohort, table: pd.DataFrame) -> Cohort:
    """The subjects of ``table``, with it as their radiomic features."""
    return replace(cohort.subset([str(subject) for subject in table.index]), radiomics=table)


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """The survival study once for each source of the features, with the same patients and folds.

    Attributes:
        studies, runs: by arm; the reading *days*.
    """

    studies: dict[str, rg.Study]
    runs: dict[str, ProtocolRun]


def ablate(
    cohort: Cohort,
    tables: Mapping[str, pd.DataFrame],
    *,
    splitter: Splitter,
    short_below: float,
    long_above: float,
    n_radiomic: int,
    n_genomic: int,
    n_permutations: int,
    seed: int,
) -> Ablation:
    """Run every protocol on each table of features; labels are shuffled for the paper's pipeline only."""
    studies, runs = {}, {}
    for arm, table in tables.items():
        study = rg.study_of(with_features(cohort, table), short_below=short_below, long_above=long_above)
        studies[arm] = study
        runs[arm] = rg.run_reading(
            study, reading="days", splitter=splitter, n_radiomic=n_radiomic, n_genomic=n_genomic,
            n_permutations=n_permutations if arm == SYNTHESISED else 0, seed=seed,
        )  # fmt: skip
    return Ablation(studies=studies, runs=runs)


def ablation_table(ablation: Ablation, *, n_boot: int, seed: int) -> pd.DataFrame:
    """What each stage's error costs: accuracy and concordance, by arm, protocol and features of the SVM.

    Returns:
        ``features of``, ``protocol``, ``model``, ``accuracy`` (%) and ``concordance`` with limits, ``n``, and
        ``change of accuracy``: percentage points to the first arm, paired over patients, with limits.
    """
    rows = []
    for protocol in (LEAKAGE_FREE, AS_PUBLISHED):
        for model in ("SVM, radiomic", "SVM, genomic", "SVM, fused"):
            base: pd.Series | None = None
            for arm, run in ablation.runs.items():
                study, part = ablation.studies[arm], run.of(protocol, model)
                accuracy = estimates(part, CLASSES, n_boot=n_boot, seed=seed)["accuracy"]
                order = concordance(rg.days_rows(part), study.days, study.event, n_boot=n_boot, seed=seed)
                right = (part["true"] == part["predicted"]).groupby(part["subject"]).mean()
                base = right if base is None else base
                change = paired_difference(100 * right[base.index], 100 * base, n_boot=n_boot, seed=seed)
                rows.append({
                    "features of": arm, "protocol": protocol, "model": model,
                    "accuracy": 100 * accuracy.value, "low": 100 * accuracy.low, "high": 100 * accuracy.high,
                    "concordance": order.value, "concordance low": order.low, "concordance high": order.high,
                    "change": change.value, "change low": change.low, "change high": change.high, "n": accuracy.n,
                })  # fmt: skip
    return pd.DataFrame(rows)


def display(table: pd.DataFrame) -> pd.DataFrame:
    """:func:`ablation_table` with intervals as text."""
    first = table["features of"].iloc[0]
    return pd.DataFrame({
        "features of": table["features of"], "protocol": table["protocol"], "model": table["model"],
        "accuracy (%)": _intervals(table, "accuracy", "low", "high", digits=1),
        "change (points)": [
            "" if arm == first else text
            for arm, text in zip(
                table["features of"], _intervals(table, "change", "change low", "change high", digits=1, sign="+"),
                strict=True,
            )
        ],
        "concordance": _intervals(table, "concordance", "concordance low", "concordance high", digits=2),
        "n": table["n"],
    })  # fmt: skip


def _intervals(table: pd.DataFrame, value: str, low: str, high: str, *, digits: int, sign: str = "") -> list[str]:
    cells = []
    for v, a, b in table[[value, low, high]].itertuples(index=False):
        limits = f" ({a:{sign}.{digits}f} to {b:{sign}.{digits}f})" if np.isfinite(a) else ""
        cells.append(f"{v:{sign}.{digits}f}{limits}")
    return cells


def ablation_figure(table: pd.DataFrame, *, chance: float) -> Figure:
    """Accuracy by source of the features, leakage-free and as published, for each set of features."""
    figure, panels = plt.subplots(1, 2, figsize=(9.4, 4.4), sharey=True)
    models = list(dict.fromkeys(table["model"]))
    for axes, (protocol, part) in zip(panels, table.groupby("protocol", sort=False), strict=True):
        for number, (arm, rows) in enumerate(part.groupby("features of", sort=False)):
            place = np.arange(len(models)) + (number - 1) * 0.2
            ordered = rows.set_index("model").loc[models]
            errors = np.stack([ordered["accuracy"] - ordered["low"], ordered["high"] - ordered["accuracy"]])
            axes.errorbar(place, ordered["accuracy"], yerr=errors, fmt="osD"[number % 3], color=PALETTE[number],
                          label=str(arm) if protocol == LEAKAGE_FREE else None)  # fmt: skip
        axes.axhline(chance, color="0.35", linestyle=":", label="largest class" if protocol == LEAKAGE_FREE else None)
        axes.set_xticks(range(len(models)), [name.removeprefix("SVM, ") for name in models])
        axes.set_title(str(protocol))
    panels[0].set_ylabel("accuracy (%)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def feature_agreement(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How well features of the later arms agree with those of true masks: Spearman's rho by kind of feature.

    Returns:
        One row a kind of feature and arm: median and quartiles of the correlation over features and the share of
        values that are missing.
    """
    truth = tables[TRUE_MASKS]
    kinds = {
        "axis coordinates": r"axis\d_[xyz]$", "axis lengths": "length$", "centroid": "centroid",
        "eigenvalues": "eigenvalue", "eccentricity": "eccentricity", "fractal dimension": "fractal",
        "intensity": "kurtosis|entropy|histogram",
    }  # fmt: skip
    rows = []
    for arm, table in tables.items():
        if arm == TRUE_MASKS:
            continue
        both = table.reindex(truth.index)
        for kind, pattern in kinds.items():
            names = [name for name in truth if pd.Series([name]).str.contains(pattern).iloc[0]]
            varying = [name for name in names if both[name].nunique() > 1 and truth[name].nunique() > 1]
            rho = [both[name].corr(truth[name], method="spearman") for name in varying]
            low, middle, high = np.nanquantile(rho, [0.25, 0.5, 0.75]) if np.isfinite(rho).any() else [np.nan] * 3
            rows.append({
                "features": kind, "of": arm, "median rho": middle, "lower quartile": low, "upper quartile": high,
                "missing (%)": 100 * both[names].isna().to_numpy().mean(),
                "missing with true masks (%)": 100 * truth[names].isna().to_numpy().mean(),
            })  # fmt: skip
    return pd.DataFrame(rows)


def accuracy_of(table: pd.DataFrame, *, arm: str, protocol: str, model: str = "SVM, fused") -> Estimate:
    """One accuracy (%) of :func:`ablation_table`."""
    row = table[(table["features of"] == arm) & (table["protocol"] == protocol) & (table["model"] == model)].iloc[0]
    return Estimate(float(row["accuracy"]), float(row["low"]), float(row["high"]), int(row["n"]))


def table_2(ablation: Ablation, protocol: str, *, n_boot: int, seed: int) -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """Table II of the paper's pipeline."""
    study = ablation.studies[SYNTHESISED]
    return results.table_2(ablation.runs[SYNTHESISED].of(protocol, "SVM, fused"), study, n_boot=n_boot, seed=seed)
