"""Figures that the chapters of Ge 2020 alone draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from radlib.core.titles import MODALITY_TITLES
from radlib.data.cohort import MODALITIES
from radlib.papers.ge2020.cases import ABSENT, Case, Translated
from radlib.papers.ge2020.data import SLICES, VIEWS, Patients
from radlib.plots.slices import Tile, slice_figure
from radlib.plots.style import PALETTE


def case_figure(cases: Mapping[str, Case], modalities: Sequence[str] = MODALITIES) -> Figure:
    """Figure 6: patients by modality, real and synthesised, in the training sets of both case studies."""
    figure, panels = plt.subplots(1, 2, figsize=(9.4, 3.4), sharex=True)
    groups = {"prop_a": (("S1, real", 0), ("S2, fake patients", 1)),
              "prop_b": (("S3, real", 0), ("S4, missing scans", 2), ("S5, fake patients", 1))}  # fmt: skip
    for axes, (name, parts) in zip(panels, groups.items(), strict=True):
        case = cases[name]
        left = np.zeros(len(modalities))
        for label, colour in parts:
            records = case.real if colour != 1 else [r for r in case.augmented if r.fake]
            counts = np.array([
                sum((r.sources[k] == k) if colour == 0 else (r.sources[k] not in (k, ABSENT)) for r in records)
                for k in range(len(modalities))
            ])  # fmt: skip
            axes.barh(range(len(modalities)), counts, left=left, color=PALETTE[colour], label=label,
                      hatch="//" if colour else None, edgecolor="white", linewidth=0)  # fmt: skip
            left += counts
        axes.set_yticks(range(len(modalities)), [MODALITY_TITLES[m] for m in modalities])
        axes.invert_yaxis()
        axes.set(xlabel="patients", title=f"Case {name[-1].upper()}")
        axes.grid(visible=False, axis="y")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, fontsize=9)
    return figure


def example_figure(patients: Patients, made: Translated, *, place: int = 4) -> Figure:
    """Figure 7: a row a real slice (framed), the other modalities made from it.

    Args:
        patients, made: real and synthetic images; row ``r`` is the ``r``-th patient of ``made``, from modality ``r``.
        place: which of the six slices.
    """
    rows = []
    for number, subject in enumerate(made.ids):
        source = number % len(patients.modalities)
        own = patients.rows([subject])[0]
        rows.append([
            Tile(image=(patients.images[own, place, k] if k == source else made.images[source, k][number, place]),
                 title=MODALITY_TITLES[name], outlines={"tumour": patients.masks[own, place]}, limits=(0, 1),
                 upwards=place < 4, frame=PALETTE[1] if k == source else "")
            for k, name in enumerate(patients.modalities)
        ])  # fmt: skip
    return slice_figure(rows)


def view_figure(patients: Patients, subject: str) -> Figure:
    """The six slices of a patient, two of each view, in every modality."""
    row = patients.rows([subject])[0]
    return slice_figure({
        MODALITY_TITLES[name]: [
            Tile(image=patients.images[row, place, channel], title=VIEWS[place // 2], limits=(0, 1), upwards=place < 4)
            for place in range(SLICES)
        ]
        for channel, name in enumerate(patients.modalities)
    })  # fmt: skip
