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
# **What the paper claims.** Islam et al. {cite}`islam2020radiogenomic` segment glioma with a fully convolutional
# network of octave convolutions {cite}`chen2019octave` whose decoder excites its maps by *skip-scSE*: scSE
# {cite}`roy2018scse` with inner-imaging {cite}`hu2018innerimaging` and a skip connection. An ensemble of four folds
# beats U-Net, DeepLab v3 and GCN on BraTS 2017, and Dice grows with every modality.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status octave_segmentation
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
grid: list[int] = [96, 96, 64]  # voxels of the common grid
spacing: float = 2.25  # edge of a voxel, mm
thickness: float = 0.0  # of slices, mm, where it is another; 0: cubes
available: list[str] = ["t1", "t1ce", "t2", "flair"]  # modalities a patient must have
seen: list[str] = ["t1ce", "flair", "t2"]  # modalities that the networks see
memory_mapped: bool = False  # images in files, for cohorts that do not fit in memory
n_held_out: int = 12  # subjects that no training sees (the paper has 46)
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
widths: list[int] = [8, 16, 32, 64]  # channels of U-Net's levels (FCN: not the last)
ratio: float = 0.5  # share of low frequencies in octave convolutions
groups: int = 1  # groups of the octave convolutions (the paper names no number)
steps: int = 1000  # updates of a training
longer: int = 4  # octave FCN and U-Net again with this many times the updates (0: none)
batch_size: int = 8  # slices per batch
crop: int = 32  # edge of the squares cut from slices; 0 takes whole slices
learning_rate: float = 0.02  # of Adam (the paper has 0.0001)
weight_decay: float = 0.0001  # of Adam, as in the paper
schedule: str = "one_cycle"  # of the learning rate; the paper mentions none
clip_norm: float = 5.0  # largest norm of the gradient; the paper mentions none
tumour_share: float = 0.6  # share of a batch cut around tumour, the rest anywhere
augment: float = 1.0  # scale of random changes of intensity
dropped: float = 0.7  # share of slices without some modalities, for modality dropout
atrous_rates: list[int] = [2, 4, 6]  # of DeepLab v3
output_stride: int = 4  # of DeepLab v3
large_kernel: int = 7  # of GCN
n_boot: int = 2000  # resamples of every bootstrap
n_real: int = 6  # real subjects of each kind, at most

# %% tags=["hide-input"]
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.paths import data_root
from radlib.core.seeds import rng
from radlib.core.titles import MODALITY_TITLES
from radlib.data.regions import REGIONS
from radlib.nn.excitation import InnerImagingExcitation, SkipSCSE
from radlib.nn.octave import OctaveConv2d
from radlib.papers.islam2020 import figures, tables
from radlib.papers.islam2020.batches import SliceSampler
from radlib.papers.islam2020.losses import segmentation_loss
from radlib.papers.islam2020.networks import (
    DecoderBlock,
    OctaveEncoderBlock,
    OctaveFCN,
)
from radlib.papers.islam2020.recipes import build, everyone
from radlib.papers.islam2020.study_ensembles import (
    export,
    members_of,
    necrotic_subjects,
    real_table,
)
from radlib.papers.islam2020.study_segmentation import (
    load_network,
    open_slices,
    segment,
)
from radlib.papers.islam2020.study_temperature import fitted, tempered
from radlib.plots.architecture import architecture_figure, blocks_of
from radlib.plots.curves import curve_figure, loss_figure
from radlib.plots.slices import Tile, slice_figure
from radlib.plots.viewer import linked_viewer, on_grid
from radlib.stats.tables import format_interval
from radlib.study.estimates import contrasts, estimates
from radlib.study.gates import FLAT, last_quarter_change

report = Report.start("octave_segmentation", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## The study
#
# An arm is a network, or a set of modalities; a run is a fold of the development subjects. In a fold all networks start
# from the same seed and see the same batches. An ensemble is the mean of its folds' probabilities. The generator of the
# synthetic T2 is that of the chapter *Modality synthesis*.

# %% tags=["study"]
from radlib.book.plan import study_of
from radlib.data.cohort import MODALITIES
from radlib.data.sources import role_with_images
from radlib.papers.islam2020.divisions import FoldsOf
from radlib.papers.islam2020.recipes import Folds, Recipe
from radlib.papers.islam2020.study_ensembles import excitation
from radlib.papers.islam2020.study_temperature import temperature
from radlib.papers.islam2020.tables import LACKING, LACKING_T1CE, MODELS, named
from radlib.study.cohorts import Images, Source
from radlib.study.studies import Study

paper_modalities = tuple(seen)
# Patients without T2 have one outline, the whole tumour.
whole_only = set(available) != set(MODALITIES)
folds = {"n_held_out": n_held_out, "n_folds": n_folds, "seed": seed}
if whole_only:
    from radlib.papers.islam2020.study_whole import ensemble, rule, segmentation

    division = FoldsOf(**folds, modalities=tuple(available))
else:
    from radlib.papers.islam2020.study_ensembles import ensemble, rule
    from radlib.papers.islam2020.study_segmentation import segmentation

    division = Folds(**folds)
images = Images(
    source=Source(role_with_images("brats2017", cohort=cohort), cohort, profile),
    grid=tuple(grid),
    spacing=(spacing, spacing, thickness) if thickness else spacing,
    modalities=tuple(available),
    memory_mapped=memory_mapped,
)
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


def folds_of(model, modalities=paper_modalities, number=n_folds, **changes):
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


# %% [markdown]
# Arms with the same images, division, recipe and seeds: the networks, the networks with one part changed, the
# modalities they see, and a rule that needs no network.

# %% tags=["study"]
models = {one: folds_of(one) for one in ["fcn", "unet_scse", "unet"]}
models |= {one: folds_of(one, number=n_references) for one in references}
trainings = Study("trainings", models, titles=MODELS)
networks = Study(
    "networks",
    {one: together(jobs) for one, jobs in models.items()},
    titles=MODELS,
)
changed = {one: together(models[one]) for one in ["fcn", "unet"]}
changed |= {one: together(folds_of(one)) for one in exchanged}
parts = Study("parts", changed, titles=MODELS) if exchanged else None
same = {"cohort": cohort, "profile": profile, "seed": seed}
maker = study_of("modality_synthesis", "generators", **same).arms["fcn"][0]
if whole_only:
    # T1ce is what may lack. A network that never saw it stands beside each remedy.
    sets = [("flair",), ("t1ce",), ("t1ce", "flair"), ("t1", "flair"), paper_modalities]
    line = {"line": maker.inputs["images"], "target": "t1ce", "sources": ("t1", "flair")}
    remedies = {
        "synthetic_t1ce": together(models["unet"], generator=maker),
        "line_t1ce": together(models["unet"], **line),
        "zeroed_t1ce": together(models["unet"], zeroed=("t1ce",)),
        "dropout_t1ce": together(folds_of("unet", dropped=dropped), zeroed=("t1ce",)),
        "dropout_all": together(folds_of("unet", dropped=dropped)),
    }
    synthetic = None
else:
    sets = [("t1ce",), ("t1ce", "flair"), paper_modalities, (*paper_modalities, "t1")]
    with_t2 = {"generator": maker, "sources": ("t1ce", "flair")}
    remedies = {
        "synthetic": together(models["unet"], **with_t2),
        "zeroed": together(models["unet"], zeroed=("t2",)),
        "dropout": together(folds_of("unet", dropped=dropped), zeroed=("t2",)),
        "dropout_whole": together(folds_of("unet", dropped=dropped)),
    }
    synthetic = Study("synthetic", {"fcn": together(models["fcn"], **with_t2)})
modalities = Study(
    "modalities",
    {"_".join(one): together(folds_of("unet", one)) for one in sets} | remedies,
    titles={"_".join(one): f"U-Net: {named(one)}" for one in sets} | LACKING | LACKING_T1CE,
)

# %% tags=["study"]
excited = softened = None
if not whole_only:
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
    titles={"rule": "a threshold on FLAIR" if whole_only else "two thresholds"},
)
if not whole_only:
    softened = Study(
        "temperature",
        {one: temperature(members=tuple(models[one])) for one in ["fcn", "unet"]},
        titles=MODELS,
    )
ample = {one: folds_of(one, steps=longer * steps) for one in ["fcn", "unet"] if longer}
ensembles = {one: together(jobs) for one, jobs in ample.items()}
long_trainings = Study("longer-trainings", ample, titles=MODELS) if ample else None
long = Study("longer", ensembles, titles=MODELS) if ample else None
uncut = {one: together(folds_of(one, crop=0)) for one in uncropped}
whole = Study("whole-slices", uncut, titles=MODELS) if uncut else None

# %% tags=["hide-input"]
studies = [trainings, networks, parts, modalities, synthetic, excited, rival, softened]
for study in [*studies, long_trainings, long, whole]:
    if study is not None:
        report.study(study)

# %% tags=["remove-input"]
if report.source == "real":
    report.sentence(
        "Real patients: lower-grade gliomas of TCGA from hospitals that are not the paper's, in thick slices, WHO "
        "grades 2 and 3 in place of low- and high-grade glioma, with T1, T1ce and FLAIR in place of T1ce, FLAIR and "
        "T2. Only the whole tumour is outlined, so enhancing tumour and core (ET, TC), pictures of necrosis, "
        "distances (no voxel size is stored), longer trainings, exchanged parts, excitation and temperature are left "
        "out."
    )

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
boot = {"n_boot": n_boot, "seed": seed}
regions = ["wt"] if whole_only else list(REGIONS)
overall = "wt" if whole_only else "average"
regional = {"groups": ["wt"] if whole_only else [*REGIONS, "average"], **boot}
scores, single = networks.scores, members_of(networks)
ruled = pd.concat([rival.scores.assign(run=run) for run in sorted(single["run"].unique())])
each = pd.concat([single, ruled])
if parts:
    each = pd.concat([each, members_of(parts).query("arm != 'fcn' and arm != 'unet'")])
others = [one for one in networks.arms if one != "fcn"]
order = contrasts(each, [("fcn", one) for one in [*others, "rule"]], metrics=["dice"], **regional)
level = estimates(each, metrics=["dice"], **regional).set_index(["arm", "group"])
changes = last_quarter_change(trainings.history, "dice_mean")
mean = order[order["group"] == overall].set_index("second")
for name in ("unet", "rule"):
    row = mean.loc[name]
    report.value(f"fcn_{name}", row["value"], low=row["low"], high=row["high"], n=int(row["n"]))
first = level.loc["fcn", overall]
report.value("fcn", first["value"], low=first["low"], high=first["high"], n=int(first["n"]))
root = data_root()
real = pd.DataFrame()
if root is not None and report.source != "real":
    applied = {
        MODELS["fcn"]: folds_of("fcn"),
        "U-Net: T1ce, FLAIR": folds_of("unet", ("t1ce", "flair")),
    }
    real = real_table(root, applied, most=n_real)
if len(real):
    report.sentence("; ".join(
        f"{row['network']} on {row['subjects']} real subjects, without adaptation: "
        f"whole-tumour Dice {row['mean Dice']:.2f}"
        for row in real[real["region"] == "WT"].to_dict("records")
    ) + ".")  # fmt: skip
over = "of the whole tumour" if whole_only else "over the three regions"
the_rule = "a threshold on FLAIR" if whole_only else "a rule of two thresholds"
report.sentence(
    f"On {int(first['n'])} held-out subjects ({report.source} cohort) one octave FCN reaches "
    f"a mean Dice of {report.text('fcn')} {over}. Octave FCN minus U-Net is "
    f"{report.text('fcn_unet')}, minus {the_rule} {report.text('fcn_rule')}."
)
with_more = ""
if long:
    most = pd.concat([members_of(long), ruled])
    further = contrasts(
        most, [("fcn", "unet"), ("fcn", "rule"), ("unet", "rule")], metrics=["dice"], **regional
    )  # fmt: skip
    row = further[further["group"] == overall].set_index(["first", "second"]).loc["fcn", "unet"]
    report.value("longer", row["value"], low=row["low"], high=row["high"], n=int(row["n"]))
    with_more = f"With {longer} times the updates octave FCN minus U-Net is {report.text('longer')}."
    report.sentence(with_more)

# %% [markdown]
# ## Data
#
# High- and low-grade glioma with four modalities and an expert segmentation of necrotic
# core (label 1), oedema (2) and enhancing tumour (4). ET is label 4, TC labels 1 and 4, WT
# all three. Images are brought to one grid and standardised within the brain. Subjects,
# never slices, are divided, within grade.

# %% tags=["hide-input"]
data = images.source.open()
split = division.splits(data)[0]
store = open_slices(images, everyone(split))
shown = necrotic_subjects(store, split.test, most=2)
if report.source == "simulated":
    report.figure(
        "data",
        slice_figure(
            [figures.segmented(store, one, {}, modalities=["t1ce", "flair", "t2"]) for one in shown],
            colours=figures.COLOURS,
        ),
        caption="The two simulated held-out subjects with the largest necrotic core: what the networks see, and the "
        "reference.",
        alt="Two rows of slices: T1ce, FLAIR, T2 and coloured labels over T1ce.",
    )
people = tables.subject_table(data, split, store)
caption = "Subjects, slices with tumour, and median volume of the regions (ml)."
if whole_only:
    people = people[["part", "subjects", "slices with tumour", "without WT"]]
    caption = "Subjects who have T1, T1ce and FLAIR, and slices with tumour."
report.table("subjects", people, index=False, digits=1, caption=caption)

# %% [markdown]
# ## Method
#
# ### Octave convolution
#
# A share $\alpha$ of the channels, the low frequencies $X^L$, has half the resolution. With $f$ a convolution,
# $\downarrow$ averaging and $\uparrow$ repetition of 2 x 2 pixels,
#
# $$ Y^H = f^{H\to H}(X^H) + {\uparrow} f^{L\to H}(X^L), $$
#
# $$ Y^L = f^{L\to L}(X^L) + f^{H\to L}({\downarrow} X^H). $$
#
# The number of weights is the same for every $\alpha$; the multiplications are $1 - \tfrac34 \alpha(2-\alpha)$ times
# those of a plain convolution.

# %%
show_code(OctaveConv2d)

# %% [markdown]
# ### Excitation
#
# scSE (spatial and channel squeeze and excitation) weighs maps $U$ by channel and by pixel, with $z_c$ the mean of
# channel $c$:
#
# $$ U \cdot \sigma\big(W_1\,\mathrm{ReLU}(W_2 z)\big) + U \cdot \sigma(w * U). $$
#
# *skip-scSE* arranges the means as a small picture, convolves it (inner-imaging, $I$), and adds the maps themselves:
#
# $$ U + U \cdot \sigma\big(W_1\,\mathrm{ReLU}(W_2 I(z))\big) + U \cdot \sigma(w * U). $$

# %%
show_code(InnerImagingExcitation, SkipSCSE)

# %% [markdown]
# ### Encoder, decoder, network
#
# An encoder block is two 3 x 3 octave convolutions with ReLU. A decoder block is concatenation, 3 x 3 convolution,
# batch norm with activation, skip-scSE and a 4 x 4 deconvolution.

# %%
show_code(OctaveEncoderBlock, DecoderBlock, OctaveFCN)

# %% tags=["hide-input"]
with torch.device("meta"):
    drawn = blocks_of(OctaveFCN(3, 4), (3, 240, 240))
    block = blocks_of(DecoderBlock(256, 64, 64, excitation="skip_scse"), (256, 120, 120), opened=(SkipSCSE,))
report.figure(
    "architecture",
    architecture_figure(drawn),
    caption="The octave FCN at the published image size with U-Net's widths, drawn from the module: channels x edge of "
    "the maps (counterpart of Figures 2 C and 4 B). Two sizes are high and low frequencies; dashed lines are skips.",
    alt="Boxes in a U: four encoder blocks going down, a centre block, four decoder blocks going up, with dashed lines "
    "across.",
)
report.figure(
    "decoder-block",
    architecture_figure(block),
    caption="A decoder block with skip-scSE opened, drawn from the module (counterpart of Figures 2 A and 2 B).",
    alt="A row of boxes from input over convolution, norm, activation and three excitations to the deconvolution.",
)

# %% [markdown]
# ### Loss
#
# The paper names none. Here it is cross-entropy plus soft Dice, both over the whole batch:

# %%
show_code(segmentation_loss)

# %% [markdown]
# ### One step by hand
#
# A batch of the first fold, the untrained network, its loss and a backward pass.

# %%
sampler = SliceSampler.of(
    store, split.train, modalities=paper_modalities, recipe=recipe, seed=seed
)  # fmt: skip
batch = sampler(0, rng(seed, "one step"))
torch.manual_seed(seed)
network = build("fcn", in_channels=len(seen), recipe=recipe)
with FlopCounterMode(display=False) as counter:
    logits = network(batch["images"])
loss = segmentation_loss()(network, batch)
loss.backward()
norm = sum(p.grad.square().sum() for p in network.parameters()).sqrt()

# %% tags=["remove-input"]
millions = counter.get_total_flops() / 2 / len(batch["images"]) / 1e6
report.sentence(
    f"Images {list(batch['images'].shape)}, classes {list(batch['classes'].shape)}, logits "
    f"{list(logits.shape)}; loss {loss.item():.3f}, norm of its gradient {norm.item():.2f}. "
    f"The network has {sum(p.numel() for p in network.parameters()):,} parameters and takes "
    f"{millions:.0f} million multiplications for a crop of {batch['images'].shape[-1]} pixels."
)
report.table("sizes", tables.size_table(list(networks.arms), recipe, side=grid[0]), index=False,
             digits=2, caption="Parameters, and multiplications for one slice, at the size of this run and at the "
             "paper's (whose widths are not printed; the originals' are taken).")  # fmt: skip

# %% [markdown]
# ## Training
#
# The validation Dice is measured on slices of the fold's other subjects. It is not used to choose anything: the weights
# of the last step are taken.

# %% tags=["hide-input"]
report.figure(
    "curves",
    loss_figure(
        {title: trainings.result(arm).history for arm, title in trainings.titles.items()},
        metric={"loss": "loss, training", "dice_mean": "mean Dice, validation"},
        smooth=3,
        logarithmic=["loss"],
    ),
    caption="Learning curves of the first fold.",
    alt="Two panels of training loss and validation Dice over steps, one line per network.",
)
report.sentence(
    "Change of the validation Dice in the last quarter, mean over folds: "
    + "; ".join(f"{networks.titles[arm]} {change:.3f}" for arm, change in changes.items())
    + f". A verdict needs less than {FLAT}."
)
report.beginning(trainings)

# %% [markdown]
# ## Table I: the networks on held-out subjects
#
# Every network has several trainings (one per fold), paired with those of every other network on the same subjects. An
# interval resamples trainings and subjects independently: would the sign survive other trainings *and* other patients?

# %% tags=["hide-input"]
titles = {**networks.titles, **(parts.titles if parts else {}), **rival.titles}
report.figure(
    "ordering",
    figures.difference_figure(order, titles=titles),
    caption="Dice of one octave FCN minus that of each other network, with 95 % intervals over trainings and subjects.",
    alt="Dots with intervals around a line at zero, one panel per region and one line per network.",
)
measured = ["dice"] if whole_only else ["dice", "hd95", "lesion_dice", "lesion_hd95"]
found = estimates(scores, metrics=measured, **{**regional, "groups": regions})
dice, distance = (found[found["metric"] == metric] for metric in ("dice", "hd95"))
printed = {"fcn": "ours"} | {one: one for one in ("unet_scse", "unet", "deeplab_v3", "gcn")}
table1 = {"titles": networks.titles, "table": "table1", "rows": printed}
report.table(
    "table1-dice",
    tables.beside_print(dice, printed="dice", **table1),
    index=False,
    caption=f"Dice of the ensembles on {len(split.test)} held-out subjects, and as published for real patients. "
    f"{'DeepLab v3 and GCN' if whole_only else 'DeepLab v3, GCN and MONAI networks'} have {n_references} folds, the "
    f"others {n_folds}.",
)

# %% tags=["remove-input"]
against = order[order["second"].isin(printed) & (order["group"] != "average")]
if whole_only:
    level_of = {arm: level.loc[arm, "wt"] for arm in [*networks.arms, "rule"]}
    ranked = sorted(level_of, key=lambda arm: -level_of[arm]["value"])
    report.table(
        "order",
        pd.DataFrame({
            "network": [titles[arm] for arm in ranked],
            "Dice of the whole tumour": [format_interval(*level_of[arm][["value", "low", "high"]]) for arm in ranked],
            "octave FCN minus it": [
                "" if arm == "fcn" else format_interval(*mean.loc[arm, ["value", "low", "high"]]) for arm in ranked
            ],
        }),
        index=False,
        caption=f"Order of the networks by the Dice of single trainings on {len(split.test)} held-out patients, the "
        "rule among them; 95 % intervals over trainings and patients.",
    )  # fmt: skip
n_ahead, n_behind = int((against["low"] > 0).sum()), int((against["high"] < 0).sum())
report.sentence(
    f"Of {len(against)} comparisons with the networks of Table I (by region) the interval lies above 0, in favour of "
    f"the octave FCN, in {n_ahead} and below 0 in {n_behind}; in the others it holds 0."
)
report.measured("networks", found.dropna(subset="value"), protocol="leakage-free")
report.measured("ordering", pd.DataFrame([{
    "arm": "fcn", "metric": "comparisons_ahead", "group": "all", "value": n_ahead, "low": None, "high": None,
    "n": int(against["n"].max()), "unit": f"of {len(against)} comparisons",
}]), protocol="leakage-free")  # fmt: skip

# %% [markdown]
# ### With more updates
#
# Does the order only say which network learns faster? Both networks of the headline claim are trained again for longer,
# on the same folds and with the same batches for both. The claim's verdict comes from these trainings.

# %% tags=["hide-input"]
if long_trainings:
    moving = last_quarter_change(long_trainings.history, "dice_mean")
    report.table(
        "longer",
        tables.contrast_table(further, titles=titles),
        index=False,
        caption=f"Dice of single trainings with {longer} times the updates, the first minus "
        "the second, with 95 % intervals over trainings and subjects.",
    )
    report.sentence(
        "Change of the validation Dice in the last quarter of these trainings: "
        + "; ".join(f"{MODELS[arm]} {change:.3f}" for arm, change in moving.items())
        + "."
    )
else:
    report.note("Not trained for longer here.")

# %% [markdown]
# ### Distances, and lesion by lesion
#
# HD95 is averaged over subjects in whom both reference and prediction have the region; where only one has it, the
# subject is counted as *missed*. Lesion-wise scores, by which BraTS has ranked since 2023, count each lesion
# separately: a missed second lesion and an island of false tumour cost as much as the large one.

# %% tags=["hide-input"]
if whole_only:
    report.note("Not measured on these patients: their images store no voxel size.")
else:
    missed = scores[scores["metric"] == "missed"].groupby("arm", sort=False)["value"].sum()
    report.table(
        "table1-hd95",
        tables.beside_print(distance, printed="hausdorff", **table1).assign(missed=missed.astype(int).to_numpy()),
        index=False,
        digits=0,
        caption="HD95 (mm) of the ensembles, and the published Hausdorff distance. *Missed* counts subjects and "
        "regions.",
    )
    report.table(
        "lesions",
        tables.lesion_table(found, titles=networks.titles),
        index=False,
        caption="Lesion-wise Dice, and lesion-wise HD95 (mm), where a missed or false lesion counts as 374 mm.",
    )

# %% [markdown]
# ## What the parts contribute
#
# The network with one part changed, on the same batches: batch norm in its encoder, scSE or no excitation, plain
# convolutions; and the U-Net without batch norm. The paper's comparison mixes these parts: U-Net has batch norm in its
# encoder, the FCN has none.

# %% tags=["hide-input"]
if parts:
    pairs = [("fcn", one) for one in exchanged if one.startswith("fcn")]
    pairs += [(a, b) for a, b in (("fcn_norm", "unet"), ("fcn", "unet_plain")) if b == "unet" or b in exchanged]
    swapped = contrasts(each, [(a, b) for a, b in pairs if a == "fcn" or a in exchanged], metrics=["dice"], **regional)
    report.figure(
        "ablation",
        figures.difference_figure(swapped, titles=titles, pairs=True),
        caption="Dice of the first network minus that of the second, single trainings: one part differs.",
        alt="Dots with intervals around a line at zero, a line for each pair.",
    )
    saved = tables.size_table(["fcn", "fcn_plain"], recipe, side=grid[0])["multiplications (10⁹), here"]
    report.sentence(
        "Mean over regions: "
        + "; ".join(
            f"{titles[row['first']]} minus {titles[row['second']]} "
            f"{format_interval(row['value'], row['low'], row['high'])}"
            for row in swapped[swapped["group"] == "average"].to_dict("records")
        )
        + f". Octave convolutions save {100 * (1 - saved[0] / saved[1]):.0f} % of the multiplications."
    )
else:
    report.note("No part was exchanged on these patients.")

# %% tags=["hide-input"]
if whole:
    report.table(
        "whole-slices",
        contrasts(members_of(whole), [(uncropped[0], one) for one in uncropped[1:]], metrics=["dice"], **regional),
        index=False,
        caption="Networks trained on whole slices: Dice of the first minus that of the others, single trainings.",
    )

# %% [markdown]
# ## Figure 3: what excitation does to feature maps
#
# The paper shows maps from $-0.05$ to 0.20 after scSE and from $-0.1$ to 0.4 after skip-scSE
# {cite}`islam2020radiogenomic`, and argues that scSE pushes weak features to zero, which makes deeper layers sparse.
# Measured here: the range of the maps (1st to 99th percentile), and Hoyer's sparsity {cite}`hoyer2004sparseness` of the
# maps and of the weights of the layer that follows (0: all equal, 1: all but one are zero). The skip alone adds 1 to
# every factor, so about twice the range follows from the formula, not from training.

# %% tags=["hide-input"]
if excited:
    measures = {
        "range": "range of the maps",
        "hoyer": "sparsity of the maps",
        "weights_hoyer": "sparsity of the next weights",
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
        caption="Maps after the excitation of every decoder block: range (1st to 99th percentile), sparsity of the "
        "maps, and sparsity of the weights of the next layer; means of the trainings, with their range.",
        alt="Three panels over decoder blocks with a line for skip-scSE and one for scSE.",
    )
    means = blocks.groupby(["arm", "metric"])["value"].mean().unstack()
    per_block = blocks.groupby(["arm", "block", "metric"])["value"].mean().unstack()
    skip, plain = per_block.loc["skip_scse"], per_block.loc["scse"]
    ratio_of_ranges = means.loc["skip_scse", "range"] / means.loc["scse", "range"]
    report.sentence(
        f"With the skip the range is {ratio_of_ranges:.1f} times as wide; it is wider in "
        f"{int((skip['range'] > plain['range']).sum())}, the maps are less sparse in "
        f"{int((skip['hoyer'] < plain['hoyer']).sum())} and the weights in "
        f"{int((skip['weights_hoyer'] < plain['weights_hoyer']).sum())} of {len(skip)} decoder blocks."
    )
    n = len(split.test)
    report.measured("excitation", pd.DataFrame([
        {"arm": arm, "metric": metric, "group": "all", "value": value, "low": None, "high": None, "n": n}
        for arm, metric, value in (
            ("skip_scse", "range", means.loc["skip_scse", "range"]), ("scse", "range", means.loc["scse", "range"]),
            ("skip_scse", "range_ratio", ratio_of_ranges),
        )
    ]))  # fmt: skip
else:
    report.note("Not measured on these patients.")

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
        caption="Feature maps after the last decoder block's excitation on one simulated slice, one colour scale; the "
        "channels with the widest range.",
        alt="Two rows of feature maps, skip-scSE above scSE.",
    )

# %% [markdown]
# ## Table III: the number of modalities
#
# U-Net with one, two and three modalities as in the paper, and with all four. Where T2 is missing there are four
# remedies: none (T2 all 0), a network for T1ce and FLAIR, the synthetic T2 of the chapter *Modality synthesis*, and
# *modality dropout*, a network trained on slices with some of their modalities removed.

# %% tags=["hide-input"]
by_number = estimates(modalities.scores, metrics=["dice"], **{**regional, "groups": regions})
steps_up = (
    {
        ("t1ce_flair", "t1ce"): "FLAIR to T1ce",
        ("t1ce_flair", "flair"): "T1ce to FLAIR",
        ("t1_t1ce_flair", "t1ce_flair"): "T1 to T1ce, FLAIR",
        ("t1_t1ce_flair", "t1_flair"): "T1ce to T1, FLAIR",
        ("synthetic_t1ce", "t1_flair"): "synthetic T1ce to T1, FLAIR",
        ("line_t1ce", "t1_flair"): "T1ce by a straight line to T1, FLAIR",
        ("dropout_t1ce", "t1_flair"): "dropout network, no T1ce",
        ("zeroed_t1ce", "t1_flair"): "T1ce all 0",
        ("synthetic_t1ce", "line_t1ce"): "synthetic T1ce, minus straight line",
        ("synthetic_t1ce", "dropout_t1ce"): "synthetic T1ce, minus dropout network",
    }
    if whole_only
    else {
        ("t1ce_flair", "t1ce"): "FLAIR to T1ce",
        ("t1ce_flair_t2", "t1ce_flair"): "T2 to T1ce, FLAIR",
        ("t1ce_flair_t2_t1", "t1ce_flair_t2"): "T1 to T1ce, FLAIR, T2",
        ("synthetic", "t1ce_flair"): "synthetic T2 to T1ce, FLAIR",
        ("dropout", "t1ce_flair"): "dropout network, no T2",
        ("zeroed", "t1ce_flair"): "T2 all 0",
        ("synthetic", "dropout"): "synthetic T2, minus dropout network",
    }
)
gains = contrasts(members_of(modalities), list(steps_up), metrics=["dice"], **regional)
gains["added"] = [steps_up[pair] for pair in zip(gains["first"], gains["second"], strict=True)]
report.figure(
    "gains",
    figures.difference_figure(gains.assign(second=gains["added"]), titles={one: one for one in steps_up.values()}),
    caption="What each modality, and each remedy for a missing one, adds to the Dice of single trainings; remedies "
    f"are against the network for {'T1 and FLAIR' if whole_only else 'T1ce and FLAIR'} where no other is named.",
    alt="Dots with intervals of the gain in Dice by region, a line for every addition.",
)
report.table(
    "table3",
    tables.beside_print(
        by_number, titles=modalities.titles, table="table3", printed="dice",
        rows={"t1ce": "t1c", "t1ce_flair": "t1c_flair"} | ({} if whole_only else {"t1ce_flair_t2": "t1c_flair_t2"}),
    ),
    index=False,
    caption="Dice of the U-Net's ensembles by input modalities, and as published.",
)  # fmt: skip

# %% tags=["remove-input"]
report.measured("modalities", by_number, protocol="leakage-free")
printed_steps = list(steps_up.values())[: 1 if whole_only else 2]
published_steps = gains[gains["added"].isin(printed_steps) & (gains["group"] != "average")]
n_gains = int((published_steps["low"] > 0).sum())
if not whole_only:
    report.measured("modalities", pd.DataFrame([{
        "arm": "unet", "metric": "gains_above_0", "group": "all", "value": n_gains, "low": None, "high": None,
        "n": int(published_steps["n"].max()), "unit": f"of {len(published_steps)} gains",
    }]), protocol="leakage-free")  # fmt: skip
of_wt = gains[gains["group"] == "wt"].set_index("added")
if whole_only:
    report.table(
        "gains", gains[gains["group"] == "wt"][["added", "value", "low", "high", "n", "runs"]], index=False, digits=3,
        caption="Gains in the whole tumour's Dice of single trainings; 95 % intervals over trainings and patients.",
    )  # fmt: skip
report.sentence(
    f"Of {len(published_steps)} gains by the paper's modalities {n_gains} lie above 0. Whole tumour: "
    + "; ".join(f"{name} {format_interval(row['value'], row['low'], row['high'])}" for name, row in of_wt.iterrows())
    + "."
)

# %% [markdown]
# ## Figures 7 and 8: pictures
#
# Only simulated subjects are shown. The paper's colours: red is necrosis, yellow enhancing tumour, green oedema. In the
# viewer the octave FCN's ensemble segments the first of them while this page is made; it opens where the segmentation
# is wrong. Click, then use the wheel or the arrow keys.

# %% tags=["hide-input"]
pictured = [one for one in ("fcn", "unet_scse", "gcn", "deeplab_v3") if one in networks.arms]
if report.source == "simulated":
    labels = {networks.titles[arm]: networks.result(arm).arrays("slices") for arm in pictured}
    report.figure(
        "figure7",
        slice_figure([figures.segmented(store, subject, labels) for subject in shown], colours=figures.COLOURS),
        caption="T1ce of two simulated held-out subjects, the reference, and the ensembles' segmentations (counterpart "
        "of Figure 7).",
        alt="Rows of brain slices with coloured tumour labels: input, reference, FCN, U-Net scSE, GCN, DeepLab v3.",
    )
    one, ensembled = store.subject(shown[0]), [load_network(job) for job in trainings.arms["fcn"]]
    masks = {"reference": one.labels, MODELS["fcn"]: segment(ensembled, store, shown[0])}
    report.page(
        "viewer",
        linked_viewer(
            data,
            on_grid(store, shown[0], {MODALITY_TITLES[name]: one.image(name) for name in store.modalities}),
            on_grid(store, shown[0], masks),
            colours=figures.COLOURS,
        ),
        title="Viewer of a simulated subject: reference, octave FCN, and where they differ",
    )
if not whole_only:
    core = {"groups": ["ncr"], "metrics": ["dice"], **boot}
    necrosis = estimates(scores, arms=pictured, **core)
    ahead = contrasts(scores, [("fcn", one) for one in pictured[1:]], **core)
    best = necrosis[necrosis["arm"] != "fcn"].sort_values("value").iloc[-1]["arm"]
    row = ahead[ahead["second"] == best].iloc[0]
    report.measured(
        "necrosis",
        ahead[ahead["second"] == best].assign(second="best_other", note=f"the best other is {networks.titles[best]}"),
        protocol="leakage-free",
    )
    report.sentence(
        "The point of Figure 7 as a number: Dice of the necrotic core, octave FCN minus the best other network "
        f"({networks.titles[best]}) {format_interval(row['value'], row['low'], row['high'])} on {int(row['n'])} "
        "subjects."
    )
else:
    report.note("No necrotic core is outlined in these patients.")

# %% tags=["hide-input"]
if synthetic:
    from_synthetic = estimates(synthetic.scores, metrics=["dice"], **{**regional, "groups": list(REGIONS)})
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
        caption="Simulated subjects whose T2 was removed: T1ce, FLAIR, true T2, synthetic T2, the reference, "
        "and the octave FCN's segmentation from T1ce, FLAIR and the synthetic T2 (counterpart of Figure 8).",
        alt="Rows of slices: three modalities, a synthetic T2, reference and predicted labels.",
    )

# %% [markdown]
# ## How sure the ensembles are
#
# In a calibrated ensemble, 80 % of the voxels whose class has a probability of 80 % are correct. The largest error is
# expected at borders, where the entropy is high.

# %% tags=["hide-input"]
sure = figures.reliability_points(networks.table("reliability"), titles=networks.titles)
error = sure.groupby("network", sort=False)["error"].sum()
report.figure(
    "reliability",
    curve_figure(
        sure[sure["network"].isin([networks.titles[one] for one in ("fcn", "unet")])],
        x="confidence",
        xlabel="probability of the most probable class",
        ylabel="share of correct voxels",
        colour="network",
    ),
    caption="Reliability over all brain voxels of the held-out subjects; a calibrated ensemble lies on the diagonal.",
    alt="Two lines of accuracy over confidence.",
)
if report.source == "simulated":
    entropy = networks.result("fcn").arrays("entropy")
    tiles = [
        [
            *figures.segmented(store, one, {MODELS["fcn"]: networks.result("fcn").arrays("slices")}),
            Tile(image=entropy[one].astype(float), cmap="magma", limits=(0, 1.4), title="entropy"),
        ]
        for one in shown
    ]
    report.figure(
        "entropy",
        slice_figure(tiles, colours=figures.COLOURS),
        caption="T1ce, reference, the octave FCN's ensemble, and the entropy of its probabilities.",
        alt="Rows of four slices, the last a heat map.",
    )
report.sentence(
    "Expected calibration error over brain voxels, most of which are easy to classify: "
    + "; ".join(f"{name} {value:.4f}" for name, value in error.items())
    + "."
)

# %% [markdown]
# ### Temperature
#
# Dividing a network's logits by one number, its temperature {cite}`guo2017calibration`, changes its confidence and
# never the class it predicts. It is fitted member by member, on subjects that the member was not trained on; the other
# members have seen them. The negative log probability of the true class shows whether this helps on held-out subjects.

# %%
show_code(tempered, fitted)

# %% tags=["hide-input"]
if softened:
    report.table(
        "temperature",
        tables.temperature_table(softened, n_boot=n_boot, seed=seed),
        index=False,
        caption="Negative log probability of the true class and Brier score over brain voxels of held-out subjects, "
        "and the expected calibration error, of the ensemble as it is and of tempered members; changes are paired, "
        "with 95 % intervals over subjects.",
    )
else:
    report.note("Not fitted on these patients.")

# %% [markdown]
# ## Real subjects
#
# Networks trained only on the cohort of this run, applied without any adaptation: the octave FCN to subjects with three
# modalities, the U-Net for T1ce and FLAIR to subjects with these two. The subjects are few: this shows whether the
# simulation carries over, not how good a network is.

# %% tags=["hide-input"]
if len(real):
    report.table("real", real, index=False, caption="Dice of the ensembles on real subjects of BraTS vintages.")
else:
    report.note("No real subjects beside this run: no data root is named (RADLIB_DATA), or they are the cohort itself.")
bundle = export(report.directory / "bundles" / "octave_fcn", trainings.arms["fcn"][0])
report.sentence(f"For MONAI and MONAI Label the first FCN is stored as a bundle in `bundles/{bundle.name}` of the run.")

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
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
# | norm in the encoder | none; `fcn_norm` has it | only ReLU is named |
# | inner-imaging | 3 x 3 kernels over the channels' means as a picture | the cited paper's idea; sizes not given |
# | what the skip goes around | the whole module | "skip connection with scSE" |
# | loss | cross-entropy plus Dice | not mentioned |
# | steps, batch, schedule, crops | `steps`, `batch_size`, `schedule`, `crop` | not mentioned |
# | norm of the gradient | clipped at `clip_norm`, 5 | high learning rates of short trainings |
# | which slices | `tumour_share` of a batch cut around tumour | few slices hold enhancing tumour |
# | augmentation | left and right swapped, contrast, brightness, noise (`augment`) | not mentioned |
# | learning rate | 0.0001 in the paper profile, 0.02 with few steps | small networks, short trainings |
# | batch norm in U-Net | yes; `unet_plain` has none | as it is used today |
# | encoders of DeepLab v3 and GCN | small residual ones, not pretrained | same widths for all |
# | rates of DeepLab v3 | 12, 24, 36 at a stride of 8 in the paper profile | its authors double them at 8 |
# | network of Table III | U-Net | the paper's caption says so |
# | Hausdorff distance | 95th percentile | what BraTS reports |
# | a region that only one side has | left out of the distance, counted | a penalty would decide the mean |
# | test-time augmentation | none | not mentioned |
#
# ## Limits
#
# - In the default profile the cohort is simulated, the networks are small and the trainings short. Absolute Dice values
#   then say how hard the simulation is, not how good the networks would be on patients.
# - Only the order of networks and of modalities is tested. A difference whose interval holds 0 is undecided.
# - Steps and widths were chosen on development subjects. Where a curve is not flat the page says so, and no verdict
#   rests on it.
# - Channel excitation learns from the means of crops and is applied to whole slices. This holds for every network with
#   excitation, the FCN among them; `uncropped` trains on whole slices, as the paper profile does.
# - There is no post-processing: islands far from the tumour stay, and they dominate mean distances.
# - The folds' trainings share subjects: resampling them as if they were independent makes intervals a little too
#   narrow.
# - The networks are compared at equal widths, not at equal multiplications, and none was tuned individually. The U-Nets
#   have batch norm in their encoders, the FCN has none: *What the parts contribute* separates the two.
# - The validation set of BraTS 2017 has no public labels; held-out subjects of the training set take its place.
# - On real patients the outline was drawn on FLAIR, which favours networks that see it. Patients without T1 or T1ce
#   take no part, and slices reach only from just below to just above the tumour, so false tumour elsewhere is not seen.
#
# ## Questions
#
# 1. *Is it the octave convolution?* Set `ratio` to 0 and compare `fcn` with `fcn_plain`. They are then the same
#    network, so their difference is what a comparison of equals shows.
# 2. *Does channel excitation suffer from crops?* Set `uncropped` to `["fcn", "unet"]`.
#
# With `BUDGET=0.02`, `n_folds = 2`, `references = []` and `exchanged = ["fcn_plain"]` each
# runs in under two minutes.
#
# ## Summary

# %% tags=["remove-input"]
excitation_said = ""
if excited:
    excitation_said = f" Maps after skip-scSE have {ratio_of_ranges:.1f} times the range of those after scSE."
report.sentence(
    f"On {int(first['n'])} held-out subjects ({report.source} cohort) one octave FCN has a mean Dice {over} of "
    f"{report.text('fcn')}; minus the U-Net it is {report.text('fcn_unet')}, minus {the_rule} "
    f"{report.text('fcn_rule')}. {with_more} "
    f"Against the networks of Table I its Dice is higher in {n_ahead} and lower in {n_behind} of {len(against)} "
    f"comparisons whose interval excludes 0. Of {len(published_steps)} gains by the paper's modalities {n_gains} "
    f"lie above 0.{excitation_said}"
)

# %% tags=["remove-input"]
report.finish()
