"""Tables 1 to 5 of Zhang 2021 beside this run's, orders of networks, and who takes part."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from radlib.core.titles import METRIC_TITLES
from radlib.data.published import load_paper, published
from radlib.data.regions import REGIONS, region_mask
from radlib.data.store import ImageStore
from radlib.nn.common import count_parameters
from radlib.papers.zhang2021.data import PAIRS, PAPER, SINGLES, Groups, Recipe, Subjects
from radlib.papers.zhang2021.networks import Discriminator, build, build_transition
from radlib.stats.intervals import Estimate, mean_estimate
from radlib.study.estimates import AVERAGE, contrasts, standard_table
from radlib.study.gates import verdict

TITLES: dict[str, str] = {
    "ours": "full network",
    "without_mg": "without mask guidance",
    "with_ca": "conventional attention",
    "s_a": "S_A",
    "s_b": "S_B",
    "s_a_s_b": "S_A + S_B",
    "ours_random": "random weights",
    "ours_2d": "2D segmentation",
    "ours_self": "self-reconstruction",
    "ours_other": "pairs T1 + FLAIR, T2 + T1c",
    "ours_six": "four single modalities",
    "segresnet": "SegResNet (MONAI)",
    "dynunet": "DynUNet (MONAI)",
    "rule": "two thresholds",
}
"""Arms as the tables call them."""


def titles_of(places: Sequence[str]) -> dict[str, str]:
    """:data:`TITLES`; where the whole tumour alone is scored, one of the rule's two thresholds counts."""
    return TITLES | ({"rule": "threshold on FLAIR"} if tuple(places) == ("wt",) else {})


PUBLISHED_ROWS = {
    "s_a": "s_a", "s_b": "s_b", "s_a_s_b": "s_a_s_b", "without_mg": "ours_without_mg", "with_ca": "ours_with_ca",
    "ours_random": "ours_random", "ours_2d": "ours_voc", "ours_self": "ours_self", "ours": "ours",
}  # fmt: skip
"""Arms to rows of Tables 2 and 4."""

PLACES = (*REGIONS, AVERAGE)
"""The columns of a metric in Tables 2 to 5: three regions and the mean of their means."""


def places_of(regions: Sequence[str]) -> tuple[str, ...]:
    """Columns of a metric where these regions are outlined: the last one is the headline's, and the only one of one."""
    return (*regions, AVERAGE) if len(regions) > 1 else tuple(regions)


COMPARED = ("dice", "sensitivity", "hd95")
"""The metrics of Tables 2 and 4. The text announces specificity too, which no table prints."""


# Who takes part


def subject_table(subjects: Subjects) -> pd.DataFrame:
    """Subjects by part and grade, with the median volume of the regions, ml."""
    parts = {
        "training": subjects.train, "tuning": subjects.tuning, "held out (Table 4)": subjects.held_out,
        "of these, Table 2": subjects.fewer,
    }  # fmt: skip
    rows, store = [], subjects.store
    grades = subjects.grade.dropna()
    own = {str(grade): str(grade) for grade in sorted(grades[grades.str.startswith("grade")].unique())}
    named = own or {"HGG": "high grade", "LGG": "low grade"}
    for part, ids in parts.items():
        if not ids:
            continue
        labels = store.labels[store.rows(ids)].cpu()
        volumes = {
            f"{region.upper()} (ml)": float(region_mask(labels, region).flatten(1).sum(dim=1).median()) * store.voxel_ml
            for region in subjects.regions
        }
        grades = subjects.grade.reindex(list(ids))
        counts = {title: int((grades == grade).sum()) for grade, title in named.items()}
        row = {"part": part, "subjects": len(ids), **counts, **volumes}
        if "et" in subjects.regions:
            row["without ET"] = int((~(labels == 4).flatten(1).any(dim=1)).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def pair_correlations(store: ImageStore, subjects: Sequence[str]) -> pd.DataFrame:
    """How alike two modalities are: absolute rank correlation (Spearman's) within the brain.

    Returns:
        Rows ``(subject, modality)``, a column a modality.
    """
    tables = {}
    for subject in subjects:
        one = store.subject(subject)
        inside = one.images[:, one.brain].cpu().numpy()
        tables[subject] = pd.DataFrame(inside.T, columns=list(store.modalities)).corr("spearman").abs()
    return pd.concat(tables)


def within_and_between(
    table: pd.DataFrame, groups: Groups = PAIRS, *, n_boot: int = 2000, seed: int = 0
) -> dict[str, Estimate]:
    """Mean correlation (:func:`pair_correlations`) ``within`` groups, ``between`` them, and their ``difference``."""
    place = {name: number for number, group in enumerate(groups) for name in group}
    pairs = table.stack()
    first, second = (pairs.index.get_level_values(level) for level in (1, 2))
    same, itself = first.map(place) == second.map(place), first == second
    within, between = (pairs[side].groupby(level=0, sort=False).mean() for side in (same & ~itself, ~same))
    sides = {"within": within, "between": between, "difference": within - between}
    return {name: mean_estimate(values, n_boot=n_boot, seed=seed) for name, values in sides.items()}


def correlation_table(table: pd.DataFrame) -> pd.DataFrame:
    """Mean absolute rank correlation of every two modalities over subjects, as a square."""
    return table.groupby(level=1, sort=False).mean()


# The networks


def layers_of(network: nn.Module, images: tuple[Any, ...], kinds: tuple[type, ...]) -> pd.DataFrame:
    """Layers in the order of computation.

    Args:
        network: on any device; the meta device computes nothing.
        images: what its ``forward`` takes.
        kinds: of modules.

    Returns:
        ``kind``, ``channels_in``, ``edge_in``, ``channels``, ``edge`` (the first side of what goes in and comes out).
    """
    rows: list[dict[str, object]] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        before, after = given[0].shape, out.shape
        rows.append({
            "kind": type(module), "channels_in": before[1], "edge_in": before[2], "channels": after[1],
            "edge": after[2],
        })  # fmt: skip

    hooks = [module.register_forward_hook(note) for module in network.modules() if isinstance(module, kinds)]
    network(*images)
    for hook in hooks:
        hook.remove()
    return pd.DataFrame(rows)


def discriminator_table() -> pd.DataFrame:
    """Table 1: every layer of the discriminator as printed, and the size that goes into it here, at 128 voxels."""
    with torch.device("meta"):
        found = layers_of(
            Discriminator(1), (torch.empty(1, 1, 128, 128, 128),), (nn.Conv3d, nn.InstanceNorm3d, nn.LeakyReLU)
        )
    rows = []
    for number, row in enumerate(found.to_dict("records"), start=1):
        key = f"zhang2021.table1.l{number}"
        printed = f"{published(f'{key}.input_channels').printed}, {published(f'{key}.input_size').printed}"
        rows.append({
            "layer": f"L{number}", "type": published(f"{key}.type").printed, "input as printed": f"{printed} cubed",
            "input here": f"{row['channels_in']}, {row['edge_in']} cubed",
        })  # fmt: skip
    return pd.DataFrame(rows)


def size_table(recipe: Recipe) -> pd.DataFrame:
    """Parameters (thousands) of both stages, pairs against the naive extension, at a recipe's size and the paper's."""
    rows = []
    for title, groups in (("two pairs", PAIRS), ("four single modalities", SINGLES)):
        pairs = list(itertools.combinations(groups, 2))
        row: dict[str, object] = {"branches": title, "CycleGANs": len(pairs)}
        for size, one in (("here", recipe), ("as published", PAPER)):
            with torch.device("meta"):
                nets = [net for pair in pairs for net in build_transition(pair, one).values()]
                row[f"transition, {size}"] = sum(map(count_parameters, nets)) / 1e3
                row[f"fusion network, {size}"] = count_parameters(build("ours", groups=groups, recipe=one)) / 1e3
        rows.append(row)
    return pd.DataFrame(rows)


# Scores


def by_prediction(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores whose arm is the prediction where a network gives several (``s_a``, ``s_b``, ``s_a_s_b``)."""
    several = scores["arm"] == "branches"
    return scores.assign(arm=scores["prediction"].where(several, scores["arm"])).drop(columns="prediction")


def score_table(
    found: pd.DataFrame, scores: pd.DataFrame, metric: str, *, tables: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """One metric, a line an arm, with the published values beside and, for HD95, how many subjects were missed.

    Args:
        found: of :func:`radlib.study.estimates.estimates`.
        scores: that it is of.
        metric: which one.
        tables: titles of columns to published tables (``table2``); a region and the average follow one another.
    """
    part = found[found["metric"] == metric]
    places = tuple(dict.fromkeys(part["group"]))
    table = standard_table(part, titles=titles_of(places), digits=1 if metric in ("hd95", "lesion_hd95") else 3).rename(
        columns={"": "network"}
    )
    arms = list(dict.fromkeys(part["arm"]))
    if metric == "hd95":
        missed = scores[scores["metric"] == "missed"].groupby(["arm", "group"])["value"].sum().unstack()
        missed = missed.div(scores.groupby("arm")["run"].nunique(), axis=0).assign(**{AVERAGE: lambda t: t.sum(axis=1)})
        for place, column in zip(places, table.columns[1:], strict=True):
            counts = missed[place].reindex(arms).to_numpy()
            notes = [f"; {count:.1f} missed" if count else "" for count in counts]
            table[column] = [cell + note for cell, note in zip(table[column], notes, strict=True)]
    for title, source in (tables or {}).items():
        keys = [f"zhang2021.{source}.{PUBLISHED_ROWS.get(arm)}.{metric}" for arm in arms]
        table[title] = [
            " / ".join(published(f"{key}.{place}").printed for place in places) if arm in PUBLISHED_ROWS else ""
            for arm, key in zip(arms, keys, strict=True)
        ]
    return table


def quoted_table(table: str, found: pd.DataFrame) -> pd.DataFrame:
    """Tables 3 and 5: the published competitors as quoted, and below what was trained here, in the same columns.

    Args:
        table: ``table3`` or ``table5``.
        found: of :func:`radlib.study.estimates.estimates`.
    """
    cells = list(itertools.product(("dice", "hd95"), PLACES))
    names = [f"{METRIC_TITLES[metric]}, {place.upper() if place in REGIONS else place}" for metric, place in cells]
    rows = []
    for row, about in load_paper("zhang2021").tables[table].rows.items():
        printed = [published(f"zhang2021.{table}.{row}.{metric}.{place}").printed for metric, place in cells]
        rows.append([about.label, "BraTS validation, as published", *printed])
    for arm, part in found.groupby("arm", sort=False):
        value = part.set_index(["metric", "group"])["value"]
        here = [f"{value[cell]:.{1 if cell[0] == 'hd95' else 3}f}" for cell in cells]
        rows.append([TITLES[str(arm)], "this run", *here])
    return pd.DataFrame(rows, columns=["network", "data", *names])


def difference_table(
    scores: pd.DataFrame, pairs: Sequence[tuple[str, str]], *, places: Sequence[str] = PLACES, n_boot: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """Contrasts in Dice of pairs of arms, in every region and on average, with ``comparison`` in words in front."""
    found = contrasts(scores, pairs, metrics=["dice"], groups=places, n_boot=n_boot, seed=seed)
    titles = titles_of(places)
    names = [f"{titles[a]} − {titles[b]}" for a, b in zip(found["first"], found["second"], strict=True)]
    found.insert(0, "comparison", names)
    return found


def order_table(
    scores: pd.DataFrame, chain: Sequence[str], *, curves: Mapping[str, float], places: Sequence[str] = PLACES,
    n_boot: int = 2000, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """A claimed order, worst first, step by step, in the average Dice over regions (the Dice where there is one).

    Args:
        scores: of the arms and of ``rule``, above which the better arm of a step must be.
        chain: the arms.
        curves: by arm, the change in the last quarter of the learning curve.
        places: of :func:`places_of`; the last one decides.
        n_boot, seed: of the bootstrap.

    Returns:
        One row a step: ``claim``, ``value`` (the step up), ``low``, ``high``, ``n``, ``runs``, ``here`` (the word of
        :func:`radlib.study.gates.verdict`) and ``failed`` (the gates that did).
    """
    pairs = [(better, worse) for worse, better in itertools.pairwise(chain)]
    wanted = [*pairs, *((better, "rule") for better in chain[1:])]
    found = contrasts(scores, wanted, metrics=["dice"], groups=places, n_boot=n_boot, seed=seed)
    records = found[found["group"] == places[-1]].to_dict("records")
    average = {(row["first"], row["second"]): row for row in records}
    rows = []
    for better, worse in pairs:
        step = average[better, worse]
        word = verdict(
            _estimate(step), runs=step["runs"], competence={better: _estimate(average[better, "rule"])},
            curves={arm: curves.get(arm, float("nan")) for arm in (better, worse)},
        )  # fmt: skip
        rows.append({
            "claim": f"{TITLES[worse]} < {TITLES[better]}",
            **{name: step[name] for name in ("value", "low", "high", "n", "runs")}, "here": word.word,
            "failed": word.why,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _estimate(row: Mapping[Hashable, Any]) -> Estimate:
    return Estimate(row["value"], row["low"], row["high"], row["n"])
