"""The page of one patient: what was predicted, from what, and how far to trust it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from radlib.papers.across.predict.models import Answer
from radlib.stats.tables import format_interval

NOT_CLINICAL = "Research software. Not a medical device, not for clinical use."

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
.warning { border-left: .4rem solid #d55e00; padding: .4rem .8rem; background: #d55e0022; }
table { border-collapse: collapse; margin: .6rem 0; } th, td { padding: .25rem .8rem; text-align: left;
border-bottom: 1px solid #8886; }
iframe { width: 100%; height: clamp(420px, 60rem - 100vw, 580px); border: 0; }
.scroll { overflow-x: auto; }
"""


def patient_page(
    subject: str, viewer: str, volumes_ml: Mapping[str, float], answers: Sequence[Answer], notes: Sequence[str],
    provenance: Mapping[str, str],
) -> str:  # fmt: skip
    """A whole HTML document that loads nothing. ``viewer`` is one, too: the images under the predicted tumour."""
    parts = [
        f"<h1>{html.escape(subject)}</h1>",
        f'<p class="warning"><strong>{NOT_CLINICAL}</strong></p>',
        *(f'<p class="warning">{html.escape(note)}</p>' for note in notes),
        "<h2>Predicted segmentation</h2>",
        f'<iframe title="The images under the predicted tumour" srcdoc="{html.escape(viewer)}"></iframe>',
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
