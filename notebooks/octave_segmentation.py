# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Octave skip-scSE segmentation
#
# **The claims.** {cite:t}`islam2020radiogenomic` segment glioma with a fully convolutional network of octave
# convolutions {cite}`chen2019octave` whose decoder excites its feature maps by *skip-scSE*, an scSE module
# {cite}`roy2018scse` with inner-imaging {cite}`hu2018innerimaging` and a skip connection. On the BraTS 2017 validation
# set the ensemble of four folds has a Dice of 0.7471, 0.8991 and 0.7991 for enhancing tumour, whole tumour and core,
# ahead of U-Net with and without scSE, DeepLab v3 and GCN; and Dice grows with every modality that is added.
#
# **What this chapter does.** It builds all five networks, trains each in four folds on the same batches, and applies
# single networks and ensembles to subjects that no training saw. It asks whether the *order* of the networks holds when
# other trainings and other patients are allowed for, which of the network's parts the gain comes from, and whether
# excitation with a skip does to feature maps what the paper says. A network of today, DynUNet of nnU-Net
# {cite}`isensee2021nnunet` from MONAI {cite}`cardoso2022monai`, stands beside them. Networks that have only seen
# simulated subjects are then applied to real ones.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
grid: list[int] = [96, 96, 64]  # voxels of the common grid
spacing: float = 2.25  # edge of a voxel, mm
memory_mapped: bool = False  # images in files instead of memory, for cohorts that do not fit
n_held_out: int = 12  # subjects that no training sees (the paper's validation set has 46)
n_folds: int = 5  # folds of the other subjects, one training each
n_references: int = 2  # folds of the networks that no claim is about
exchanged: list[str] = [
    "fcn_norm",
    "fcn_scse",
    "fcn_none",
    "fcn_plain",
    "unet_plain",
]  # networks with a part changed
uncropped: list[str] = []  # networks that are also trained on whole slices
references: list[str] = ["deeplab_v3", "gcn", "dynunet", "segresnet"]  # also basic_unet
widths: list[int] = [8, 16, 32, 64]  # channels of U-Net's levels; the FCN lacks the last
ratio: float = 0.5  # share of low frequencies in octave convolutions
groups: int = 1  # groups of the octave convolutions (the paper names no number)
steps: int = 1000  # updates of a training
batch_size: int = 8  # slices a batch
crop: int = 32  # edge of the squares cut from slices; 0 takes whole slices
learning_rate: float = 0.02  # of Adam (the paper has 0.0001)
weight_decay: float = 0.0001  # of Adam, as in the paper
schedule: str = "one_cycle"  # of the learning rate; the paper mentions none
clip_norm: float = 5.0  # largest norm of the gradient; the paper mentions none
tumour_share: float = 0.6  # share of a batch cut around tumour, the rest anywhere
augment: float = 1.0  # scale of random changes of intensity
dropped: float = 0.7  # share of slices that lack modalities, for modality dropout
atrous_rates: list[int] = [2, 4, 6]  # of DeepLab v3
output_stride: int = 4  # of DeepLab v3
large_kernel: int = 7  # of GCN
n_boot: int = 2000  # resamples of every bootstrap
n_real: int = 6  # real subjects of each kind, at most

# %% tags=["hide-input"]
import pandas as pd

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.core.paths import data_root
from radlib.data.regions import REGIONS
from radlib.papers.islam2020 import figures, tables
from radlib.papers.islam2020.recipes import everyone
from radlib.papers.islam2020.study_ensembles import (
    export,
    members_of,
    necrotic_subjects,
    real_table,
)
from radlib.papers.islam2020.study_segmentation import open_slices
from radlib.plots.curves import curve_figure, loss_figure
from radlib.plots.dots import dot_plot
from radlib.plots.slices import Tile, slice_figure
from radlib.stats.tables import format_interval
from radlib.study.estimates import contrasts, estimates

report = Report.start("octave_segmentation", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## The study
#
# An arm is a network (or a set of modalities), a run one fold. Every training is a job of its own; an ensemble takes
# the mean of the probabilities of a network's folds. The generator of a synthetic T2 is that of the chapter
# *Modality synthesis*.

# %% tags=["study"]
from radlib.book.plan import study_of
from radlib.papers.islam2020.recipes import PAPER_MODALITIES, Folds, Recipe
from radlib.papers.islam2020.study_ensembles import ensemble, excitation, rule
from radlib.papers.islam2020.study_segmentation import segmentation
from radlib.papers.islam2020.tables import LACKING, MODELS, named
from radlib.study.cohorts import Images, Source
from radlib.study.studies import Study

images = Images(
    source=Source("brats2017", cohort, profile),
    grid=tuple(grid),
    spacing=spacing,
    memory_mapped=memory_mapped,
)
division = Folds(n_held_out=n_held_out, n_folds=n_folds, seed=seed)
recipe = Recipe(
    widths=tuple(widths),
    ratio=ratio,
    groups=groups,
    output_stride=output_stride,
    atrous_rates=tuple(atrous_rates),
    large_kernel=large_kernel,
    steps=steps,
    batch_size=batch_size,
    crop=crop,
    learning_rate=learning_rate,
    weight_decay=weight_decay,
    schedule=schedule,
    clip_norm=clip_norm,
    augment=augment,
    tumour_share=tumour_share,
)


def folds_of(model, modalities=PAPER_MODALITIES, number=n_folds, **changes):
    """One training a fold."""
    return [
        segmentation(
            images=images,
            division=division,
            fold=fold,
            model=model,
            modalities=modalities,
            recipe=recipe.changed(**changes),
            seed=seed,
        )
        for fold in range(min(number, n_folds))
    ]


def together(members, **about):
    """Their ensemble on the held-out subjects."""
    return ensemble(members=tuple(members), **about)


models = {one: folds_of(one) for one in ["fcn", "unet_scse", "unet"]}
models |= {one: folds_of(one, number=n_references) for one in references}
trainings = Study("trainings", models, titles=MODELS)
networks = Study(
    "networks",
    {one: together(jobs) for one, jobs in models.items()},
    titles=MODELS,
)
parts = Study(
    "parts",
    {one: together(models[one]) for one in ["fcn", "unet"]} | {one: together(folds_of(one)) for one in exchanged},
    titles=MODELS,
)
sets = [("t1ce",), ("t1ce", "flair"), PAPER_MODALITIES, (*PAPER_MODALITIES, "t1")]
same = {"cohort": cohort, "profile": profile, "seed": seed}
t2_from = study_of("modality_synthesis", "generators", **same).arms["fcn"][0]
with_t2 = {"generator": t2_from, "sources": ("t1ce", "flair")}
modalities = Study(
    "modalities",
    {"_".join(one): together(folds_of("unet", one)) for one in sets}
    | {
        "synthetic": together(models["unet"], **with_t2),
        "zeroed": together(models["unet"], zeroed=("t2",)),
        "dropout": together(folds_of("unet", dropped=dropped), zeroed=("t2",)),
        "dropout_whole": together(folds_of("unet", dropped=dropped)),
    },
    titles={"_".join(one): f"U-Net: {named(one)}" for one in sets} | LACKING,
)
synthetic = Study("synthetic", {"fcn": together(models["fcn"], **with_t2)})
excited = Study(
    "excitation",
    {
        kind: [excitation(network=one) for one in folds_of(model)]
        for kind, model in (("skip_scse", "fcn"), ("scse", "fcn_scse"))
    },
    titles={"skip_scse": "skip-scSE", "scse": "scSE"},
)
rival = Study(
    "rival",
    {"rule": rule(images=images, division=division)},
    titles={"rule": "two thresholds"},
)
uncut = {one: together(folds_of(one, crop=0)) for one in uncropped}
whole = Study("whole-slices", uncut, titles=MODELS) if uncut else None

# %% tags=["hide-input"]
studies = [trainings, networks, parts, modalities, synthetic, excited, rival]
for study in [*studies, *([whole] if whole else [])]:
    report.study(study)

# %% [markdown]
# ## Data
#
# The role is `brats2017`: high- and low-grade glioma with four modalities and an expert segmentation of necrotic core
# (label 1), oedema (2) and enhancing tumour (4). Regions are those of the paper: ET is label 4, TC labels 1 and 4, WT
# all three. Images are resampled to one grid and standardised within the brain. Subjects, never slices, are divided:
# some are held out for every table of results, the others form the folds. Both within grade.

# %% tags=["hide-input"]
data = images.source.open()
split = division.splits(data)[0]
store = open_slices(images, everyone(split))
shown = necrotic_subjects(store, split.test, most=2)
report.table("subjects", tables.subject_table(data, split, store), index=False, digits=1,
             caption="Subjects, slices with tumour, and median volume of the regions (ml).")  # fmt: skip

# %% [markdown]
# ## Method
#
# **Octave convolution.** A share $\alpha$ of the channels, the low frequencies $X^L$, lies on a grid of half the size.
# With $f$ a convolution, $\downarrow$ averaging and $\uparrow$ repetition of 2 x 2 pixels,
#
# $$ Y^H = f^{H\to H}(X^H) + {\uparrow} f^{L\to H}(X^L), \qquad
#    Y^L = f^{L\to L}(X^L) + f^{H\to L}({\downarrow} X^H). $$
#
# At $\alpha = 0$ this is a plain convolution. It has as many weights for every $\alpha$ and
# $1 - \tfrac34 \alpha(2-\alpha)$ of the multiplications.
#
# **Excitation.** scSE weighs maps $U$ by channel and by pixel, with $z_c$ the mean of channel $c$:
#
# $$ \mathrm{scSE}(U) = U \cdot \sigma\!\big(W_1\,\mathrm{ReLU}(W_2 z)\big) + U \cdot \sigma(w * U). $$
#
# *skip-scSE* lays the means out as a small picture, convolves it (inner-imaging, $I$), and adds the maps themselves:
#
# $$ \text{skip-scSE}(U) = U + U \cdot \sigma\!\big(W_1\,\mathrm{ReLU}(W_2 I(z))\big) + U \cdot \sigma(w * U). $$
#
# **The network.** Encoder blocks of two 3 x 3 octave convolutions with ReLU and 2 x 2 max-pooling; decoder blocks of
# concatenation, 3 x 3 convolution, activated batch norm, skip-scSE and 4 x 4 deconvolution. U-Net
# {cite}`ronneberger2015unet`, U-Net with scSE behind every block, DeepLab v3 {cite}`chen2017deeplab` and GCN
# {cite}`peng2017gcn` have the same widths; none is pretrained.
#
# **Training.** Axial slices, three modalities (T1c, FLAIR, T2), Adam with the paper's momentum and weight decay,
# cross-entropy plus Dice. In a fold all networks start from the same seed and see the same batches. Nothing is selected
# on the held-out subjects: the weights of the last step are used.

# %% tags=["hide-input"]
report.table("sizes", tables.size_table(models, recipe, side=grid[0]), index=False,
             digits=2, caption="Parameters, and multiplications for one slice, at the size of this run and at the "
             "paper's (whose widths are not printed; the originals' are taken).")  # fmt: skip
report.table("octave", tables.octave_table(), index=False, digits=2,
             caption="Multiplications of one 3 x 3 octave convolution, 64 channels, 240 x 240 pixels.")  # fmt: skip

# %% [markdown]
# ## Training

# %% tags=["hide-input"]
report.figure(
    "curves",
    loss_figure(
        {title: trainings.result(arm).history for arm, title in trainings.titles.items()},
        metric={
            "loss": "loss, training",
            "dice_wt": "Dice WT, validation",
            "dice_mean": "mean Dice, validation",
        },
        smooth=3,
        logarithmic=["loss"],
    ),
    caption="Learning curves of the first fold: training loss, and Dice on slices of the fold's other subjects, which "
    "decide nothing. The last values of all folds are in the table below.",
    alt="Panels of training loss, whole-tumour Dice and mean Dice over steps, a line a network.",
)
report.table("trainings", tables.training_table(trainings), index=False, digits={"steps a second": 1},
             caption="Every network over its folds: loss at the end, change of the validation Dice (mean of the "
             "regions) from the last but one check to the last, speed, share of time waiting for data.")  # fmt: skip

# %%
report.beginning(trainings)

# %% [markdown]
# ## Table I: the networks on held-out subjects
#
# The ensemble averages the folds' probabilities. Intervals (95 %) are of the mean over subjects, by bootstrap. HD95
# is the 95th percentile of surface distances, averaged over subjects in whom both the reference and the prediction
# have the region; where only one has, the subject is counted as missed (its Dice is 0). The paper's numbers are of
# real patients, those here of simulated subjects unless the banner says otherwise; EMMA {cite}`kamnitsas2018emma` is
# quoted, not rebuilt.

# %% tags=["hide-input"]
boot = {"n_boot": n_boot, "seed": seed}
regional = {"groups": list(REGIONS), **boot}
scores = networks.scores
found = estimates(scores, metrics=["dice", "hd95"], **regional)
dice, distance = (found[found["metric"] == metric] for metric in ("dice", "hd95"))
printed = {"fcn": "ours"} | {one: one for one in ("unet_scse", "unet", "deeplab_v3", "gcn")}
table1 = {"titles": networks.titles, "table": "table1", "rows": printed}
report.table(
    "table1-dice",
    tables.beside_print(dice, printed="dice", **table1),
    index=False,
    caption=f"Dice of the ensembles on {len(split.test)} held-out subjects, and as published.",
)
missed = scores[scores["metric"] == "missed"].groupby("arm", sort=False)["value"].sum()
report.table(
    "table1-hd95",
    tables.beside_print(distance, printed="hausdorff", **table1).assign(missed=missed.astype(int).to_numpy()),
    index=False,
    digits=0,
    caption="HD95 (mm) of the same, and the published Hausdorff distance. *Missed* counts subjects and regions.",
)
report.measured("networks", found.dropna(subset="value"), protocol="leakage-free")
first = dice[(dice["arm"] == "fcn") & (dice["group"] == "wt")].iloc[0]
report.value("wt_dice", first["value"], low=first["low"], high=first["high"], n=int(first["n"]))
of_wt = scores[(scores["metric"] == "hd95") & (scores["group"] == "wt")].groupby("arm", sort=False)["value"]
report.sentence(
    f"The FCN's ensemble has a whole-tumour Dice of {report.text('wt_dice')} on {first['n']} subjects. Median HD95 of "
    "the whole tumour, which a few subjects with an island far from the tumour do not decide: "
    + "; ".join(f"{networks.titles[arm]} {value:.1f} mm" for arm, value in of_wt.median().items())
    + "."
)

# %% [markdown]
# ### Does the order hold?
#
# The paper compares means of one ensemble each. Here every network has several trainings (the fold differs), paired
# with those of every other network, on the same subjects. The interval of a difference resamples trainings and subjects
# independently: it asks whether the sign would survive other trainings *and* other patients.

# %% tags=["hide-input"]
pairs = [("fcn", one) for one in models[1:]]
single = contrasts(members_of(networks), pairs, metrics=["dice"], **regional)
ensembles = contrasts(scores, pairs, metrics=["dice"], **regional)
ordering = pd.concat([single.assign(of="single runs"), ensembles.assign(of="ensemble")])
ordering = ordering.assign(network=ordering["second"].map(networks.titles))
columns = ["network", "group", "value", "low", "high", "n", "runs", "of"]


def difference_plot(table, rows, colour=None):
    return dot_plot(
        table.assign(panel=table["group"].str.upper()),
        panel="panel",
        metrics=[region.upper() for region in REGIONS],
        rows=rows,
        colour=colour,
        references=[("no difference", 0.0)],
        xlabel="difference in Dice, {}",
        row_height=0.5,
    )


report.figure(
    "ordering",
    difference_plot(ordering, "network", "of"),
    caption="Dice of the octave FCN minus that of each other network, with 95 % intervals: single trainings (runs and "
    "subjects resampled) and ensembles (subjects resampled).",
    alt="Dots with intervals around a line at zero, a panel a region and a line a network.",
)
report.table("ordering", ordering[columns], index=False, caption="The same as numbers.")
against = single[single["second"].isin(printed)]
n_ahead, n_behind = int((against["low"] > 0).sum()), int((against["high"] < 0).sum())
report.measured("ordering", pd.DataFrame([{
    "arm": "fcn", "metric": "comparisons_ahead", "group": "all", "value": n_ahead, "low": None, "high": None,
    "n": int(against["n"].max()), "unit": f"of {len(against)} comparisons",
}]), protocol="leakage-free")  # fmt: skip
report.sentence(
    f"In {len(against)} comparisons with the networks of Table I (by region, single trainings) the interval lies above "
    f"0, in favour of the octave FCN, in {n_ahead}, below 0 in {n_behind}, and holds 0 in the others."
)

# %% [markdown]
# ### The development subjects, each by the network that did not train on it

# %% tags=["hide-input"]
own = trainings.scores.query("arm == 'fcn'").assign(run=0)
for row in estimates(own, **regional).to_dict("records"):
    report.value(f"cv_{row['group']}", row["value"], low=row["low"], high=row["high"], n=row["n"])
report.sentence(
    f"In cross-validation over {own['subject'].nunique()} subjects single FCNs have a Dice of "
    + ", ".join(f"{report.text(f'cv_{region}')} ({region.upper()})" for region in REGIONS)
    + "."
)

# %% [markdown]
# ## What the parts contribute
#
# The network with scSE in place of skip-scSE, and with plain convolutions in place of octave ones, in the first folds,
# on the same batches.

# %% tags=["hide-input"]
swaps = [("fcn", one) for one in exchanged]
without = contrasts(members_of(parts), swaps, metrics=["dice"], **regional)
without = without.assign(network=without["second"].map(parts.titles))
report.figure(
    "ablation",
    difference_plot(without, "network"),
    caption="Dice of the whole network minus that of the network with a part exchanged, single trainings.",
    alt="Dots with intervals around a line at zero, a line for each exchanged part.",
)
report.table("ablation", without[columns[:-1]], index=False, caption="The same as numbers.")
saved = tables.size_table(["fcn", "fcn_plain"], recipe, side=grid[0])["multiplications (10⁹), here"]
report.sentence(
    f"With octave convolutions the network has {100 * (1 - saved[0] / saved[1]):.0f} % fewer multiplications than with "
    "plain ones."
)

# %% tags=["hide-input"]
if whole:
    pairs = [(uncropped[0], one) for one in uncropped[1:]]
    report.table(
        "whole-slices",
        contrasts(members_of(whole), pairs, metrics=["dice"], **regional),
        index=False,
        caption="Networks trained on whole slices: Dice of the first minus that of the others, single trainings.",
    )

# %% [markdown]
# ## Figure 3: what excitation does to feature maps
#
# The paper shows feature maps from $-0.05$ to 0.20 behind scSE and from $-0.1$ to 0.4 behind skip-scSE
# {cite}`islam2020radiogenomic`, and argues that scSE pushes weak features towards zero, which makes the deeper
# layers' parameters sparse. Both are measured on the trained networks that differ in the excitation only: the range
# (1st to 99th percentile) of the maps behind each decoder block's excitation, and Hoyer's sparsity
# {cite}`hoyer2004sparseness` of these maps and of the weights that take them (0: all alike, 1: all but one are zero).
# The skip alone adds 1 to every factor, so a range about twice as wide follows from the formula, not from training.

# %% tags=["hide-input"]
measures = {
    "range": "range of the maps",
    "hoyer": "sparsity of the maps",
    "weights_hoyer": "sparsity of the weights behind",
}
blocks = excited.scores.rename(columns={"subject": "block"})
blocks["kind"] = blocks["arm"].map(excited.titles)
by_block = (
    blocks[blocks["metric"].isin(measures)]
    .groupby(["metric", "kind", "block"], sort=False)["value"]
    .agg(value="mean", low="min", high="max")
    .reset_index()
)
report.figure(
    "excitation",
    curve_figure(
        by_block.assign(metric=by_block["metric"].map(measures), block=by_block["block"].astype(int)),
        x="block",
        xlabel="decoder block, deepest first",
        ylabel="",
        panel="metric",
        colour="kind",
        columns=3,
    ),
    caption="Maps behind the excitation of every decoder block of trained networks: range (1st to 99th percentile), "
    "sparsity of the maps, and sparsity of the weights that take them; means of the trainings, with their span.",
    alt="Three panels over decoder blocks with a line for skip-scSE and one for scSE.",
)
means = blocks.groupby(["arm", "metric"])["value"].mean().unstack()
per_block = blocks.groupby(["arm", "block", "metric"])["value"].mean().unstack()
skip, plain = per_block.loc["skip_scse"], per_block.loc["scse"]
report.sentence(
    "Excited maps from percentile 1 to 99, means over blocks and trainings. "
    + "; ".join(
        f"{title}: {means.loc[arm, 'low']:.2f} to {means.loc[arm, 'high']:.2f}, sparsity {means.loc[arm, 'hoyer']:.3f} "
        f"of the maps and {means.loc[arm, 'weights_hoyer']:.3f} of the weights behind them"
        for arm, title in excited.titles.items()
    )
    + f". With the skip the range is wider in {int((skip['range'] > plain['range']).sum())}, the maps are less sparse "
    f"in {int((skip['hoyer'] < plain['hoyer']).sum())} and the weights in "
    f"{int((skip['weights_hoyer'] < plain['weights_hoyer']).sum())} of {len(skip)} decoder blocks."
)
n = len(split.test)
report.measured("excitation", pd.DataFrame([
    {"arm": arm, "metric": metric, "group": "all", "value": value, "low": None, "high": None, "n": n}
    for arm, metric, value in (
        ("skip_scse", "range", means.loc["skip_scse", "range"]), ("scse", "range", means.loc["scse", "range"]),
        ("skip_scse", "range_ratio", means.loc["skip_scse", "range"] / means.loc["scse", "range"]),
    )
]))  # fmt: skip

# %% tags=["hide-input"]
if report.source == "simulated":
    maps = {title: excited.result(arm).arrays("maps")["maps"] for arm, title in excited.titles.items()}
    limits = (min(float(one.min()) for one in maps.values()), max(float(one.max()) for one in maps.values()))
    report.figure(
        "maps",
        slice_figure(
            {title: [Tile(image=one, cmap="viridis", limits=limits) for one in part] for title, part in maps.items()},
            colorbar="value",
        ),
        caption="Feature maps behind the last decoder block's excitation on one simulated slice, one colour scale; the "
        "channels with the widest range.",
        alt="Two rows of feature maps, skip-scSE above scSE.",
    )

# %% [markdown]
# ## Table III: the number of modalities
#
# U-Net with one, two and three modalities as in the paper, and with all four. A synthetic T2 may stand in for a real
# one: the generator of the chapter *Modality synthesis*, from T1ce and FLAIR, gives the T2 of held-out subjects (those
# it was not trained on), and the networks with three modalities are applied to it.

# %% tags=["hide-input"]
by_number = estimates(modalities.scores, metrics=["dice"], **regional)
report.table(
    "table3",
    tables.beside_print(
        by_number, titles=modalities.titles, table="table3", printed="dice",
        rows={"t1ce": "t1c", "t1ce_flair": "t1c_flair", "t1ce_flair_t2": "t1c_flair_t2"},
    ),
    index=False,
    caption="Dice of the U-Net's ensembles by input modalities, and as published.",
)  # fmt: skip
steps_up = {
    ("t1ce_flair", "t1ce"): "FLAIR to T1ce",
    ("t1ce_flair_t2", "t1ce_flair"): "T2 to T1ce, FLAIR",
    ("t1ce_flair_t2_t1", "t1ce_flair_t2"): "T1 to T1ce, FLAIR, T2",
    ("synthetic", "t1ce_flair"): "synthetic T2 to T1ce, FLAIR",
    ("t1ce_flair_t2", "synthetic"): "true T2 in place of the synthetic one",
}
gains = contrasts(members_of(modalities), list(steps_up), metrics=["dice"], **regional)
gains["added"] = [steps_up[pair] for pair in zip(gains["first"], gains["second"], strict=True)]
report.table("gains", gains[["added", *columns[1:-1]]], index=False,
             caption="What each modality adds to the Dice of single trainings, both resampled.")  # fmt: skip
report.figure("gains", difference_plot(gains, "added"), caption="The same as a figure.",
              alt="Dots with intervals of the gain in Dice by region for every added modality.")  # fmt: skip
report.measured("modalities", by_number, protocol="leakage-free")
published_steps = gains[gains["added"].isin(list(steps_up.values())[:2])]
n_gains = int((published_steps["low"] > 0).sum())
report.measured("modalities", pd.DataFrame([{
    "arm": "unet", "metric": "gains_above_0", "group": "all", "value": n_gains, "low": None, "high": None,
    "n": int(published_steps["n"].max()), "unit": f"of {len(published_steps)} gains",
}]), protocol="leakage-free")  # fmt: skip
gained = "; ".join(
    f"*{name}*: "
    + ", ".join(
        f"{row['group'].upper()} {format_interval(row['value'], row['low'], row['high'])}"
        for row in part.to_dict("records")
    )
    for name, part in gains.groupby("added", sort=False)
)
report.sentence(f"Dice gained by adding {gained}.")

# %% [markdown]
# ## Figures 7 and 8: pictures
#
# Only simulated subjects are shown; on real ones the chapter gives numbers. The paper's colours: red is necrosis,
# yellow enhancing tumour, green oedema.

# %% tags=["hide-input"]
pictured = ["fcn", "unet_scse", "gcn", "deeplab_v3"]
if report.source == "simulated":
    labels = {networks.titles[arm]: networks.result(arm).arrays("slices") for arm in pictured}
    report.figure(
        "figure7",
        slice_figure([figures.segmented(store, subject, labels) for subject in shown], colours=figures.COLOURS),
        caption="T1ce of the two simulated held-out subjects with the largest necrotic core, the reference, and the "
        "ensembles' segmentations (counterpart of the paper's Figure 7).",
        alt="Rows of brain slices with coloured tumour labels: input, reference, FCN, U-Net scSE, GCN, DeepLab v3.",
    )
core = {"groups": ["ncr"], "metrics": ["dice"], **boot}
necrosis = estimates(scores, arms=pictured, **core)
ahead = contrasts(scores, [("fcn", one) for one in pictured[1:]], **core)
advantage = ahead.set_index("second")[["value", "low", "high"]].add_prefix("advantage_")
report.table(
    "necrosis",
    necrosis.join(advantage, on="arm").assign(arm=necrosis["arm"].map(networks.titles)).drop(
        columns=["metric", "group", "runs"]
    ),
    index=False,
    caption="What Figure 7 is about, measured: Dice of the necrotic core (label 1) of the ensembles, and the "
    "FCN's minus each other's on the same subjects.",
)  # fmt: skip
best = necrosis[necrosis["arm"] != "fcn"].sort_values("value").iloc[-1]["arm"]
report.measured(
    "necrosis",
    ahead[ahead["second"] == best].assign(second="best_other", note=f"the best other is {networks.titles[best]}"),
    protocol="leakage-free",
)

# %% tags=["hide-input"]
from_synthetic = estimates(synthetic.scores, metrics=["dice"], **regional)
report.measured("synthetic", from_synthetic, protocol="leakage-free")
made = synthetic.result("fcn").arrays("made")
if report.source == "simulated":
    rows = [
        figures.segmented(
            store, subject, {MODELS["fcn"]: synthetic.result("fcn").arrays("slices")},
            modalities=["t1ce", "flair", "t2"], beside={"synthetic T2": made[subject]},
        )
        for subject in ([one for one in shown if one in made] or list(made)[:2])
    ]  # fmt: skip
    report.figure(
        "figure8",
        slice_figure(rows, colours=figures.COLOURS),
        caption="Simulated subjects whose T2 was taken away: T1ce, FLAIR, true T2, synthetic T2, the reference, "
        "and the octave FCN's segmentation from T1ce, FLAIR and the synthetic T2 (counterpart of Figure 8).",
        alt="Rows of slices: three modalities, a synthetic T2, reference and predicted labels.",
    )

# %% [markdown]
# ## Real subjects
#
# Networks that have seen nothing but the cohort of this run, applied without any adaptation to the real subjects under
# the data root: those with three modalities by the octave FCN, those with T1ce and FLAIR alone by the two-modality
# U-Net. They are few; this shows whether the simulation carries over, not how good a network is.

# %% tags=["hide-input"]
root = data_root()
if root is None or report.source == "real":
    report.note("No real subjects beside this run: no data root is named (RADLIB_DATA), or they are the cohort itself.")
else:
    applied = {MODELS["fcn"]: folds_of("fcn"), "U-Net: T1ce, FLAIR": folds_of("unet", ("t1ce", "flair"))}
    real = real_table(root, applied, most=n_real)
    if len(real):
        report.table("real", real, index=False, caption="Dice of the ensembles on real subjects of BraTS vintages.")
        report.sentence("; ".join(
            f"{row['network']} on {row['subjects']} real subjects: whole-tumour Dice {row['mean Dice']:.3f} "
            f"({row['lowest']:.3f} to {row['highest']:.3f})"
            for row in real[real["region"] == "WT"].to_dict("records")
        ) + ".")  # fmt: skip
    else:
        report.note("No segmented BraTS subject lies under the data root.")

# %% [markdown]
# ## Weights for other programs
#
# Other chapters take the trained networks from the jobs themselves. For MONAI and MONAI Label the first fold's FCN is
# written as a bundle.

# %% tags=["hide-input"]
bundle = export(report.directory / "bundles" / "octave_fcn", trainings.arms["fcn"][0])
report.sentence(f"The first FCN lies as a MONAI bundle in `bundles/{bundle.name}` of the run directory.")

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input", "hide-output"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | widths of the network | those of U-Net, `widths` | the encoder is said to be like U-Net's |
# | ratio of low frequencies | one half, `ratio` | the middle of the octave paper's range |
# | "octave partial convolution" | octave convolution | named once, in the list of contributions, and never defined |
# | "group convolution" | none, `groups` = 1 | said of octave convolution in passing; no number is printed |
# | where octave parts are joined | at skip connections and below the last block | the text: upsampled, concatenated |
# | norm in the encoder | none | only ReLU is named |
# | inner-imaging | 3 x 3 kernels over the channels' means as a picture | the cited paper's idea; sizes not given |
# | what the skip goes around | the whole module | "skip connection with scSE" |
# | loss | cross-entropy plus Dice | not mentioned |
# | steps, batch, schedule, crops | `steps`, `batch_size`, `schedule`, `crop` | not mentioned |
# | norm of the gradient | cut at `clip_norm`, 5 | high learning rates of short trainings |
# | which slices | `tumour_share` of a batch cut around tumour | few slices hold enhancing tumour |
# | augmentation | left and right swapped, contrast, brightness, noise (`augment`) | not mentioned |
# | learning rate | 0.0001 in the paper profile, 0.02 with few steps | small networks, short trainings |
# | batch norm in U-Net | yes | without, short trainings find no enhancing tumour |
# | encoders of DeepLab v3 and GCN | small residual ones, not pretrained | same widths for all |
# | rates of DeepLab v3 | 12, 24, 36 at a stride of 8 in the paper profile | as its authors double them at 8 |
# | network of Table III | U-Net | as the paper's caption says |
# | Hausdorff distance | 95th percentile | what BraTS reports |
# | a region that only one side has | left out of the distance, counted | a penalty would decide the mean |
# | test-time augmentation | none | not mentioned |
#
# ## Limits
#
# - In the default profile the cohort is simulated, the networks are small and the trainings short. Absolute Dice values
#   then say how hard the simulation is, not how good the networks would be on patients.
# - Only the order of networks and of modalities is tested. A difference smaller than its interval is open, in either
#   direction.
# - Trainings of the default profile are short. Longer ones gain Dice with every network, most in ET and TC, where the
#   smallest structures are; a modality that adds nothing to a region can then even cost Dice, because more channels are
#   learnt from as few steps. With more steps that cost shrinks.
# - Channel excitation learns from the means of crops and is applied to whole slices. This holds for every network with
#   excitation, the FCN among them; `uncropped` trains on whole slices, as the paper profile does.
# - Nothing is removed after the networks: islands far from the tumour stay, and they decide mean distances.
# - The folds' trainings share subjects: resampling them as if independent makes intervals a little too narrow.
# - The networks are compared at equal widths, not at equal multiplications, and none was tuned by itself. The U-Nets
#   have batch norm in their encoders, the FCN has none.
# - The validation set of BraTS 2017 has no public labels; held-out subjects of the training set take its place.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(
    f"On {len(split.test)} held-out subjects ({report.source} cohort) the octave FCN has a whole-tumour Dice of "
    f"{report.text('wt_dice')}. Against the networks of Table I its Dice is higher in {n_ahead} and lower in "
    f"{n_behind} of {len(against)} comparisons whose interval excludes 0. Of {len(published_steps)} gains by the "
    f"paper's modalities {n_gains} exclude 0. Maps behind skip-scSE have "
    f"{means.loc['skip_scse', 'range'] / means.loc['scse', 'range']:.1f} times the range of those behind scSE."
)

# %% tags=["remove-input"]
report.finish()
