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
n_folds: int = 4  # folds of the other subjects, one training each
n_ablation: int = 2  # folds in which parts of the network are exchanged
exchanged: list[str] = ["fcn_scse", "fcn_plain"]  # scSE, plain convolutions; also fcn_none, no excitation
references: list[str] = ["dynunet"]  # MONAI's networks: dynunet, segresnet, basic_unet
widths: list[int] = [8, 16, 32, 64]  # channels of the levels of U-Net; the FCN has all but the last
ratio: float = 0.5  # share of low frequencies in octave convolutions
steps: int = 160  # updates of a training
batch_size: int = 8  # slices a batch
crop: int = 32  # edge of the squares cut from slices; 0 takes whole slices
learning_rate: float = 0.02  # of Adam (the paper has 0.0001)
weight_decay: float = 0.0001  # of Adam, as in the paper
schedule: str = "one_cycle"  # of the learning rate; the paper mentions none
tumour_share: float = 0.6  # share of a batch cut around tumour, the rest anywhere in the brain
augment: float = 1.0  # scale of random changes of intensity
atrous_rates: list[int] = [2, 4, 6]  # of DeepLab v3
output_stride: int = 4  # of DeepLab v3
large_kernel: int = 7  # of GCN
n_boot: int = 2000  # resamples of every bootstrap
n_real: int = 6  # real subjects of each kind, at most

# %% tags=["hide-input"]
import dataclasses
from functools import partial

import pandas as pd

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.scores import keep_scores
from radlib.core.device import pick_device
from radlib.core.paths import data_root
from radlib.data.readers.segmented import real_subjects
from radlib.data.sources import open_cohort
from radlib.data.store import prepare
from radlib.papers.islam2020 import segmentation as seg
from radlib.papers.islam2020 import segmentation_excitation as excitation
from radlib.papers.islam2020 import segmentation_figures as figures
from radlib.papers.islam2020 import segmentation_results as results
from radlib.papers.islam2020 import segmentation_sizes as sizes
from radlib.papers.islam2020 import segmentation_transfer as transfer
from radlib.papers.islam2020.segmentation_networks import PAPER, TITLES, Recipe, spoken
from radlib.stats.segmentation import subject_mean

report = Report.start("octave_segmentation", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# The role is `brats2017`: high- and low-grade glioma with four modalities and an expert segmentation of necrotic core
# (label 1), oedema (2) and enhancing tumour (4). Regions are those of the paper: ET is label 4, TC labels 1 and 4, WT
# all three. Images are resampled to one grid and standardised within the brain. Subjects, never slices, are divided:
# some are held out for every table of results, the others form the folds. Both within grade.

# %%
data = open_cohort("brats2017", cohort=cohort, profile=profile)
plan = seg.make_plan(data, held_out=n_held_out, n_folds=n_folds, seed=seed)
store = prepare(
    data,
    grid=grid,
    spacing=spacing,
    ids=[*plan.development, *plan.held_out],
    cache=report.directory / "images" if memory_mapped else None,
)
store = store if memory_mapped else seg.slice_major(store)
store = store.to(pick_device())
report.table("subjects", sizes.subject_table(data, plan, store), index=False, digits=1,
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

# %%
recipe = Recipe(
    widths=tuple(widths), ratio=ratio, output_stride=output_stride, rates=tuple(atrous_rates),
    kernel_size=large_kernel, steps=steps, batch_size=batch_size, crop=crop or None,
    learning_rate=learning_rate, weight_decay=weight_decay, schedule=schedule, augment=augment,
    tumour_share=tumour_share,
)  # fmt: skip
models = ["fcn", "unet_scse", "unet", "deeplab_v3", "gcn", *references]
report.table("sizes", sizes.size_table(models, recipe, side=grid[0], paper=PAPER, paper_side=240), index=False,
             digits=2, caption="Parameters, and multiplications for one slice, at the size of this run and at the "
             "paper's (whose widths are not printed; the originals' are taken).")  # fmt: skip
report.table("octave", sizes.octave_table(), index=False, digits=2,
             caption="Multiplications of one 3 x 3 octave convolution, 64 channels, 240 x 240 pixels.")  # fmt: skip

# %% [markdown]
# ## Training

# %% tags=["trainings", "hide-input"]
folder = report.directory / "checkpoints"
sets = [("t1ce",), ("t1ce", "flair"), ("t1ce", "flair", "t2"), ("t1ce", "flair", "t2", "t1")]
runs_of = {(model, seg.PAPER_MODALITIES): n_folds for model in models}
runs_of |= {(model, seg.PAPER_MODALITIES): n_ablation for model in exchanged}
runs_of |= {("unet", modalities): n_folds for modalities in sets}
trainings = {
    f"{model}, {'+'.join(modalities)}, fold {fold + 1}": partial(
        seg.train_fold, store, plan, fold, model=model, recipe=recipe, seed=seed, modalities=modalities, folder=folder
    )
    for (model, modalities), count in runs_of.items()
    for fold in range(min(count, n_folds))
}

# %%
outcomes = {}
for model in models:
    runs = seg.cross_validate(store, plan, model=model, recipe=recipe, seed=seed, folder=folder)
    outcomes[model] = seg.apply(TITLES[model], runs, store, plan.held_out, recipe=recipe)

# %% tags=["hide-input"]
report.figure(
    "curves",
    figures.curves_figure(outcomes),
    caption="Learning curves of the first fold: training loss, and Dice on slices of the fold's other subjects, which "
    "decide nothing. The other folds look alike; their last values are in the table below.",
    alt="Training loss falls and flattens; validation Dice of ET, WT and TC rises and flattens, for every network.",
)
report.table("trainings", sizes.training_table(outcomes), index=False, digits={"steps a second": 1},
             caption="Every network over its folds: loss at the end, change of the validation Dice (mean of the "
             "regions) from the last but one check to the last, speed, share of time waiting for data.")  # fmt: skip

# %% [markdown]
# ## Table I: the networks on held-out subjects
#
# The ensemble averages the folds' probabilities. Intervals (95 %) are of the mean over subjects, by bootstrap. HD95
# is the 95th percentile of surface distances, averaged over subjects in whom both the reference and the prediction
# have the region; where only one has, the subject is counted as missed (its Dice is 0). The paper's numbers are of
# real patients, those here of simulated subjects unless the banner says otherwise; EMMA {cite}`kamnitsas2018emma` is
# quoted, not rebuilt.

# %% tags=["hide-input"]
found = results.scores(outcomes, n_boot=n_boot, seed=seed)
held = pd.concat([outcome.ensemble.assign(model=f"{outcome.label} (Islam)") for outcome in outcomes.values()])
keep_scores(report, "segmentation", held.assign(role="brats2017"))
table1 = {"table": "table1", "rows": results.PUBLISHED_ROWS}
report.table("table1-dice", results.score_table(found, metrics=["dice"], **table1), index=False,
             caption=f"Dice of the ensembles on {len(plan.held_out)} held-out subjects, and as published.")  # fmt: skip
report.table("table1-hd95", results.score_table(found, metrics=["hd95"], **table1), index=False,
             caption="HD95 of the same, and the published Hausdorff distance.")  # fmt: skip
whole = {key: subject_mean(outcome.ensemble.query("region == 'wt'"), "dice", n_boot=n_boot, seed=seed)
         for key, outcome in outcomes.items()}  # fmt: skip
report.value("wt_dice", **whole["fcn"].as_dict())
report.sentence(
    f"The FCN's ensemble has a whole-tumour Dice of {report.text('wt_dice')} on {whole['fcn'].n} subjects. "
    + results.distance_sentence(outcomes)
)

# %% [markdown]
# ### Does the order hold?
#
# The paper compares means of one ensemble each. Here every network has several trainings (fold and seed differ), paired
# with those of every other network, on the same subjects. The interval of a difference resamples trainings and subjects
# independently: it asks whether the sign would survive other trainings *and* other patients.

# %%
ordering = results.differences(outcomes, reference="fcn", n_boot=n_boot, seed=seed)

# %% tags=["hide-input"]
report.figure(
    "ordering",
    figures.difference_figure(ordering),
    caption="Dice of the octave FCN minus that of each other network, with 95 % intervals: single trainings (runs and "
    "subjects resampled) and ensembles (subjects resampled).",
    alt="Dots with intervals around zero, a panel a region and a line a network.",
)
report.table("ordering", ordering, index=False, caption="The same as numbers.")
report.sentence(results.verdicts(ordering, name="the octave FCN"))

# %% [markdown]
# ### The development subjects, each by the network that did not train on it

# %% tags=["hide-input"]
crossed = seg.own_folds(outcomes["fcn"].runs, store, recipe=recipe)
rows = {region.upper(): results.mean_of(crossed, region, n_boot=n_boot, seed=seed) for region in seg.REGIONS}
for region, one in rows.items():
    report.value(f"cv_{region.lower()}", **one.as_dict())
report.sentence(
    f"In cross-validation over {rows['WT'].n} subjects single FCNs have a Dice of "
    + ", ".join(f"{report.text(f'cv_{region.lower()}')} ({region})" for region in rows)
    + "."
)

# %% [markdown]
# ## What the parts contribute
#
# The network with scSE in place of skip-scSE, and with plain convolutions in place of octave ones, in the first folds,
# on the same batches.

# %%
parts = {}
for model in exchanged:
    runs = seg.cross_validate(store, plan, model=model, recipe=recipe, seed=seed, n_runs=n_ablation, folder=folder)
    parts[model] = seg.apply(TITLES[model], runs, store, plan.held_out, recipe=recipe, dice_only=True)

# %% tags=["hide-input"]
without = results.differences({"fcn": outcomes["fcn"], **parts}, reference="fcn", n_boot=n_boot, seed=seed)
report.figure(
    "ablation",
    figures.difference_figure(without),
    caption="Dice of the whole network minus that of the network with a part exchanged, single trainings.",
    alt="Dots with intervals around zero, a line for each exchanged part.",
)
report.table("ablation", without, index=False, caption="The same as numbers.")
report.sentence(results.verdicts(without, name="the whole network"))
if "fcn_plain" in parts:
    report.sentence(sizes.octave_sentence(outcomes["fcn"], parts["fcn_plain"], recipe, side=grid[0]))

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
kinds = {"skip-scSE": outcomes["fcn"].runs[:n_ablation], "scSE": parts["fcn_scse"].runs}
measured = excitation.excitation_table(kinds, store, plan.held_out)
report.figure(
    "excitation",
    excitation.excitation_figure(measured),
    caption="Maps behind the excitation of every decoder block of trained networks: range, sparsity of the maps, and "
    "sparsity of the weights that take them; a dot a training.",
    alt="Ranges are widest for skip-scSE; sparsity is compared by block and excitation.",
)
report.sentence(excitation.excitation_sentence(measured))

# %% tags=["hide-input"]
first = {name: members[0] for name, members in kinds.items()}
shown = figures.necrotic_subjects(store, plan.held_out, most=2)
if report.source == "simulated":
    report.figure(
        "maps",
        excitation.map_figure(first, store, shown[0]),
        caption="Feature maps behind the last decoder block's excitation on one simulated slice, one colour scale; the "
        "channels with the widest range.",
        alt="Two rows of feature maps, skip-scSE above scSE, the former with larger values.",
    )

# %% [markdown]
# ## Table III: the number of modalities
#
# U-Net with one, two and three modalities as in the paper, and with all four.

# %%
by_set = {}
for modalities in sets:
    names = ", ".join(modalities)
    title = f"U-Net: {spoken(names)}"
    if modalities == seg.PAPER_MODALITIES:
        by_set[names] = dataclasses.replace(outcomes["unet"], label=title)
        continue
    runs = seg.cross_validate(store, plan, model="unet", recipe=recipe, seed=seed, modalities=modalities, folder=folder)
    by_set[names] = seg.apply(title, runs, store, plan.held_out, recipe=recipe, dice_only=True)

# %% [markdown]
# A synthetic T2 may stand in for a real one: the generator of the chapter *Modality synthesis*, from T1c and FLAIR,
# gives the T2 of held-out subjects (those it was not trained on), and the networks with three modalities are applied
# to it.

# %%
weights = transfer.find_synthesiser(report.directory, target="t2", sources=["t1ce", "flair"])
synthetic = None
if weights is not None:
    replaced = transfer.with_synthetic(store, data, weights, plan.held_out, sources=["t1ce", "flair"])
    runs = by_set["t1ce, flair, t2"].runs
    synthetic = seg.apply(
        "U-Net: T1c, FLAIR, synthetic T2", runs, replaced, replaced.ids, recipe=recipe, dice_only=True
    )
else:
    report.note("The synthesis chapter of this cohort and profile has left no generator of T2 from T1c and FLAIR: "
                "the row with a synthetic T2 is left to the chapter on radiogenomic survival.")  # fmt: skip

# %% tags=["hide-input"]
lines = {**by_set, **({"synthetic": synthetic} if synthetic else {})}
by_number = results.scores(lines, n_boot=n_boot, seed=seed)
report.table(
    "table3",
    results.score_table(by_number, table="table3", rows=results.PUBLISHED_SETS, metrics=["dice"]),
    index=False,
    caption="Dice of the U-Net's ensembles by input modalities, and as published.",
)
steps_up = results.modality_gains(by_set, synthetic, n_boot=n_boot, seed=seed)
report.table("gains", steps_up, index=False,
             caption="What each modality adds to the Dice of single trainings, both resampled.")  # fmt: skip
report.figure("gains", figures.gain_figure(steps_up), caption="The same as a figure.",
              alt="Dots with intervals of the gain in Dice by region for every added modality.")  # fmt: skip
report.sentence(results.gain_sentence(steps_up))

# %% [markdown]
# ## Figures 7 and 8: pictures
#
# Only simulated subjects are shown; on real ones the chapter gives numbers. The paper's colours: red is necrosis,
# yellow enhancing tumour, green oedema.

# %% tags=["hide-input"]
if report.source == "simulated":
    pictured = {key: outcomes[key] for key in ("fcn", "unet_scse", "gcn", "deeplab_v3")}
    report.figure(
        "figure7",
        figures.picture_figure(store, shown, pictured),
        caption="T1c of the two simulated held-out subjects with the largest necrotic core, the reference, and the "
        "ensembles' segmentations (counterpart of the paper's Figure 7).",
        alt="Rows of brain slices with coloured tumour labels: input, reference, FCN, U-Net scSE, GCN, DeepLab v3.",
    )
necrosis = results.necrosis_table(store, {key: outcomes[key] for key in ("fcn", "unet_scse", "gcn", "deeplab_v3")},
                                  n_boot=n_boot, seed=seed)  # fmt: skip
report.table("necrosis", necrosis, index=False,
             caption="What Figure 7 is about, measured: Dice of the necrotic core (label 1) of the ensembles, and the "
             "FCN's minus each other's on the same subjects.")  # fmt: skip

# %% tags=["hide-input"]
if report.source == "simulated" and synthetic is not None:
    both = [subject for subject in shown if subject in synthetic.labels] or list(synthetic.labels)[:2]
    report.figure(
        "figure8",
        figures.picture_figure(
            store,
            both,
            {"synthetic": synthetic},
            modalities=["t1ce", "flair", "t2"],
            images={"t2: synthetic T2": replaced},
        ),
        caption="Simulated subjects whose T2 was taken away: T1c, FLAIR, true T2, synthetic T2, the reference, "
        "and the U-Net's segmentation from T1c, FLAIR and the synthetic T2 (counterpart of Figure 8).",
        alt="Rows of slices: three modalities, a synthetic T2, reference and predicted labels.",
    )

# %% [markdown]
# ## Real subjects
#
# Networks that have seen nothing but the cohort of this run, applied without any adaptation to the real subjects under
# the data root: those with three modalities by the networks above, those with T1c and FLAIR alone by the two-modality
# U-Net. They are few; this shows whether the simulation carries over, not how good a network is.

# %% tags=["hide-input"]
root = data_root()
if root is None or report.source == "real":
    report.note("No real subjects beside this run: no data root is named (RADLIB_DATA), or they are the cohort itself.")
else:
    ensembles = {**{key: one.runs for key, one in outcomes.items()}, "two": by_set["t1ce, flair"].runs}
    there = real_subjects(root, most=n_real)
    real = transfer.real_table(there, ensembles, store, recipe=recipe)
    if len(real):
        report.table("real", real, index=False, caption="Dice of the ensembles on real subjects of BraTS vintages.")
        report.sentence(results.real_sentence(real))
    else:
        report.note("No segmented BraTS subject lies under the data root.")

# %% [markdown]
# ## Weights for other chapters

# %% tags=["hide-input"]
files = seg.save_runs(report.directory / "weights", outcomes["fcn"].runs, store=store, recipe=recipe, seed=seed)
bundle = seg.export(report.directory / "bundles" / "octave_fcn", outcomes["fcn"].runs[0], store=store, recipe=recipe)
report.sentence(
    f"The {len(files)} FCNs are kept as safetensors in `weights/` of the run directory, where the chapter on "
    f"radiogenomic survival finds them, and the first as a MONAI bundle in `bundles/{bundle.name}`."
)

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
about = f"ensemble of {n_folds} folds, {len(plan.held_out)} held-out subjects, voxels of {spacing:g} mm"
results.record_scores(report, found, note=about, metrics=["dice", "hd95"], **table1)
results.record_scores(report, by_number, table="table3", rows=results.PUBLISHED_SETS, note=f"U-Net, {about}",
                      metrics=["dice"])  # fmt: skip
for metric in ("dice", "hausdorff"):
    for region in seg.REGIONS:
        report.missing(
            f"islam2020.table1.emma.{metric}.{region}", "quoted from another paper; EMMA is not rebuilt here"
        )

# %% tags=["remove-input"]
results.record_claims(report, ordering=ordering, gains=steps_up, excitation=measured, necrosis=necrosis)
if synthetic is not None:
    eighth = results.mean_of(synthetic.ensemble, "wt", n_boot=n_boot, seed=seed)
    report.record("islam2020.figure8", **eighth.as_dict(), protocol="leakage-free",
                  note="whole-tumour Dice from T1c, FLAIR and synthetic T2; the paper has no reference")  # fmt: skip
else:
    report.missing("islam2020.figure8", "no generator of T2 was trained for this cohort and profile")
report.record("islam2020.figure2", sizes.paper_parameters(), unit="million parameters",
              note="the network builds at the published size; the paper prints no widths")  # fmt: skip

# %% tags=["remove-input", "hide-output"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | widths of the network | those of U-Net, `widths` | the encoder is said to be like U-Net's |
# | ratio of low frequencies | one half, `ratio` | the middle of the octave paper's range |
# | where octave parts are joined | at skip connections and below the last block | the text: upsampled, concatenated |
# | norm in the encoder | none | only ReLU is named |
# | inner-imaging | 3 x 3 kernels over the channels' means as a picture | the cited paper's idea; sizes not given |
# | what the skip goes around | the whole module | "skip connection with scSE" |
# | loss | cross-entropy plus Dice | not mentioned |
# | steps, batch, schedule, crops | `steps`, `batch_size`, `schedule`, `crop` | not mentioned |
# | learning rate | 0.0001 in the paper profile, 0.02 with few steps | small networks, short trainings |
# | batch norm in U-Net | yes | without, short trainings find no enhancing tumour |
# | encoders of DeepLab v3 and GCN | small residual ones, not pretrained | same widths for all |
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
# - Nothing is removed after the networks: islands far from the tumour stay, and they decide mean distances.
# - The folds' trainings share subjects: resampling them as if independent makes intervals a little too narrow.
# - The networks are compared at equal widths, not at equal multiplications, and none was tuned by itself.
# - The validation set of BraTS 2017 has no public labels; held-out subjects of the training set take its place.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(
    f"On {len(plan.held_out)} held-out subjects ({report.source} cohort) the octave FCN has a whole-tumour Dice of "
    f"{report.text('wt_dice')}. {results.verdicts(ordering, name='the octave FCN')} {results.gain_sentence(steps_up)} "
    + excitation.excitation_sentence(measured)
)

# %% tags=["remove-input"]
report.finish()
