"""Segmentation as Islam 2020 does it: 2D networks on axial slices, folds over subjects, an ensemble of the folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.errors import MissingDataError
from radlib.core.seeds import named_seed
from radlib.data.cohort import Cohort
from radlib.data.regions import REGIONS, from_classes, to_regions
from radlib.data.splits import Split, hold_out, k_fold
from radlib.data.store import ImageStore
from radlib.papers.islam2020.segmentation_batches import SliceSampler
from radlib.papers.islam2020.segmentation_networks import PAPER_MODALITIES, Recipe, arguments_of, build, construct
from radlib.stats.segmentation import score_labels
from radlib.training.bundle import Segmenter, export_bundle
from radlib.training.inference import brain_box, predict_slices
from radlib.training.settings import LoopSettings, OptimizerSettings, Precision
from radlib.training.supervised import Fitted, fit
from radlib.training.weights import load_weights, read_metadata, save_weights

# Subjects


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Who trains and who is tested: ``folds`` divide the development subjects, ``held_out`` is seen by nobody."""

    folds: tuple[Split, ...]
    held_out: tuple[str, ...]

    @property
    def development(self) -> list[str]:
        """All subjects that are not held out."""
        return [*self.folds[0].train, *self.folds[0].test]


def make_plan(cohort: Cohort, *, held_out: int, n_folds: int, seed: int) -> Plan:
    """Hold out subjects, divide the others into folds; both within high- and low-grade glioma where both are known.

    Only subjects with a segmentation take part.

    Raises:
        MissingDataError: if there are too few.
    """
    cohort = cohort.complete("seg")
    if len(cohort) < held_out + max(2, n_folds):
        raise MissingDataError(
            f"cohort {cohort.name!r} has {len(cohort)} subjects with a segmentation, which is too few to hold out "
            f"{held_out} and divide the others into {n_folds} folds",
            remedy="use more subjects, or lower held_out and n_folds",
        )
    grade = cohort.participants["grade_group"].fillna("unknown")
    outer = hold_out(cohort.ids, test=held_out, seed=seed, stratify=grade)
    folds = k_fold(outer.train, n_folds=n_folds, seed=seed, stratify=grade[list(outer.train)].tolist())
    return Plan(folds=tuple(folds), held_out=outer.test)


def slice_major(store: ImageStore) -> ImageStore:
    """The same store with axial slices contiguous in memory, so that taking one reads one piece; needs a copy."""
    images = store.images.movedim(4, 1).contiguous().movedim(1, 4)
    return replace(store, images=images, labels=store.labels.movedim(3, 1).contiguous().movedim(1, 3))


# Training


def loss_of() -> Callable[[nn.Module, Mapping[str, Tensor]], Tensor]:
    """Cross-entropy plus soft Dice over the three tumour classes, both over the whole batch (MONAI's).

    The Dice has squares in its denominator (Milletari 2016): a class that is not found at first is found sooner.
    """
    from monai.losses import DiceCELoss

    criterion = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True, squared_pred=True, batch=True)

    def loss(network: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return criterion(network(batch["images"]).float(), batch["classes"][:, None])

    return loss


def train(
    store: ImageStore,
    split: Split,
    *,
    model: str,
    recipe: Recipe,
    seed: int,
    modalities: Sequence[str] = PAPER_MODALITIES,
    folder: Path | None = None,
) -> Fitted:
    """Train one network on the training subjects of a split.

    Weights, batches and noise depend on ``seed`` and the split's name only (not on the network's), so that networks and
    sets of modalities are compared on the same batches.

    Args:
        store: the images.
        split: ``train`` is trained on; ``test`` gives the learning curve and decides nothing.
        model: a key of :data:`TITLES`.
        recipe: sizes and hyper-parameters.
        seed: of everything random.
        modalities: the channels.
        folder: for checkpoints, from which an interrupted training goes on.
    """
    own = named_seed(seed, split.name)
    torch.manual_seed(own)
    network = build(model, in_channels=len(modalities), recipe=recipe)
    sampler = SliceSampler.of(store, split.train, modalities=modalities, recipe=recipe, seed=own % 2**31)
    validate = _validation(store, split.test, modalities=modalities, recipe=recipe)
    optimizer = OptimizerSettings(
        kind="adam", learning_rate=recipe.learning_rate, betas=(0.9, 0.999), weight_decay=recipe.weight_decay,
        schedule=recipe.schedule,  # type: ignore[arg-type]
    )  # fmt: skip
    every = max(1, recipe.steps // recipe.validations) if validate is not None else None
    loop = LoopSettings(
        steps=recipe.steps,
        log_every=max(1, recipe.steps // 40),
        validate_every=every,
        checkpoint_every=max(50, recipe.steps // 20),
        clip_norm=5.0,
        precision=recipe.precision,
    )
    return fit(
        network, batch=sampler, loss=loss_of(), optimizer=optimizer, loop=loop, seed=own, name=split.name,
        validate=validate, folder=folder,
        identity={"model": model, "modalities": list(modalities), "train": list(split.train), "recipe": repr(recipe)},
    )  # fmt: skip


def _validation(
    store: ImageStore, ids: Sequence[str], *, modalities: Sequence[str], recipe: Recipe
) -> Callable[[nn.Module], dict[str, float]] | None:
    """Dice by region and its mean, pooled over evenly spaced tumour slices of the subjects; None without any."""
    index = store.slices(ids, where="tumour") if ids and recipe.validations else torch.zeros((0, 2))
    if not len(index):
        return None
    index = index[np.linspace(0, len(index) - 1, min(recipe.validation_slices, len(index))).round().astype(int)]
    images, labels = store.take_slices(index)
    rows, columns = (torch.nonzero((images != 0).any(dim=1).any(dim=0).any(dim=axis))[:, 0] for axis in (1, 0))
    window = (..., slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    images, truth = images[:, store.channels(modalities)][window], to_regions(labels[window])

    def validate(network: nn.Module) -> dict[str, float]:
        device = next(network.parameters()).device
        found = [from_classes(network(part.to(device)).argmax(dim=1)).cpu() for part in images.split(8)]
        masks = to_regions(torch.cat(found))
        both = (masks & truth.cpu()).flatten(1).sum(dim=1)
        total = masks.flatten(1).sum(dim=1) + truth.cpu().flatten(1).sum(dim=1)
        dice = 2 * both / total.clamp(min=1)
        regions = {f"dice_{name}": float(dice[k]) for k, name in enumerate(REGIONS)}
        return {"dice_mean": float(dice.mean()), **regions}

    return validate


# Prediction


@dataclass(frozen=True, kw_only=True)
class Run:
    """One trained network.

    Attributes:
        model: a key of :data:`TITLES`.
        modalities: its channels.
        split: the fold it was trained in.
        fitted: network and history.
    """

    model: str
    modalities: tuple[str, ...]
    split: Split
    fitted: Fitted

    @property
    def network(self) -> nn.Module:
        """The trained network."""
        return self.fitted.network


def probabilities(
    networks: nn.Module | Sequence[nn.Module],
    store: ImageStore,
    subject: str,
    *,
    modalities: Sequence[str],
    precision: Precision = "auto",
) -> tuple[Tensor, tuple[slice, slice, slice]]:
    """Class probabilities ``(4, x, y, z)`` within the brain's box, and the box; of several networks, their mean."""
    box = brain_box(store, subject)
    image = store.images[store.rows([subject])[0]][(store.channels(modalities), *box)]
    return predict_slices(networks, image, precision=precision, batch_size=16), box


def segment(
    networks: nn.Module | Sequence[nn.Module],
    store: ImageStore,
    subject: str,
    *,
    modalities: Sequence[str] = PAPER_MODALITIES,
    precision: Precision = "auto",
) -> np.ndarray:
    """Labels ``(X, Y, Z)``, uint8 with 0, 1, 2, 4, on the store's grid; no tumour outside the brain."""
    found, box = probabilities(networks, store, subject, modalities=modalities, precision=precision)
    return _labels(found, box, store, subject)


def most_probable(found: Tensor) -> Tensor:
    """The class with the highest of ``(K, ...)`` probabilities, int64; the lowest class where several are equal.

    torch's argmax over a first axis of four is twenty times slower on a CPU.
    """
    best, where = found[0].clone(), torch.zeros(found.shape[1:], dtype=torch.int64, device=found.device)
    for number in range(1, len(found)):
        higher = found[number] > best
        best = torch.where(higher, found[number], best)
        where[higher] = number
    return where


def _labels(found: Tensor, box: tuple[slice, slice, slice], store: ImageStore, subject: str) -> np.ndarray:
    inside = (store.images[store.rows([subject])[0]] != 0).any(dim=0).cpu().numpy()
    labels = np.zeros(store.grid, dtype=np.uint8)
    labels[box] = from_classes(most_probable(found)).cpu().numpy()
    return np.where(inside, labels, 0).astype(np.uint8)


def dice_of(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Dice of each region; 1 where truth and prediction are both empty, as BraTS counts it."""
    out = {}
    for name, mask, other in zip(REGIONS, to_regions(predicted), to_regions(truth), strict=True):
        total = int(mask.sum() + other.sum())
        out[name] = 2 * int((mask & other).sum()) / total if total else 1.0
    return out


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Runs of one network on one set of modalities, applied to subjects that none of them saw.

    Attributes:
        label: the line that it is in tables.
        runs: one a fold.
        single: Dice of every run: columns ``run`` (number of the fold), ``subject``, ``region``, ``dice``.
        ensemble: :func:`radlib.stats.segmentation.score_labels` of the mean of the folds' probabilities.
        labels: the ensemble's labels of each subject, ``(X, Y, Z)``.
    """

    label: str
    runs: tuple[Run, ...]
    single: pd.DataFrame
    ensemble: pd.DataFrame
    labels: Mapping[str, np.ndarray] = field(repr=False)


def apply(
    label: str,
    runs: Sequence[Run],
    store: ImageStore,
    subjects: Sequence[str],
    *,
    recipe: Recipe,
    dice_only: bool = False,
) -> Outcome:
    """Segment subjects with every run and with the ensemble, and score both.

    Args:
        label: the line that the outcome will be in tables.
        runs: one a fold.
        store: the images.
        subjects: whom none of the runs has seen.
        recipe: for the precision.
        dice_only: leave out the ensemble's other metrics, of which distances take time.
    """
    single: list[dict[str, Any]] = []
    scores: list[pd.DataFrame] = []
    labels: dict[str, np.ndarray] = {}
    for subject in subjects:
        truth = store.labels[store.rows([subject])[0]].cpu().numpy()
        total: Tensor | None = None
        for number, run in enumerate(runs):
            found, box = probabilities(
                run.network, store, subject, modalities=run.modalities, precision=recipe.precision
            )
            total = found if total is None else total + found
            one = dice_of(_labels(found, box, store, subject)[box], truth[box])
            single += [{"run": number + 1, "subject": subject, "region": k, "dice": v} for k, v in one.items()]
        assert total is not None
        labels[subject] = _labels(total, box, store, subject)
        # Everything lies in the brain's box: distances need not be measured over the whole grid.
        found_here, there = labels[subject][box], truth[box]
        if dice_only:
            one = dice_of(found_here, there)
            scores.append(pd.DataFrame([{"subject": subject, "region": k, "dice": v} for k, v in one.items()]))
        else:
            scores.append(score_labels(found_here, there, spacing=(store.spacing,) * 3, subject=subject))
    return Outcome(
        label=label, runs=tuple(runs), single=pd.DataFrame(single), ensemble=pd.concat(scores, ignore_index=True),
        labels=labels,
    )  # fmt: skip


def cross_validate(
    store: ImageStore,
    plan: Plan,
    *,
    model: str,
    recipe: Recipe,
    seed: int,
    modalities: Sequence[str] = PAPER_MODALITIES,
    n_runs: int | None = None,
    folder: Path | None = None,
) -> list[Run]:
    """One run a fold (the first ``n_runs`` folds only, where given); ``folder`` is for checkpoints."""
    return [
        train_fold(store, plan, fold, model=model, recipe=recipe, seed=seed, modalities=modalities, folder=folder)
        for fold in range(len(plan.folds[:n_runs]))
    ]


def train_fold(
    store: ImageStore,
    plan: Plan,
    fold: int,
    *,
    model: str,
    recipe: Recipe,
    seed: int,
    modalities: Sequence[str] = PAPER_MODALITIES,
    folder: Path | None = None,
) -> Run:
    """The run of one fold, numbered from 0."""
    split = plan.folds[fold]
    place = folder / f"{model}-{'-'.join(modalities)}-{fold + 1}" if folder else None
    fitted = train(store, split, model=model, recipe=recipe, seed=seed, modalities=modalities, folder=place)
    return Run(model=model, modalities=tuple(modalities), split=split, fitted=fitted)


def own_folds(runs: Sequence[Run], store: ImageStore, *, recipe: Recipe) -> pd.DataFrame:
    """Dice of every development subject by the run that did not train on it; columns as in :attr:`Outcome.single`."""
    rows: list[dict[str, Any]] = []
    for number, run in enumerate(runs):
        for subject in run.split.test:
            found = segment(run.network, store, subject, modalities=run.modalities, precision=recipe.precision)
            one = dice_of(found, store.labels[store.rows([subject])[0]].cpu().numpy())
            rows += [{"run": number + 1, "subject": subject, "region": k, "dice": v} for k, v in one.items()]
    return pd.DataFrame(rows)


# Weights


def save_runs(folder: Path, runs: Sequence[Run], *, store: ImageStore, recipe: Recipe, seed: int) -> list[Path]:
    """Write ``<model>_fold<k>.safetensors`` with everything that is needed to use the network again."""
    paths = []
    for number, run in enumerate(runs):
        target, arguments = arguments_of(run.model, in_channels=len(run.modalities), recipe=recipe)
        path = folder / f"{run.model}_fold{number + 1}.safetensors"
        save_weights(
            path,
            run.network,
            metadata={
                "model": run.model, "target": target, "arguments": arguments, "modalities": list(run.modalities),
                "spacing": store.spacing, "grid": list(store.grid), "normalisation": store.normalisation,
                "outputs": "classes", "fold": number + 1, "seed": seed, "train": list(run.split.train),
            },
        )  # fmt: skip
        paths.append(path)
    return paths


def load_runs(folder: Path, *, model: str = "fcn") -> tuple[list[nn.Module], dict[str, Any]]:
    """The networks that :func:`save_runs` wrote, one a fold, and the first one's header.

    Raises:
        MissingDataError: if there are none.
    """
    files = sorted(Path(folder).glob(f"{model}_fold*.safetensors"))
    if not files:
        raise MissingDataError(
            f"there are no weights of {model!r}",
            file=folder,
            remedy="run the chapter octave_segmentation with the same cohort and profile",
        )
    networks: list[nn.Module] = []
    for file in files:
        about = read_metadata(file)
        network = construct(about["target"], about["arguments"])
        load_weights(file, network)
        networks.append(network.eval())
    return networks, read_metadata(files[0])


def export(folder: Path, run: Run, *, store: ImageStore, recipe: Recipe) -> Path:
    """Write a run's network as a MONAI bundle (:func:`radlib.training.bundle.export_bundle`)."""
    target, arguments = arguments_of(run.model, in_channels=len(run.modalities), recipe=recipe)
    return export_bundle(
        folder,
        Segmenter(
            network=run.network, target=target, arguments=arguments, modalities=run.modalities, spacing=store.spacing,
            roi=store.grid[:2], outputs="classes",
            trained_on=f"{len(run.split.train)} subjects ({run.split.name}), axial slices",
        ),
    )  # fmt: skip
