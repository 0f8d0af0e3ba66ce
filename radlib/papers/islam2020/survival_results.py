"""Tables, figures and sentences of the survival chapter that starts from images."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from radlib.papers.islam2020 import radiogenomics as rg
from radlib.papers.islam2020.survival import RECORDED, SYNTHESISED, TRUE_MASKS, Stages, accuracy_of
from radlib.plots.statistics import plot_importance
from radlib.plots.style import PALETTE
from radlib.stats.explain import linear_shap
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE
from radlib.stats.segmentation import subject_mean
from radlib.stats.survival import CLASSES

SHORT = {RECORDED: "gaps left as zeros", SYNTHESISED: "gaps filled in"}


def with_gaps(scores: pd.DataFrame, stages: Stages) -> pd.DataFrame:
    """The scores with the column ``gaps``: how many images were synthesised for the patient."""
    made = stages.synthesised.groupby("subject").size()
    return scores.assign(gaps=scores["subject"].map(made).fillna(0).astype(int))


def dice_figure(scores: pd.DataFrame) -> Figure:
    """Dice by region and number of gaps, a box an arm."""
    regions = [region for region in ("wt", "tc", "et") if region in set(scores["region"])]
    figure, panels = plt.subplots(1, len(regions), figsize=(3.2 * len(regions), 3.8), sharey=True, squeeze=False)
    for axes, region in zip(panels[0], regions, strict=True):
        part = scores[scores["region"] == region].assign(arm=lambda t: t["model"].map(SHORT))
        sns.boxplot(
            part, x="gaps", y="dice", hue="arm", hue_order=list(SHORT.values()), ax=axes, palette=list(PALETTE[:2]),
            fliersize=2, legend=region == regions[0],
        )  # fmt: skip
        counts = part.drop_duplicates("subject")["gaps"].value_counts().sort_index()
        axes.set_xticks(range(len(counts)), [f"{gaps}\n(n = {n})" for gaps, n in counts.items()])
        axes.set(title=region.upper(), xlabel="modalities filled in", ylabel="Dice", ylim=(-0.02, 1.02))
    handles, labels = panels[0, 0].get_legend_handles_labels()
    panels[0, 0].get_legend().remove()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def dice_table(scores: pd.DataFrame, gain: pd.DataFrame) -> pd.DataFrame:
    """Dice of the patients with gaps in both arms, and the paired difference."""
    rows = []
    changes = gain.set_index("region").to_dict("index")
    affected = scores[scores["gaps"] > 0]
    for region in ("wt", "tc", "et"):
        part = affected[affected["region"] == region]
        cells: dict[str, object] = {"region": region.upper()}
        for arm, title in SHORT.items():
            one = subject_mean(part[part["model"] == arm], "dice")
            cells[title] = f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
        change = changes[region]
        cells["difference"] = f"{change['value']:+.3f} ({change['low']:+.3f} to {change['high']:+.3f})"
        cells["p (Wilcoxon)"] = f"{change['p']:.2g}"
        cells["n"] = change["n"]
        rows.append(cells)
    return pd.DataFrame(rows)


def ablation_sentence(table: pd.DataFrame, *, largest: float) -> str:
    """What the stages cost, leakage-free, and whether any arm is told from the largest class."""

    def said(arm: str, protocol: str, model: str) -> str:
        one = accuracy_of(table, arm=arm, protocol=protocol, model=model)
        return f"{one.value:.1f} % ({one.low:.1f} to {one.high:.1f})"

    parts = [
        "Leakage-free, radiomic features alone give "
        f"{said(TRUE_MASKS, LEAKAGE_FREE, 'SVM, radiomic')} from true masks, "
        f"{said(RECORDED, LEAKAGE_FREE, 'SVM, radiomic')} from masks predicted with gaps, and "
        f"{said(SYNTHESISED, LEAKAGE_FREE, 'SVM, radiomic')} from masks predicted after filling in. Fused with "
        f"genes the paper's pipeline gives {said(SYNTHESISED, LEAKAGE_FREE, 'SVM, fused')} leakage-free and "
        f"{said(SYNTHESISED, AS_PUBLISHED, 'SVM, fused')} as published; the largest class alone has {largest:.1f} %."
    ]
    fair = table[(table["protocol"] == LEAKAGE_FREE) & (table["features of"] != TRUE_MASKS)]
    moved = fair[(fair["change low"] > 0) | (fair["change high"] < 0)]
    parts.append(
        "No source of features moves the leakage-free accuracy by more than its interval allows for chance."
        if moved.empty
        else f"The leakage-free change against true masks differs from 0 in {len(moved)} of {len(fair)} comparisons."
    )
    return " ".join(parts)


def shap_figure(study: rg.Study, *, n_radiomic: int, n_genomic: int, seed: int) -> tuple[Figure, list[str]]:
    """The leading features of the fused SVM by mean absolute SHAP value and class, as in Figure 9 C.

    The SVM is fitted, features and all, on all patients, as in the paper: it says what the model uses.

    Returns:
        The figure, and the names of the features in it, the leading one first.
    """
    table, svm, _ = rg.fit_on_all(study, n_radiomic=n_radiomic, n_genomic=n_genomic, seed=seed)
    figure, axes = plt.subplots(figsize=(6.4, 5.8))
    explained = linear_shap(svm, table, classes=CLASSES)
    top = plot_importance(axes, explained, highlight=rg.PAPER_GENES, colours=PALETTE)
    return figure, [str(name) for name in top.index]
