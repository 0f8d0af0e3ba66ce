"""What the synthesis chapter shows: methods over seeds, every direction a cohort needs, the use for segmentation."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from radlib.core.errors import MissingDataError
from radlib.data.cohort import MODALITIES, Cohort
from radlib.data.store import ImageStore
from radlib.nn.common import count_flops, count_parameters
from radlib.papers.islam2020 import segmentation as seg
from radlib.papers.islam2020.synthesis import (
    TITLES,
    LinearSynthesis,
    Synthesiser,
    SynthesisRecipe,
    build_discriminator,
    missing_directions,
    save_synthesiser,
    score_subjects,
    synthesise,
)
from radlib.papers.islam2020.synthesis_trainings import (
    needed_sources,
    train_fill,
    train_method,
    train_segmentation,
)
from radlib.plots.curves import loss_figure
from radlib.plots.style import PALETTE
from radlib.stats.segmentation import score_labels, subject_mean

LINEAR = "linear in intensities"
METRICS: dict[str, str] = {
    "psnr": "PSNR, whole image (dB)", "psnr_brain": "PSNR, brain (dB)", "psnr_tumour": "PSNR, tumour (dB)",
    "ssim": "SSIM", "mae_brain": "mean error, brain",
}  # fmt: skip
NAMES = {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR"}


LEAST_SUBJECTS = 6
"""Fewer subjects than this with every modality train nothing that could be tested."""


def trainable(cohort: Cohort) -> Cohort:
    """The subjects with every modality and a segmentation.

    Raises:
        MissingDataError: if they are too few to train and test on.
    """
    complete = cohort.complete(*MODALITIES, "seg")
    if len(complete) < LEAST_SUBJECTS:
        raise MissingDataError(
            f"{len(complete)} subjects of cohort {cohort.name!r} have all four modalities and a segmentation; training "
            f"and testing needs {LEAST_SUBJECTS}",
            remedy="run the chapter on a larger cohort",
        )
    return complete


def direction_name(sources: Sequence[str], target: str) -> str:
    """``T1ce + FLAIR to T2``."""
    return f"{' + '.join(NAMES[name] for name in sources)} to {NAMES[target]}"


def architecture_table(recipe: SynthesisRecipe, *, n_sources: int, edge: int = 96) -> pd.DataFrame:
    """Parameters, operations and the discriminator's map of every method, at an edge of the slice."""
    rows = []
    for title, (generator, discriminator) in TITLES.items():
        chosen = replace(recipe, generator=generator, discriminator=discriminator)
        net = Synthesiser([*MODALITIES[:n_sources]], chosen)
        judge = build_discriminator(n_sources + 1, chosen)
        shape = None if judge is None else judge(torch.zeros(1, n_sources + 1, edge, edge)).shape
        rows.append({
            "method": title,
            "generator, parameters": count_parameters(net),
            "generator, million multiplications": count_flops(net, (1, n_sources, edge, edge)) / 1e6,
            "discriminator, parameters": 0 if judge is None else count_parameters(judge),
            "verdicts on a slice": "none" if shape is None else f"{shape[-2]} x {shape[-1]}",
        })  # fmt: skip
    return pd.DataFrame(rows)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Methods on one direction.

    Attributes:
        target, sources: the direction.
        scores: one row a method, seed and test subject.
        histories: by method, one a seed.
        generators: by method, that of the first seed.
    """

    target: str
    sources: tuple[str, ...]
    scores: pd.DataFrame
    histories: dict[str, list[pd.DataFrame]]
    generators: dict[str, Synthesiser]


def compare_methods(
    store: ImageStore,
    *,
    target: str,
    sources: Sequence[str],
    train: Sequence[str],
    test: Sequence[str],
    recipe: SynthesisRecipe,
    seeds: Sequence[int],
    folder: Path | None = None,
) -> Comparison:
    """Train every method of :data:`TITLES` with every seed on one direction, and score test subjects."""
    scores, histories, kept = [], {title: [] for title in TITLES}, {}  # type: ignore[var-annotated]
    for title in TITLES:
        for seed in seeds:
            net, trained = train_method(
                title, store, target=target, sources=sources, train=train, test=test, recipe=recipe, seed=seed,
                folder=folder,
            )  # fmt: skip
            histories[title].append(trained.history)
            scores.append(score_subjects(
                lambda subject, net=net: synthesise(net, store, subject, precision=recipe.precision), store, test,
                target=target, model=title, seed=seed,
            ))  # fmt: skip
            kept.setdefault(title, net)
    linear = LinearSynthesis.fit(store, target=target, sources=sources, train=train)
    scores.append(score_subjects(lambda s: linear.predict(store, s), store, test, target=target, model=LINEAR, seed=0))
    return Comparison(
        target=target, sources=tuple(sources), scores=pd.concat(scores, ignore_index=True), histories=histories,
        generators=kept,
    )  # fmt: skip


def score_table(scores: pd.DataFrame, *, by: str = "model", n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Means over subjects with intervals, as text: one row a method, one column a metric."""
    rows = {}
    for name, part in scores.groupby(by, sort=False):
        cells = {}
        for metric, title in METRICS.items():
            digits = 3 if metric in ("ssim", "mae_brain") else 1
            one = subject_mean(part, metric, n_boot=n_boot, seed=seed)
            cells[title] = f"{one.value:.{digits}f} ({one.low:.{digits}f} to {one.high:.{digits}f})"
        rows[name] = cells
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def psnr_figure(histories: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """PSNR of held-out slices over training, as in Figure 6 A: the mean of the seeds, and their range."""
    figure, axes = plt.subplots(figsize=(7.6, 4.2))
    for number, (title, runs) in enumerate(histories.items()):
        table = pd.concat([run[run["part"] == "validation"] for run in runs])
        curve = table.groupby("step")["psnr"].agg(["mean", "min", "max"])
        colour = PALETTE[number % len(PALETTE)]
        axes.fill_between(curve.index, curve["min"], curve["max"], color=colour, alpha=0.15, linewidth=0)
        axes.plot(curve.index, curve["mean"], color=colour, marker="osD^"[number % 4], markersize=4, label=title)
    axes.set(xlabel="step", ylabel="PSNR of held-out slices (dB)")
    axes.legend(fontsize=9)
    return figure


def losses_figure(histories: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Losses of the first seed of every method with a discriminator."""
    ylabels = {
        "generator.distance": "L1", "generator.adversarial": "adversarial loss of the generator",
        "discriminator.loss": "loss of the discriminator",
    }  # fmt: skip
    first = {title: runs[0] for title, runs in histories.items() if "discriminator.loss" in runs[0]}
    return loss_figure(first, metric=list(ylabels), smooth=5, ylabels=ylabels)


def picture_figure(
    store: ImageStore, subject: str, comparison: Comparison, *, methods: Sequence[str] | None = None
) -> Figure:
    """One simulated subject as in Figure 6 B: sources, true image, synthetic ones, and what they miss."""
    row = store.rows([subject])[0]
    place = int((store.labels[row] > 0).sum(dim=(0, 1)).argmax())
    truth = store.images[row, store.channels([comparison.target])[0], :, :, place].numpy()
    chosen = list(comparison.generators) if methods is None else list(methods)
    made = {title: synthesise(comparison.generators[title], store, subject)[:, :, place] for title in chosen}
    columns = max(len(comparison.sources) + 1, len(made))
    figure, grid = plt.subplots(3, columns, figsize=(2.15 * columns, 6.9))
    for axes in grid.flat:
        axes.set_axis_off()
    shown = {NAMES[name]: store.images[row, store.channels([name])[0], :, :, place].numpy()
             for name in comparison.sources}  # fmt: skip
    shown[f"true {NAMES[comparison.target]}"] = truth
    for axes, (title, image) in zip(grid[0], shown.items(), strict=False):
        _draw(axes, image, title)
    for column, (title, image) in enumerate(made.items()):
        _draw(grid[1, column], image, title.replace(" (", "\n("))
        error = grid[2, column].imshow(np.rot90(np.abs(image - truth)), cmap="magma", vmin=0, vmax=0.5)
    grid[2, 0].set_title("absolute error", fontsize=9, loc="left")
    figure.colorbar(error, ax=list(grid[2]), fraction=0.03, label="of the range")
    return figure


def _draw(axes: plt.Axes, image: np.ndarray, title: str) -> None:
    axes.imshow(np.rot90(image), cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize=9)


# Every direction


def fill_generators(
    store: ImageStore,
    cohort: Cohort,
    *,
    targets: Sequence[str],
    train: Sequence[str],
    validate: Sequence[str],
    recipe: SynthesisRecipe,
    seed: int,
    folder: Path | None = None,
) -> dict[str, Synthesiser]:
    """One generator a modality, trained on every set of sources from which the cohort needs it."""
    made = {}
    for target in targets:
        made[target], _ = train_fill(
            store, cohort, target=target, train=train, validate=validate, recipe=recipe, seed=seed, folder=folder
        )
    return made


def keep_generators(
    folder: Path,
    generators: Mapping[str, Synthesiser],
    *,
    target: str,
    recipe: SynthesisRecipe,
    store: ImageStore,
    train: Sequence[str],
    trained_on: str,
) -> list[Path]:
    """Write generators for other chapters and for ``radlib synthesise``.

    Args:
        folder: for ``<target>_from_any.safetensors``, and ``<target>_from_<sources>.safetensors`` of the comparison's.
        generators: by target; the one under the empty name makes ``target`` from fixed sources.
        target: of that one.
        recipe, store, train, trained_on: what their headers tell.
    """
    paths = []
    for name, network in generators.items():
        made = name or target
        path = folder / f"{made}_from_{'any' if name else '_'.join(network.sources)}.safetensors"
        save_synthesiser(
            path, network, target=made, recipe=recipe, grid=list(store.grid), spacing=store.spacing, train=list(train),
            trained_on=f"{trained_on}, {len(train)} subjects",
        )  # fmt: skip
        paths.append(path)
    return paths


def direction_table(
    generators: Mapping[str, Synthesiser],
    store: ImageStore,
    cohort: Cohort,
    *,
    train: Sequence[str],
    test: Sequence[str],
    n_boot: int = 2000,
) -> pd.DataFrame:
    """Quality of every direction that a cohort needs, on test subjects whose true image is known.

    Returns:
        One row a direction: ``direction``, ``target``, ``subjects`` (who need it), PSNR in the brain with its interval,
        that of the linear rival, PSNR in the tumour, and SSIM.
    """
    rows = []
    for target, net in generators.items():
        wanted = missing_directions(cohort, targets=[target]).set_index("sources")["subjects"]
        for sources in needed_sources(cohort, target):
            made = score_subjects(
                lambda s, net=net, sources=sources: synthesise(net, store, s, sources=sources), store, test,
                target=target,
            )  # fmt: skip
            linear = LinearSynthesis.fit(store, target=target, sources=sources, train=train)
            rival = score_subjects(lambda s, linear=linear: linear.predict(store, s), store, test, target=target)
            brain = subject_mean(made, "psnr_brain", n_boot=n_boot)
            rows.append({
                "direction": direction_name(sources, target), "target": target,
                "subjects": int(wanted.get(sources, 0)), "psnr_brain": brain.value, "low": brain.low,
                "high": brain.high, "linear": rival["psnr_brain"].mean(), "psnr_tumour": made["psnr_tumour"].mean(),
                "ssim": made["ssim"].mean(), "n": brain.n,
            })  # fmt: skip
    return pd.DataFrame(rows)


def direction_figure(table: pd.DataFrame) -> Figure:
    """PSNR of each direction with its interval, the linear rival beside it."""
    ordered = table.sort_values(["target", "psnr_brain"], ascending=[True, True], ignore_index=True)
    figure, axes = plt.subplots(figsize=(7.6, 1.3 + 0.32 * len(ordered)))
    y = np.arange(len(ordered))
    errors = np.stack([ordered["psnr_brain"] - ordered["low"], ordered["high"] - ordered["psnr_brain"]])
    axes.errorbar(ordered["psnr_brain"], y, xerr=errors, fmt="o", color=PALETTE[0], label="FCN cGAN, 95 % interval")
    axes.plot(ordered["linear"], y, "D", color=PALETTE[1], markerfacecolor="none", label=LINEAR)
    axes.set_yticks(y, ordered["direction"], fontsize=9)
    axes.set(xlabel="PSNR in the brain (dB)", ylim=(-0.6, len(ordered) - 0.4))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


# What a synthetic image is good for


def segmentation_gain(
    store: ImageStore,
    synthetic: ImageStore,
    *,
    train: Sequence[str],
    validate: Sequence[str],
    test: Sequence[str],
    available: Sequence[str],
    target: str,
    recipe: seg.Recipe,
    seeds: Sequence[int],
    model: str = "unet",
    folder: Path | None = None,
) -> pd.DataFrame:
    """Segmentation without a modality, with a synthetic one in its place, and with the real one.

    Networks are trained on real images, one on the available modalities and one on these and the target, as the paper
    does; only the test subjects' target is synthetic.

    Args:
        store: z-scored images, complete.
        synthetic: the same with the test subjects' ``target`` replaced: :meth:`radlib.data.store.ImageStore.replaced`.
        train, validate, test: subjects.
        available: the modalities that are there.
        target: the one that lacks.
        recipe: of the segmentation networks.
        seeds: trainings.
        model: the network.
        folder: for checkpoints.

    Returns:
        Rows of :func:`radlib.stats.segmentation.score_labels` with ``model`` (the arm) and ``seed``.
    """
    both = (*available, target)
    rows = []
    for seed in seeds:
        for modalities in (tuple(available), both):
            fitted = train_segmentation(
                store, train=train, validate=validate, modalities=modalities, recipe=recipe, seed=seed, model=model,
                folder=folder,
            )  # fmt: skip
            arms = {"without": store} if modalities != both else {"synthetic": synthetic, "real": store}
            for arm, images in arms.items():
                for subject in test:
                    labels = seg.segment(fitted.network, images, subject, modalities=modalities)
                    truth = store.labels[store.rows([subject])[0]].numpy()
                    table = score_labels(labels, truth, spacing=(store.spacing,) * 3, subject=subject)
                    rows.append(table.assign(model=arm, seed=seed))
    return pd.concat(rows, ignore_index=True)


# Tables and sentences


def difference_table(paired: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Differences of several metrics to the reference, one row a method."""
    rows: dict[str, dict[str, object]] = {}
    for metric, table in paired.items():
        digits = 3 if metric in ("ssim", "mae_brain") else 2
        for row in table.itertuples():
            cells = rows.setdefault(str(row.model), {"method": row.model})
            cells[METRICS[metric]] = f"{row.value:+.{digits}f} ({row.low:+.{digits}f} to {row.high:+.{digits}f})"
            cells[f"p, {METRICS[metric].split(' (')[0]}"] = f"{row.p:.2g}"
    return pd.DataFrame(list(rows.values()))


def claim_sentence(differences: pd.DataFrame) -> str:
    """Whether the paper's two claims hold here, from the differences to its method, one row a method."""
    rows = differences.to_dict("index")
    return " ".join([
        _verdict(rows["U-Net cGAN (pix2pix)"], "That the FCN is the better generator"),
        _verdict(rows["FCN, PatchGAN"], "That the encoder-decoder is the better discriminator"),
    ])  # fmt: skip


def _verdict(rival: Mapping[Hashable, float], claim: str) -> str:
    if rival["high"] < 0:
        return f"{claim} holds here."
    if rival["low"] > 0:
        return f"{claim} does not hold here: its rival is better."
    return f"{claim} is not shown here: the interval contains 0."


def direction_columns(table: pd.DataFrame) -> pd.DataFrame:
    """The table of directions with the columns that a reader wants."""
    interval = [f"{v:.1f} ({a:.1f} to {b:.1f})" for v, a, b in table[["psnr_brain", "low", "high"]].to_numpy()]
    return pd.DataFrame({
        "direction": table["direction"], "subjects who need it": table["subjects"], "PSNR, brain (dB)": interval,
        "PSNR, tumour (dB)": table["psnr_tumour"].map("{:.1f}".format),
        "linear rival (dB)": table["linear"].map("{:.1f}".format), "SSIM": table["ssim"], "n": table["n"],
    })  # fmt: skip


def direction_sentence(table: pd.DataFrame) -> str:
    """The best and the worst direction, and what T1ce from FLAIR is like among them."""
    ordered = table.sort_values("psnr_brain")
    worst, best = ordered.iloc[0], ordered.iloc[-1]
    parts = [
        f"The best direction is {best['direction']} ({best['psnr_brain']:.1f} dB in the brain), the worst "
        f"{worst['direction']} ({worst['psnr_brain']:.1f} dB)."
    ]
    poor = table[table["direction"] == direction_name(["flair"], "t1ce")]
    if len(poor):
        row = poor.iloc[0]
        rank = int((table["psnr_tumour"] < row["psnr_tumour"]).sum()) + 1
        parts.append(
            f"T1ce from FLAIR alone, which the paper finds poor, has {row['psnr_brain']:.1f} dB in the brain and "
            f"{row['psnr_tumour']:.1f} dB in the tumour: rank {rank} from below of {len(table)} in the tumour."
        )
    beaten = int((table["linear"] > table["psnr_brain"]).sum())
    parts.append(f"The linear rival is better in {beaten} of {len(table)} directions.")
    return " ".join(parts)


def gain_table(scores: pd.DataFrame, differences: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Dice and HD95 of each arm and region, and the differences of Dice to doing without."""
    rows = []
    found = differences["dice"].set_index(["model", "region"])
    for (arm, region), part in scores.groupby(["model", "region"], sort=False):
        dice, distance = subject_mean(part, "dice"), subject_mean(part, "hd95")
        change = "reference"
        if (arm, region) in found.index:
            row = found.xs((arm, region))
            change = f"{row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
        rows.append({
            "region": str(region).upper(), "target image": arm,
            "Dice": f"{dice.value:.3f} ({dice.low:.3f} to {dice.high:.3f})", "HD95 (mm)": f"{distance.value:.1f}",
            "change of Dice": change, "n": dice.n,
        })  # fmt: skip
    order = {"WT": 0, "TC": 1, "ET": 2}
    return pd.DataFrame(rows).sort_values("region", key=lambda c: c.map(order), kind="stable", ignore_index=True)
