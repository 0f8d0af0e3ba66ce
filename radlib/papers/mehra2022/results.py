"""Tables and figures of Mehra 2022."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from radlib.book.report import Report
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.papers.mehra2022.augment import augment
from radlib.papers.mehra2022.networks import FeatureUNet
from radlib.papers.mehra2022.segmentation import score_slices
from radlib.plots.style import PALETTE
from radlib.stats.classification import Predictions, evaluate
from radlib.stats.generated import frechet_distance, memorised, precision_recall
from radlib.stats.intervals import Estimate, bootstrap
from radlib.stats.tables import format_interval

PARTS = {"train": "training", "test": "validation"}
SCORES = {"soft_dice_loss": "soft-Dice loss", "hard_dice": "hard Dice", "iou": "IOU"}

# U-Net


def score_figure(history: pd.DataFrame) -> Figure:
    """Losses and scores over training, with a line at the best IOU of the held-out slices: Figure 6."""
    rows = history[history["part"] == "validation"]
    figure, panels = plt.subplots(1, 2, figsize=(9.4, 3.6), sharey=True)
    best = rows.sort_values("test_iou")["step"].iloc[-1] if "test_iou" in rows else None
    for axes, (part, title) in zip(panels, PARTS.items(), strict=True):
        for number, (key, name) in enumerate(SCORES.items()):
            if f"{part}_{key}" in rows:
                axes.plot(
                    rows["step"], rows[f"{part}_{key}"], color=PALETTE[number], marker="o", markersize=3, label=name
                )
        if best is not None:
            axes.axvline(best, color="black", linewidth=1)
        axes.set(title=f"{title} slices", xlabel="step", ylim=(-0.02, 1.02))
    panels[0].set_ylabel("loss, score")
    panels[1].legend(fontsize=9)
    return figure


def best_scores(history: pd.DataFrame) -> pd.DataFrame:
    """The best value of each metric over training, as Table 2: rows ``training`` and ``validation``."""
    rows = history[history["part"] == "validation"]
    best = {}
    for part, title in PARTS.items():
        best[title] = {
            key: float(rows[f"{part}_{key}"].min() if key == "soft_dice_loss" else rows[f"{part}_{key}"].max())
            for key in ("iou", "soft_dice_loss", "hard_dice")
        }
    return pd.DataFrame.from_dict(best, orient="index")


def final_scores(
    network: FeatureUNet, store: ImageStore, parts: Mapping[str, Sequence[str]], *, modalities: Sequence[str]
) -> pd.DataFrame:
    """Pooled scores of the network as it stands, a row a part."""
    take = store.channels(modalities)
    return pd.DataFrame.from_dict(
        {name: score_slices(network, store, store.slices(ids), take) for name, ids in parts.items()}, orient="index"
    )[["iou", "soft_dice_loss", "hard_dice"]]


def subject_means(table: pd.DataFrame, *, seed: int = 0, n_boot: int = 2000) -> dict[str, Estimate]:
    """Mean over subjects of each metric, with its bootstrap interval."""
    found = {}
    for key in SCORES:
        found[key] = _ratio(table[key].to_numpy(dtype=float), np.ones(len(table)), n_boot=n_boot, seed=seed)
    return found


def _ratio(top: np.ndarray, bottom: np.ndarray, *, n_boot: int, seed: int) -> Estimate:
    """Sum over sum, resampled over patients."""

    def statistic(weights: np.ndarray) -> np.ndarray:
        return (weights @ top) / (weights @ bottom)

    return bootstrap(statistic, np.zeros(len(top)), n_boot=n_boot, seed=seed)


def division_table(split: Split, table: pd.DataFrame, grade: pd.Series) -> pd.DataFrame:
    """Patients and slices of each grade in the training and the test part."""
    rows = {}
    for part, ids in (("training", split.train), ("test", split.test)):
        of_slices = table.loc[table["subject"].isin(ids), "subject"].map(grade)
        rows[part] = {f"{g} patients": int((grade[list(ids)] == g).sum()) for g in ("HGG", "LGG")}
        rows[part] |= {f"{g} slices": int((of_slices == g).sum()) for g in ("HGG", "LGG")}
    return pd.DataFrame.from_dict(rows, orient="index")


def before_after_figure(
    networks: Mapping[str, FeatureUNet], store: ImageStore, subject: str, *, modalities: Sequence[str]
) -> Figure:
    """A slice with the true outline and that of each network: Figures 3 and 7."""
    row = store.rows([subject])[0]
    place = int((store.labels[row] > 0).sum(dim=(0, 1)).argmax())
    images, labels = store.take_slices(torch.tensor([[row, place]]))
    figure, panels = plt.subplots(1, len(networks) + 1, figsize=(3.2 * (len(networks) + 1), 3.4))
    outlines = {"true": labels[0].numpy() > 0}
    for name, network in networks.items():
        network.eval()
        with torch.no_grad():
            device = next(network.parameters()).device
            logits = network(images[:, store.channels(modalities)].to(device))[0, 0]
        outlines[name] = logits.cpu().numpy() > 0
    for axes, (name, mask) in zip(panels, outlines.items(), strict=True):
        axes.imshow(np.rot90(images[0, store.channels(["flair"])[0]].numpy()), cmap="gray")
        if mask.any():
            axes.contour(np.rot90(mask), levels=[0.5], colors=PALETTE[1], linewidths=1.2)
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    return figure


def grade_figure(store: ImageStore, subjects: Mapping[str, str]) -> Figure:
    """The slice with most tumour of one subject a grade, with the outline: Figure 4."""
    figure, panels = plt.subplots(1, len(subjects), figsize=(3.4 * len(subjects), 3.6))
    for axes, (grade, subject) in zip(np.atleast_1d(panels), subjects.items(), strict=True):
        row = store.rows([subject])[0]
        place = int((store.labels[row] > 0).sum(dim=(0, 1)).argmax())
        axes.imshow(np.rot90(store.images[row, 0, :, :, place].numpy()), cmap="gray")
        axes.contour(np.rot90(store.labels[row, :, :, place].numpy() > 0), levels=[0.5], colors=PALETTE[1])
        axes.set_title(grade)
        axes.set_axis_off()
    return figure


def augmentation_figure(store: ImageStore, subject: str, *, seed: int, n: int = 4) -> Figure:
    """A slice and augmented versions of it, with the outlines: Figure 5."""
    row = store.rows([subject])[0]
    place = int((store.labels[row] > 0).sum(dim=(0, 1)).argmax())
    images, labels = store.take_slices(torch.tensor([[row, place]]).repeat(n, 1))
    moved, masks = augment(images[:, :1], (labels[:, None] > 0).float(), np.random.default_rng(seed))
    figure, panels = plt.subplots(1, n + 1, figsize=(2.4 * (n + 1), 2.7))
    shown = [(images[0, 0], labels[0] > 0), *zip(moved[:, 0], masks[:, 0] > 0, strict=True)]
    for number, (axes, (image, mask)) in enumerate(zip(panels, shown, strict=True)):
        axes.imshow(np.rot90(image.numpy()), cmap="gray")
        if mask.any():
            axes.contour(np.rot90(mask.numpy()), levels=[0.5], colors=PALETTE[1], linewidths=1)
        axes.set_title("augmented" if number else "original", fontsize=9)
        axes.set_axis_off()
    return figure


def maps_figure(maps: Mapping[str, torch.Tensor], *, n: int = 4) -> Figure:
    """The strongest maps behind each block: Figure 8. ``maps``: ``(C, H, W)`` by block."""
    figure, grid = plt.subplots(n, len(maps), figsize=(1.25 * len(maps), 1.25 * n + 0.5), squeeze=False)
    for column, (name, block) in enumerate(maps.items()):
        strongest = block.flatten(1).std(dim=1).argsort(descending=True)[:n]
        for row, channel in enumerate(strongest):
            grid[row, column].imshow(np.rot90(block[channel].numpy()), cmap="gray")
        grid[0, column].set_title(f"{name}\n{block.shape[1]}x{block.shape[2]}x{block.shape[0]}", fontsize=7)
    for axes in grid.flat:
        axes.set_axis_off()
    return figure


# Grade


def feature_figure(features: Mapping[str, torch.Tensor], *, side: int = 5) -> Figure:
    """``side`` x ``side`` maps of one sample a title: Figures 9 and 10. ``features``: ``(C, h, w)``."""
    figure, grid = plt.subplots(1, len(features), figsize=(3.0 * len(features), 3.3), squeeze=False)
    for axes, (title, maps) in zip(grid[0], features.items(), strict=True):
        n = min(side * side, len(maps))
        order = maps.flatten(1).mean(dim=1).argsort(descending=True)[:n]
        height, width = maps.shape[1:]
        canvas = np.full((side * (height + 1), side * (width + 1)), np.nan)
        for place, channel in enumerate(order):
            top, left = (place // side) * (height + 1), (place % side) * (width + 1)
            canvas[top : top + height, left : left + width] = maps[channel].numpy()
        axes.imshow(canvas, cmap="gray")
        axes.set_title(title, fontsize=9)
        axes.set_axis_off()
    return figure


def reduced(*samples: torch.Tensor, dimensions: int = 16) -> list[np.ndarray]:
    """Samples as vectors of their maps' means, on the principal axes of the first."""
    vectors = [sample.mean(dim=(2, 3)).numpy() for sample in samples]
    axes = PCA(min(dimensions, *vectors[0].shape, len(vectors[0]) - 1), random_state=0).fit(vectors[0])
    return [axes.transform(vector) for vector in vectors]


def quality(train: torch.Tensor, held_out: torch.Tensor, made: torch.Tensor) -> dict[str, float]:
    """Frechet distance (of held-out real features too), precision, recall, and the share of suspected copies (%)."""
    a, b, c = reduced(train, held_out, made)
    precision, recall = precision_recall(a, c)
    return {
        "Frechet distance": frechet_distance(a, c), "of held-out real": frechet_distance(a, b),
        "precision": precision, "recall": recall, "suspected copies (%)": 100 * float(memorised(a, b, c).mean()),
    }  # fmt: skip


def slice_estimate(slices: pd.DataFrame, *, n_boot: int = 1000, seed: int = 0) -> dict[str, Estimate]:
    """Accuracy of slices, total and by class, with intervals over patients: slices of a patient are drawn together.

    ``n`` counts slices, as the paper does.
    """
    right = slices["truth"] == (slices["probability"] > 0.5).astype(int)
    found = {}
    for name, part in (("total", slices), ("hgg", slices[slices["truth"] == 1]), ("lgg", slices[slices["truth"] == 0])):
        grouped = right[part.index].groupby(part["subject"]).agg(["sum", "size"])
        correct, size = grouped["sum"].to_numpy(float), grouped["size"].to_numpy(float)
        one = _ratio(correct, size, n_boot=n_boot, seed=seed)
        found[name] = Estimate(one.value, one.low, one.high, len(part), one.method)
    return found


def arm_table(slices: pd.DataFrame, patients: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Every arm on slices (as the paper counts) and on patients, with intervals over patients."""
    rows = []
    for arm, part in slices.groupby("arm", sort=False):
        by_slice = slice_estimate(part, n_boot=n_boot, seed=seed)
        one = patients[patients["arm"] == arm]
        by_patient = evaluate(predictions(one), n_boot=n_boot, seed=seed)
        cells: dict[str, object] = {"arm": arm}
        for name, title in (("total", "slices right"), ("hgg", "HGG slices"), ("lgg", "LGG slices")):
            cells[title] = said(by_slice[name])
        for name, title in (("accuracy", "patients right"), ("balanced_accuracy", "balanced"), ("auc", "AUC")):
            cells[title] = said(by_patient[name])
        rows.append(cells)
    return pd.DataFrame(rows)


def predictions(patients: pd.DataFrame) -> Predictions:
    """Patients of one arm as predictions: HGG is positive."""
    p = patients["probability"]
    return Predictions.of(patients["truth"], patients["predicted"], probability=p, score=p)


def said(one: Estimate) -> str:
    """An estimate as text."""
    return format_interval(one.value, one.low, one.high, digits=2)


def arm_figure(patients: pd.DataFrame, *, n_boot: int, seed: int) -> Figure:
    """AUC and balanced accuracy of patients by arm, with intervals."""
    arms = list(dict.fromkeys(patients["arm"]))
    figure, panels = plt.subplots(1, 2, figsize=(9.4, 0.9 + 0.34 * len(arms)), sharey=True)
    for axes, (metric, title) in zip(panels, (("auc", "AUC"), ("balanced_accuracy", "balanced accuracy")), strict=True):
        for place, arm in enumerate(reversed(arms)):
            one = patients[patients["arm"] == arm]
            found = evaluate(predictions(one), n_boot=n_boot, seed=seed)[metric]
            axes.plot([found.low, found.high], [place, place], color="0.6")
            axes.plot(found.value, place, "o", color=PALETTE[0])
        axes.axvline(0.5, color="0.4", linestyle=":")
        axes.set(title=title, xlim=(0, 1.02))
        axes.set_yticks(range(len(arms)), list(reversed(arms)), fontsize=9)
    return figure


def sweep_figure(table: pd.DataFrame) -> Figure:
    """Accuracy of slices, total and by class, over the number of synthetic features."""
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    for number, (key, name) in enumerate({"total": "all", "hgg": "HGG", "lgg": "LGG"}.items()):
        axes.plot(table["synthetic"], table[key], color=PALETTE[number], marker="osD"[number], label=name)
    axes.set(xlabel="synthetic features added to each training set", ylabel="slices right", ylim=(0, 1.02))
    axes.legend(fontsize=9)
    return figure


# Ledger


def record_counts(report: Report, counts: pd.DataFrame, *, n_slices: int, n_patients: int) -> None:
    """Put :func:`division_table` beside the paper's counts of patients and slices."""
    note = "slices with tumour, at most so many a patient as the parameter says"
    for part, row in counts.astype(float).to_dict("index").items():
        for g in ("HGG", "LGG"):
            report.record(f"mehra2022.text.{part}_patients.{g.lower()}", row[f"{g} patients"], n=n_patients)
            report.record(f"mehra2022.text.{part}_slices.{g.lower()}", row[f"{g} slices"], n=n_slices, note=note)
        report.record(f"mehra2022.text.{part}_slices", row["HGG slices"] + row["LGG slices"], n=n_slices, note=note)
    tested = counts.astype(float).to_dict("index")["test"]
    share = 100 * tested["HGG slices"] / (tested["HGG slices"] + tested["LGG slices"])
    report.record("mehra2022.text.test_share_hgg", share, n=n_slices, unit="%")
    report.record("mehra2022.text.slices", float(n_slices), n=n_slices, note=note)


def record_slices(report: Report, slices: pd.DataFrame, *, row: str, n_boot: int, seed: int) -> None:
    """Put one arm's accuracy on slices beside a row of Table 3 and the same numbers in the text.

    Args:
        row: ``baseline`` or ``augmented``.
    """
    found = slice_estimate(slices, n_boot=n_boot, seed=seed)
    when = "before" if row == "baseline" else "after"
    keys = {f"table3.{row}.{name}": (name, 1) for name in found}
    keys |= {f"text.{row}_accuracy": ("total", 100), f"text.lgg_accuracy_{when}": ("lgg", 100)}
    for key, (name, scale) in keys.items():
        one = found[name]
        report.record(
            f"mehra2022.{key}", scale * one.value, low=scale * one.low, high=scale * one.high, n=one.n,
            protocol="leakage-free", note="all folds; the interval is over patients",
        )  # fmt: skip
