"""How sure an ensemble is after its members' logits were divided by a temperature (Guo 2017, ICML 70:1321)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from radlib.core.seeds import rng
from radlib.data.regions import from_classes, to_classes
from radlib.papers.islam2020.recipes import everyone
from radlib.papers.islam2020.study_ensembles import reliability
from radlib.papers.islam2020.study_segmentation import load_network, open_slices, probabilities, split_of
from radlib.study.jobs import Job, job
from radlib.study.store import Work

VOXELS = 20_000
"""Brain voxels of a subject by which a temperature is fitted."""


@job
def temperature(work: Work, *, members: tuple[Job, ...], most: int = 6) -> None:
    """Fit a temperature for every member on subjects of its fold, and apply it to the test subjects.

    A member's temperature is fitted on at most ``most`` of its own fold's validation subjects: the other members were
    trained on them, so that the ensemble as a whole cannot be.

    Scores, by subject with ``prediction`` ``plain`` or ``tempered``: ``nll`` (mean negative log probability of the true
    class over brain voxels) and ``brier`` (mean squared distance to the true class, 0 to 2). The table ``temperatures``
    has one row a ``member``, the table ``reliability`` what
    :func:`~radlib.papers.islam2020.study_ensembles.reliability` gives, by ``prediction``.
    """
    inputs = members[0].inputs
    store = open_slices(inputs["images"], everyone(split_of(members[0])))
    networks = [load_network(one) for one in members]

    def brain(number: int, subject: str) -> tuple[Tensor, Tensor]:
        found, box = probabilities(
            networks[number], store, subject, modalities=inputs["modalities"], precision=inputs["recipe"].precision
        )
        one = store.subject(subject)
        inside = one.brain[box].cpu()
        return found[:, inside].double(), to_classes(one.labels[box].cpu()[inside]).long()

    found = []
    for number, member in enumerate(members):
        parts = []
        for subject in split_of(member).validation[:most]:
            p, truth = brain(number, subject)
            some = torch.from_numpy(rng(0, "temperature", subject).permutation(len(truth))[:VOXELS].copy())
            parts.append((p[:, some], truth[some]))
        found.append(fitted(torch.cat([p for p, _ in parts], dim=1), torch.cat([truth for _, truth in parts])))
    work.table("temperatures", pd.DataFrame({"member": range(len(members)), "temperature": found}))
    scores, bins = [], []
    for subject in split_of(members[0]).test:
        each = [brain(number, subject) for number in range(len(members))]
        truth = each[0][1]
        for name, by in {"plain": [1.0] * len(members), "tempered": found}.items():
            mean = torch.stack([tempered(p, t) for (p, _), t in zip(each, by, strict=True)]).mean(dim=0)
            about = {"subject": subject, "prediction": name}
            right = mean.gather(0, truth[None])[0]
            brier = (mean.square().sum(dim=0) - 2 * right + 1).mean()
            scores += [{**about, "group": "all", "metric": "nll", "value": float(-right.clamp(min=1e-12).log().mean())},
                       {**about, "group": "all", "metric": "brier", "value": float(brier)}]  # fmt: skip
            inside = np.ones(len(truth), bool)
            bins.append(reliability(mean, from_classes(truth).numpy(), inside).assign(**about))
    work.scores(pd.DataFrame(scores))
    work.table("reliability", pd.concat(bins, ignore_index=True))


def tempered(p: Tensor, temperature: float) -> Tensor:
    """Probabilities ``(K, n)`` whose logits are divided by a temperature; 1 leaves them, more makes them less sure."""
    return (p.clamp(min=1e-12).log() / temperature).softmax(dim=0)


def fitted(p: Tensor, truth: Tensor) -> float:
    """The temperature, 0.1 to 10, with the smallest mean negative log probability of the true classes.

    Args:
        p: probabilities ``(K, n)``.
        truth: classes ``(n,)``, int64.
    """

    def nll(log: float) -> float:
        return float(-tempered(p, float(np.exp(log))).gather(0, truth[None]).log().mean())

    edge = np.log(10)
    return float(np.exp(minimize_scalar(nll, bounds=(-edge, edge), method="bounded").x))
