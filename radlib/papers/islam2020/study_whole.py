"""The studies of segmentation on patients in whom the whole tumour alone is outlined, and who lack a modality.

The networks, their loss and their batches are those of :mod:`radlib.papers.islam2020.study_segmentation`. Scores have
the whole tumour only: where nobody outlined its parts, an empty prediction of a part is no success.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import Tensor

from radlib.core.errors import RadlibError
from radlib.data.splits import Split
from radlib.data.store import ImageStore
from radlib.nn.common import count_parameters
from radlib.papers.islam2020 import study_segmentation
from radlib.papers.islam2020.divisions import FoldsOf
from radlib.papers.islam2020.recipes import Recipe, everyone
from radlib.papers.islam2020.study_ensembles import reliability
from radlib.papers.islam2020.study_segmentation import (
    dice_rows,
    labels_of,
    load_network,
    open_slices,
    probabilities,
    segment,
    split_of,
)
from radlib.papers.islam2020.study_synthesis import LinearSynthesis, load_generator, synthesise, trained_on
from radlib.stats.rule import fit_rule
from radlib.study.cohorts import Images
from radlib.study.jobs import Job, job
from radlib.study.store import Work

OUTLINED = "wt"
"""The region that is outlined."""


@job
def segmentation(
    work: Work, *, images: Images, division: FoldsOf, fold: int = 0, model: str, modalities: tuple[str, ...],
    recipe: Recipe, seed: int = 0,
) -> None:  # fmt: skip
    """Train one network on one fold; scores are the whole tumour's Dice of the fold's other subjects.

    In the history ``dice_mean`` is the whole tumour's, the mean over what is outlined.
    """
    split = division.splits(images.source.open())[fold]
    store = open_slices(images, everyone(split))
    fitted = study_segmentation.train(
        store, split, model=model, recipe=recipe, seed=seed, modalities=modalities, work=work
    )
    work.history(outlined_history(fitted.history))
    work.weights("network", fitted.network)
    rows = []
    for subject in split.validation:
        found = segment(fitted.network, store, subject, modalities=modalities, precision=recipe.precision)
        rows += dice_rows(found, store.subject(subject).labels.cpu().numpy(), subject=subject)
    work.scores(outlined(pd.DataFrame(rows, columns=["subject", "group", "metric", "value"])))
    work.note(
        parameters=count_parameters(fitted.network), steps_per_second=fitted.steps_per_second,
        data_share=fitted.data_share, peak_memory=fitted.peak_memory,
    )  # fmt: skip


@job
def ensemble(
    work: Work, *, members: tuple[Job, ...], generator: Job | None = None, line: Images | None = None,
    target: str = "", sources: tuple[str, ...] = (), zeroed: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Segment the test subjects by the mean of the members' probabilities; whole tumour only.

    The table ``members`` has the Dice of every ``member``, the table ``reliability`` what
    :func:`radlib.papers.islam2020.study_ensembles.reliability` gives (classes: no tumour or oedema).

    Args:
        members: trainings with the same subjects, grid and modalities.
        generator: makes ``target``, which then replaces the real image. It must not have seen a test subject.
        line: images of a straight line in the generator's place, fitted on all but the test subjects.
        target, sources: what is made from what, for ``line``.
        zeroed: modalities that are taken from the test subjects, all 0 as outside the brain.

    Raises:
        RadlibError: if the generator was trained on a test subject.
    """
    split, inputs = split_of(members[0]), members[0].inputs
    store = open_slices(inputs["images"], everyone(split))
    if generator is not None or line is not None:
        made = _made(split, generator, line, target=target, sources=sources)
        store = store.subset(split.test).replaced(made, modality=target or str(_target(generator)))
    for name in zeroed:
        blank = {subject: np.zeros(store.grid, np.float32) for subject in split.test}
        store = store.subset(split.test).replaced(blank, modality=name)
    networks = [load_network(one) for one in members]
    single, whole, bins = [], [], []
    for subject in split.test:
        truth = store.subject(subject).labels.cpu().numpy()
        total: Tensor | None = None
        for number, network in enumerate(networks):
            found, box = probabilities(
                network, store, subject, modalities=inputs["modalities"], precision=inputs["recipe"].precision
            )
            total = found if total is None else total + found
            single += dice_rows(labels_of(found, box, store, subject), truth, subject=subject, member=number)
        assert total is not None
        whole += dice_rows(labels_of(total, box, store, subject), truth, subject=subject)
        inside = store.subject(subject).brain.cpu().numpy()[box]
        bins.append(reliability(total / len(members), truth[box], inside).assign(subject=subject))
    work.scores(outlined(pd.DataFrame(whole)))
    work.table("members", outlined(pd.DataFrame(single)))
    work.table("reliability", pd.concat(bins, ignore_index=True))


@job
def rule(work: Work, *, images: Images, division: FoldsOf) -> None:
    """A threshold on FLAIR, fitted on all but the test subjects: what a network has to beat."""
    split = division.splits(images.source.open())[0]
    store = open_slices(images, everyone(split))
    found = fit_rule(store, (*split.train, *split.validation))
    work.note(flair=found.flair)
    rows = []
    for subject in split.test:
        rows += dice_rows(found.segment(store, subject), store.subject(subject).labels.cpu().numpy(), subject=subject)
    work.scores(outlined(pd.DataFrame(rows)))


def outlined(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the region that is outlined; the others say nothing, since a region that nobody drew is empty."""
    return rows[rows["group"] == OUTLINED].reset_index(drop=True)


def outlined_history(history: pd.DataFrame) -> pd.DataFrame:
    """A learning curve without the regions that nobody outlined; ``dice_mean`` is then the whole tumour's."""
    if f"dice_{OUTLINED}" not in history:
        return history
    others = [name for name in history if str(name).startswith("dice_") and name != f"dice_{OUTLINED}"]
    return history.drop(columns=others).assign(dice_mean=history[f"dice_{OUTLINED}"])


def _target(generator: Job | None) -> str:
    return "" if generator is None else str(generator.inputs["target"])


def _made(
    split: Split, generator: Job | None, line: Images | None, *, target: str, sources: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Synthetic images of the test subjects."""
    if generator is not None:
        if seen := set(trained_on(generator)) & set(split.test):
            raise RadlibError(
                f"the generator was trained on {len(seen)} of the subjects that are tested",
                remedy="hold out the same subjects in both chapters",
            )
        net, scaled = load_generator(generator), generator.inputs["images"].open(split.test)
        return {subject: synthesise(net, scaled, subject) for subject in split.test}
    assert line is not None
    store: ImageStore = line.open(tuple(sorted(everyone(split))))
    model = LinearSynthesis.fit(store, target=target, sources=sources, train=(*split.train, *split.validation))
    return {subject: model.predict(store, subject) for subject in split.test}
