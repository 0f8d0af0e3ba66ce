"""Pictures of the chapters on Li 2017."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from radlib.core.titles import title
from radlib.data.store import ImageStore
from radlib.papers.li2017.data import truth_of
from radlib.papers.li2017.segmentation import TumourNetwork, segment
from radlib.plots.slices import Tile, slice_figure, widest_slice
from radlib.stats.segmentation import dice

# Segmentation


def typical_patients(scores: pd.DataFrame, *, at: Sequence[float] = (0.1, 0.5, 0.9)) -> list[str]:
    """The patients whose ``value`` lies at these quantiles: chosen by rank, not by eye."""
    order = scores.groupby("subject")["value"].mean().sort_values()
    places = sorted({round(share * (len(order) - 1)) for share in at})
    return [str(order.index[place]) for place in places]


def segmentation_figure(store: ImageStore, subjects: Sequence[str], networks: Mapping[str, TumourNetwork]) -> Figure:
    """Figure 1(b): the slice with most tumour of simulated patients, the reference, and what networks find.

    Args:
        store: with FLAIR and T1c, as the networks want it.
        subjects: one row each.
        networks: a column each, by title.
    """
    rows = []
    for subject in subjects:
        one, truth = store.subject(subject), truth_of(store, subject)
        z = widest_slice(truth)
        images = {name: one.image(name)[..., z] for name in store.modalities}
        row = [Tile(image=image, title=title(name), outlines={"reference": truth[..., z]})
               for name, image in images.items()]  # fmt: skip
        for name, network in networks.items():
            found = segment(network, store, subject)
            outlines = {"reference": truth[..., z], "network": found[..., z]}
            row.append(
                Tile(image=images["flair"], title=name, note=f"Dice {dice(found, truth):.2f}", outlines=outlines)
            )
        rows.append(row)
    return slice_figure(rows)
