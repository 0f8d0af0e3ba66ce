"""Which subject has what: tables and maps of modalities and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from radlib.data.cohort import FILE_COLUMNS, Cohort
from radlib.plots.style import PALETTE

IMAGE_ITEMS: tuple[str, ...] = FILE_COLUMNS
LABEL_ITEMS: tuple[str, ...] = (
    "age", "sex", "grade", "idh", "idh_ceccarelli", "codel_1p19q", "mgmt", "survival_days", "event", "radiomics",
    "expression",
)  # fmt: skip
_NAMES = {
    "t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR", "seg": "segmentation", "idh": "IDH",
    "idh_ceccarelli": "IDH, Ceccarelli", "codel_1p19q": "1p/19q", "mgmt": "MGMT", "survival_days": "survival",
    "event": "event observed or not", "radiomics": "radiomic features", "expression": "gene expression",
}  # fmt: skip


def availability(cohort: Cohort, items: Sequence[str]) -> pd.DataFrame:
    """Subjects x items: True where the subject has it. ``expression`` and ``radiomics`` count if any value is there.

    An item that is no column of the cohort is False for everyone.
    """
    table = pd.DataFrame(index=cohort.participants.index)
    for item in items:
        if item in ("expression", "radiomics"):
            beside = cohort.expression if item == "expression" else cohort.radiomics
            table[item] = False if beside is None else beside.notna().any(axis=1)
        elif item in cohort.participants:
            table[item] = cohort.participants[item].notna()
        else:
            table[item] = False
    return table.astype(bool)


def availability_counts(cohorts: Mapping[str, Cohort], items: Sequence[str]) -> pd.DataFrame:
    """Cohorts x (``subjects`` and items): how many subjects have it."""
    items = _known(cohorts, items)
    rows = {
        name: {"subjects": len(cohort), **availability(cohort, items).sum().to_dict()}
        for name, cohort in cohorts.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index").astype(int)
    return table.rename(columns=_NAMES).rename_axis(index="cohort")


def availability_map(cohorts: Mapping[str, Cohort], items: Sequence[str]) -> Figure:
    """One panel a cohort: items down, subjects across (those with most first), filled where a subject has the item.

    The share that has it stands beside each row, so that the map can be read without its colour.
    """
    items = _known(cohorts, items)
    rows = len(items) * len(cohorts)
    figure, panels = plt.subplots(
        len(cohorts), 1, figsize=(7.4, 0.21 * rows + 0.62 * len(cohorts) + 0.5), squeeze=False
    )
    for axes, (name, cohort) in zip(panels[:, 0], cohorts.items(), strict=True):
        table = availability(cohort, items)
        order = np.lexsort(table.to_numpy()[:, ::-1].T)[::-1]
        matrix = table.to_numpy()[order].T
        axes.imshow(matrix, aspect="auto", cmap=ListedColormap(["#E3E3E3", PALETTE[0]]), vmin=0, vmax=1,
                    interpolation="nearest")  # fmt: skip
        axes.set_title(f"{name} ({len(cohort)} subjects)", loc="left")
        axes.set_yticks(range(len(items)), [_NAMES.get(item, item) for item in items], fontsize="small")
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.set_yticks(np.arange(len(items) - 1) + 0.5, minor=True)
        axes.grid(visible=True, axis="y", which="minor", color="white", linewidth=2)
        axes.tick_params(axis="y", which="minor", length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        for row, count in enumerate(matrix.sum(axis=1)):
            axes.text(1.01, row, f"{int(count)}", transform=axes.get_yaxis_transform(), va="center", fontsize="small")
    figure.legend(
        handles=[Patch(color=PALETTE[0], label="there"), Patch(color="#E3E3E3", label="not there")],
        loc="outside lower center", ncols=2, fontsize="small",
    )  # fmt: skip
    return figure


def _known(cohorts: Mapping[str, Cohort], items: Sequence[str]) -> list[str]:
    """The items without those that only some other source records at all."""
    columns = {"expression", "radiomics"}.union(*(cohort.participants.columns for cohort in cohorts.values()))
    return [item for item in items if item in columns]
