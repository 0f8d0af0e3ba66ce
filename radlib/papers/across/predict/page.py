"""The page of one patient: what was predicted, from what, and how far to trust it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from radlib.data.nifti import Volume
from radlib.papers.across.predict.models import Answer
from radlib.plots.slices import Tile, slice_figure
from radlib.plots.viewer import grey_window, to_lps
from radlib.stats.tables import format_interval

NOT_CLINICAL = "Research software. Not a medical device, not for clinical use."

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
.warning { border-left: .4rem solid #d55e00; padding: .4rem .8rem; background: #d55e0022; }
table { border-collapse: collapse; margin: .6rem 0; } th, td { padding: .25rem .8rem; text-align: left;
border-bottom: 1px solid #8886; } img { max-width: 100%; background: white; } .scroll { overflow-x: auto; }
"""


def overlay(images: Mapping[str, Volume], labels: Volume, *, made: Sequence[str] = ()) -> Figure:
    """Axial slices through the predicted tumour, one row a modality, the outline drawn in.

    Radiological convention. Without a tumour the middle of the volume is shown.

    Args:
        images: by modality, on the grid of ``labels``.
        labels: 0, 1, 2, 4.
        made: modalities that are synthetic; their titles say so.
    """
    found = to_lps(labels)
    inside = np.flatnonzero(found.any(axis=(0, 1)))
    middle = found.shape[2] // 2
    places = [middle] if not len(inside) else sorted({int(np.quantile(inside, q)) for q in (0.25, 0.5, 0.75)})
    rows = {}
    for modality, volume in images.items():
        voxels, limits = to_lps(volume), grey_window(volume.data)
        beside = modality + (" (synthetic)" if modality in made else "")
        rows[beside] = [Tile(image=voxels[..., z], labels=found[..., z], limits=limits) for z in places]
    return slice_figure(rows)


def patient_page(
    subject: str, figure: Figure, volumes_ml: Mapping[str, float], answers: Sequence[Answer], notes: Sequence[str],
    provenance: Mapping[str, str],
) -> str:  # fmt: skip
    """A whole HTML document that loads nothing."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    plt.close(figure)
    picture = base64.b64encode(stream.getvalue()).decode()
    parts = [
        f"<h1>{html.escape(subject)}</h1>",
        f'<p class="warning"><strong>{NOT_CLINICAL}</strong></p>',
        *(f'<p class="warning">{html.escape(note)}</p>' for note in notes),
        "<h2>Predicted segmentation</h2>",
        f'<img alt="Slices with the predicted tumour parts in colour" src="data:image/png;base64,{picture}">',
        _table([[name, f"{value:.1f} ml"] for name, value in volumes_ml.items()], ["part", "volume"]),
    ]
    for answer in answers:
        name, worth = answer.worth
        rows = [
            [outcome, format_interval(*limits, digits=2)] for outcome, limits in answer.of(subject).items()
        ]  # fmt: skip
        out = int(answer.unusual[subject])
        parts += [
            f"<h2>{html.escape(answer.question[0].upper() + answer.question[1:])}</h2>",
            _table(rows, ["", "probability (95 % interval)"]),
            f"<p>Fitted on {html.escape(answer.trained_on)}. On patients left out: {html.escape(name)} "
            f"{format_interval(worth.value, worth.low, worth.high, digits=2)}. The interval says how much the "
            "probability depends on which patients were in the training set; it does not cover patients of another "
            "kind, other scanners, or errors of the segmentation.</p>",
        ]
        if out:
            warning = f"{out} of the values behind this prediction lie outside the range of the training patients."
            parts.append(f'<p class="warning">{warning}</p>')
    parts += ["<h2>Made from</h2>", _table([[k, v] for k, v in provenance.items()], ["", ""])]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{html.escape(subject)}</title><style>{_STYLE}</style>'
        f"</head><body>{''.join(parts)}</body></html>\n"
    )


def summary_row(subject: str, volumes_ml: Mapping[str, float], answers: Sequence[Answer]) -> dict[str, object]:
    """One line of ``predictions.tsv``."""
    row: dict[str, object] = {"id": subject, **{f"{name}, ml": round(value, 2) for name, value in volumes_ml.items()}}
    for answer in answers:
        for outcome, (value, low, high) in answer.of(subject).items():
            name = f"{answer.question}: {outcome}"
            row |= {name: round(value, 4), f"{name}, low": round(low, 4), f"{name}, high": round(high, 4)}
    return row


def _table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head) if any(head) else ""
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    head_row = f"<thead><tr>{top}</tr></thead>" if top else ""
    return f'<div class="scroll"><table>{head_row}<tbody>{body}</tbody></table></div>'
