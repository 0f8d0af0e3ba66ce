"""The stated causal graph of the simulated cohort: which variable acts on which, and how strongly.

The simulation (:mod:`radlib.phantom.biology`) hands every equation the parents that stand here and nothing else, and
the figure is drawn from the same arrows, so neither can say something that the other does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from radlib.core.errors import RadlibError

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.figure import Figure

DESIGN = "cohort"
"""The node for how a cohort was put together: its arrows are quotas of the template and have no strength."""

DESIGNED = ("age", "sex", "grade", "idh")
"""What the template fixes by quota, so that associations among these four are the recruitment's, not an arrow's."""

IMAGING = (
    "ventricles", "volume", "mass_effect", "enhancement", "necrosis", "heterogeneity", "foci", "border", "core",
    "mismatch", "location",
)  # fmt: skip
"""The variables that an image shows (:class:`radlib.phantom.traits.ImagingTraits`)."""


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """One arrow of the graph.

    Attributes:
        source, target: names of variables.
        strength: the value of the preset ``signal``, in ``unit``; 0 takes the arrow away.
        unit: what one unit of strength does.
    """

    source: str
    target: str
    strength: float
    unit: str

    @property
    def name(self) -> str:
        """``source->target``, the name under which a strength is set."""
        return f"{self.source}->{self.target}"


def _arrows() -> tuple[Arrow, ...]:
    grade, logit = "per WHO grade", "log odds"
    rows: list[tuple[str, str, float, str]] = [
        ("idh", "codel", 6.0, f"{logit}, mutant against wild type"),
        ("grade", "codel", -1.0, f"{logit} {grade}"),
        ("idh", "mgmt", 2.6, f"{logit}, mutant against wild type"),
        ("grade", "aggressiveness", 0.35, f"SD {grade}"),
        ("idh", "aggressiveness", -0.6, "SD, mutant against wild type"),
        ("idh", "location", 0.8, "share of the way from the wild-type to the mutant distribution of lobes"),
        ("grade", "volume", 0.05, f"log volume {grade}"),
        ("idh", "volume", 0.10, "log volume, mutant against wild type"),
        ("aggressiveness", "volume", 0.20, "log volume per SD"),
        ("grade", "enhancement", 1.15, f"log ratio of enhancing tumour to oedema {grade}"),
        ("idh", "enhancement", -0.20, "log ratio, mutant against wild type"),
        ("aggressiveness", "enhancement", 0.25, "log ratio per SD"),
        ("grade", "core", -0.40, f"log ratio of core to oedema {grade}"),
        ("idh", "core", 1.25, "log ratio, mutant against wild type"),
        ("grade", "necrosis", 0.50, f"{logit} of the liquefied share {grade}"),
        ("idh", "necrosis", -0.30, f"{logit}, mutant against wild type"),
        ("aggressiveness", "necrosis", 0.40, f"{logit} per SD"),
        ("grade", "border", -0.20, f"{logit} of a sharp border {grade}"),
        ("idh", "border", 0.70, f"{logit}, mutant against wild type"),
        ("aggressiveness", "border", -0.30, f"{logit} per SD"),
        ("idh", "mismatch", 3.5, f"{logit} of a T2-FLAIR mismatch, mutant against wild type"),
        ("codel", "mismatch", -3.5, f"{logit}, codeleted against not"),
        ("grade", "mismatch", -0.5, f"{logit} {grade}"),
        ("grade", "foci", 0.30, f"{logit} of a second focus {grade}"),
        ("aggressiveness", "foci", 0.40, f"{logit} per SD"),
        ("volume", "mass_effect", 1.3, f"{logit} per e-fold of volume"),
        ("aggressiveness", "mass_effect", 0.30, f"{logit} per SD"),
        ("grade", "heterogeneity", 0.25, f"{logit} {grade}"),
        ("idh", "heterogeneity", -0.20, f"{logit}, mutant against wild type"),
        ("aggressiveness", "heterogeneity", 0.30, f"{logit} per SD"),
        ("age", "ventricles", 1.0, "years of apparent age per year"),
        ("grade", "pathways", 0.30, f"SD of the proliferation programme {grade}"),
        ("idh", "pathways", 1.5, "SD of the methylator programme, mutant against wild type"),
        ("aggressiveness", "pathways", 0.6, "SD of the proliferation programme per SD"),
        ("age", "pathways", 0.15, "SD of the ageing programme per decade"),
        ("pathways", "genes", 1.0, "share of each gene's loading on the programmes"),
        ("age", "survival", -0.17, "log time per decade"),
        ("sex", "survival", -0.10, "log time, male against female"),
        ("grade", "survival", -0.25, f"log time {grade}"),
        ("idh", "survival", 0.30, "log time, mutant against wild type"),
        ("codel", "survival", 0.40, "log time, codeleted against not"),
        ("mgmt", "survival", 0.30, "log time, methylated against not"),
        ("aggressiveness", "survival", -0.35, "log time per SD"),
        ("volume", "survival", -0.15, "log time per e-fold of volume"),
        ("enhancement", "survival", -0.08, "log time per e-fold of the ratio of enhancing tumour to oedema"),
        ("genes", "survival", 1.0, "multiplies the coefficients of the prognostic genes"),
    ]  # fmt: skip
    return tuple(
        Arrow(source=source, target=target, strength=strength, unit=unit) for source, target, strength, unit in rows
    )


ARROWS: Mapping[str, Arrow] = MappingProxyType({arrow.name: arrow for arrow in _arrows()})
"""Every arrow by name, in the order of the variables they act on."""

PRESETS = ("signal", "null")


def is_cut_by_null(arrow: Arrow) -> bool:
    """Whether the preset ``null`` sets an arrow to zero.

    It cuts every arrow into ``survival``, and every arrow by which age, grade, IDH or 1p/19q could reach an image:
    those into imaging traits and those into aggressiveness, which acts on imaging traits. What stays: arrows
    among traits, the genes' own correlation, molecular markers of one another, aggressiveness on images and genes.
    """
    reaches_images = arrow.target in IMAGING or arrow.target == "aggressiveness"
    return arrow.target == "survival" or (arrow.source in (*DESIGNED, "codel", "mgmt") and reaches_images)


def resolve_strengths(strengths: str | Mapping[str, float] | None = None) -> dict[str, float]:
    """The strength of every arrow.

    Args:
        strengths: the preset ``signal`` (also None) or ``null``; or values by arrow name, such as
            ``{"idh->survival": 0}``, over ``signal``. The key ``preset`` in the mapping names another base.

    Raises:
        RadlibError: for an unknown preset or arrow, or a strength that is not a finite number.
    """
    changes: dict[str, object] = {}
    preset: object = "signal"
    if isinstance(strengths, str):
        preset = strengths
    elif strengths is not None:
        changes = dict(strengths)
        preset = changes.pop("preset", "signal")
    if preset not in PRESETS:
        raise RadlibError(f"unknown preset {preset!r}", remedy=f"use one of {', '.join(PRESETS)}")
    values = {
        name: 0.0 if preset == "null" and is_cut_by_null(arrow) else arrow.strength for name, arrow in ARROWS.items()
    }
    for name, value in changes.items():
        if name not in values:
            raise RadlibError(f"unknown arrow {name!r}", remedy=f"name one of the graph's arrows: {', '.join(ARROWS)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise RadlibError(
                f"the strength of {name!r} is {value!r}", remedy="give a finite number; 0 takes the arrow away"
            )
        values[name] = float(value)
    return values


def causal_graph(strengths: str | Mapping[str, float] | None = None) -> nx.DiGraph:
    """The graph whose arrows have a strength other than zero, with the design node; edges carry ``strength``."""
    import networkx as nx

    graph = nx.DiGraph()
    for arrow in ARROWS.values():
        graph.add_nodes_from((arrow.source, arrow.target))
    graph.add_edges_from(((DESIGN, node) for node in DESIGNED), strength=None)
    for name, value in resolve_strengths(strengths).items():
        if value != 0:
            graph.add_edge(ARROWS[name].source, ARROWS[name].target, strength=value)
    return graph


def parents(node: str) -> tuple[str, ...]:
    """The variables with an arrow into ``node``, whatever its strength."""
    return tuple(arrow.source for arrow in ARROWS.values() if arrow.target == node)


def order() -> list[str]:
    """Every variable after its parents, the designed ones first."""
    import networkx as nx

    graph = nx.DiGraph((arrow.source, arrow.target) for arrow in ARROWS.values())
    later = [node for node in nx.lexicographical_topological_sort(graph) if node not in DESIGNED]
    return [*DESIGNED, *later]


LABELS: Mapping[str, str] = MappingProxyType(
    {
        "cohort": "cohort\n(recruitment)", "grade": "WHO grade", "idh": "IDH", "codel": "1p/19q",
        "mgmt": "MGMT", "aggressiveness": "aggressiveness\n(latent)", "mass_effect": "mass effect",
        "mismatch": "T2-FLAIR\nmismatch", "pathways": "gene programmes\n(latent)", "genes": "1740 genes",
        "foci": "number of foci", "border": "border sharpness", "necrosis": "necrotic share",
        "core": "core : oedema", "enhancement": "enhancing : oedema",
    }
)  # fmt: skip
"""How a variable is called in figures, where its name does not say it."""

_POSITIONS: dict[str, tuple[float, float]] = {
    "cohort": (0.0, 5.0),
    "sex": (1.2, 10.4), "age": (1.2, 8.6), "grade": (1.2, 5.6), "idh": (1.2, 2.2),
    "codel": (2.6, 1.4), "mgmt": (2.6, 0.2), "aggressiveness": (2.6, 6.6),
    **{node: (4.4, 10.6 - 0.93 * number) for number, node in enumerate(IMAGING)},
    "pathways": (3.4, -1.2), "genes": (4.9, -1.2), "survival": (6.3, 4.6),
}  # fmt: skip


def draw_causal_graph(strengths: str | Mapping[str, float] | None = None) -> Figure:
    """Draw the arrows whose strength is not zero.

    Positive strengths are blue, negative ones orange and dashed, recruitment by quota grey and dotted. Strengths of
    different arrows have different units, so they are no widths; the table beside the figure gives them.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    axes = figure.add_subplot()
    graph = causal_graph(strengths)
    colours = {"design": "#f0f0f0", "imaging": "#e3efdd", "outcome": "#fbe3d6", "other": "#e4ecf7"}
    boxes = {}
    for node in graph.nodes:
        kind = (
            "design" if node == DESIGN
            else "imaging" if node in IMAGING
            else "outcome" if node == "survival"
            else "other"
        )  # fmt: skip
        boxes[node] = axes.text(
            *_POSITIONS[node], LABELS.get(node, node), ha="center", va="center", fontsize=9, zorder=3,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": colours[kind], "edgecolor": "#555555", "linewidth": 0.8},
        )  # fmt: skip
    axes.set_xlim(-0.6, 6.9)
    axes.set_ylim(-1.9, 11.2)
    axes.set_axis_off()
    figure.draw_without_rendering()  # arrows end at the boxes, whose extents exist once they are laid out
    for source, target, strength in graph.edges(data="strength"):
        colour, style = (
            ("#9a9a9a", ":") if strength is None
            else ("#0072B2", "-") if strength > 0
            else ("#D55E00", "--")
        )  # fmt: skip
        axes.add_patch(
            FancyArrowPatch(
                _POSITIONS[source], _POSITIONS[target], arrowstyle="-|>", mutation_scale=9, color=colour,
                linestyle=style, linewidth=0.9, alpha=0.75, zorder=2, connectionstyle="arc3,rad=0.05",
                patchA=boxes[source].get_bbox_patch(), patchB=boxes[target].get_bbox_patch(), shrinkA=0, shrinkB=1,
            )
        )  # fmt: skip
    return figure
