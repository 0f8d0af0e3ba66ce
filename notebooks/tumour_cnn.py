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
# # Tumour CNN
#
# **The claim.** {cite:t}`li2017dlr` take features for IDH1 from a network that segments the tumour. They deepen the
# patch-based CNN of {cite:t}`pereira2016cnn` from four to six convolutions, widen its fully connected layers from 256
# to 4096 neurons and add contrast-enhanced T1 (T1c) to FLAIR. Depth, width and the second modality are each said to
# improve the segmentation of low-grade glioma (their Figure 1).

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status tumour_cnn
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
grid: list[int] = [112, 112, 40]  # voxels of the common grid
spacing: list[float] = [1.875, 1.875, 4.0]  # mm (published 0.4688, 0.4688, 2)
memory_mapped: bool = False  # images in files, for cohorts that do not fit into memory
n_train: int = 60  # training patients of a cohort; the others are tested
n_runs: int = 5  # trainings of every network
filters: list[int] = [16, 32]  # before and after the first pooling (published 64, 128)
neurons: list[int] = [16, 256]  # fully connected, narrow and wide (published 256, 4096)
patch: int = 33  # edge of a patch, pixels
tumour_share: float = 0.4  # share of patches around tumour
normalisation: str = "training"  # of patches: training or patch
padding: str = "valid"  # of the convolutions: valid or same
dropout: float = 0.5  # after each fully connected layer
n_steps: int = 400  # updates of a training
batch_size: int = 64  # patches per batch
learning_rate: float = 0.03  # of SGD, at its highest
momentum: float = 0.9  # of SGD
schedule: str = "one_cycle"  # of the learning rate
threshold: str = "dice"  # of the probability: half, natural, or dice (calibrated)
smoothing: int = 3  # edge of the 3D box filter, voxels
unet_steps: int = 0  # updates of a U-Net for comparison, on real patients; 0: none
n_detail: int = 4  # test patients who get a score for every pixel
second: str = "share"  # first cohort in the second: the paper's share, or all
n_folds: int = 0  # folds that test segmentation; 0: the paper's one division
n_boot: int = 2000  # resamples of every bootstrap

# %% tags=["hide-input"]
import math

import pandas as pd
import torch

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.seeds import rng
from radlib.papers.li2017 import figures, tables
from radlib.papers.li2017.data import (
    PatchSampler,
    Scaling,
    fit_scaling,
    natural_share,
)
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.recipes import CHANGES
from radlib.papers.li2017.segmentation import (
    METRICS,
    compare_with_patches,
    post_process,
    prior_threshold,
    score_network,
    slice_probability,
)
from radlib.papers.li2017.study import STEPS
from radlib.papers.li2017.training import (
    calibrated_threshold,
    patch_loss,
    train_network,
    tumour_network,
)
from radlib.plots.architecture import architecture_figure, blocks_of
from radlib.plots.curves import loss_figure
from radlib.plots.dots import dot_plot
from radlib.stats.tables import format_interval
from radlib.study.estimates import contrasts, estimates

report = Report.start("tumour_cnn", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## The study
#
# The patients stand for those of Huashan Hospital: grade II glioma, FLAIR for everyone and T1c for the *first cohort*.
# The paper trains on 60 patients of the first cohort and tests on the other 59; its network for FLAIR alone was "built
# using the second cohort" of FLAIR patients {cite}`li2017dlr`. Both divisions are followed here. Real patients are
# divided into folds instead, so that each of them is tested.

# %% tags=["study"]
from dataclasses import replace

from radlib.papers.li2017.data import MODALITIES
from radlib.papers.li2017.recipes import Setting
from radlib.study.cohorts import Images, Source

images = Images(
    source=Source("huashan", cohort, profile, seed), modalities=MODALITIES,
    grid=tuple(grid), spacing=tuple(spacing), memory_mapped=memory_mapped,
)  # fmt: skip
# One division trains the networks whose features are taken, as in the paper.
one_division = Setting(images=images, n_train=n_train, seed=seed, second=second)
setting = replace(one_division, n_folds=n_folds)

# %% [markdown]
# The arms: the five networks of Figure 1, each trained several times; a threshold on FLAIR chosen on the training
# patients; the two networks whose features the next chapter uses; and the post-processing steps.

# %% tags=["study"]
from radlib.papers.li2017.recipes import SECOND, VARIANTS, Recipe
from radlib.papers.li2017.study import (
    UNetRecipe,
    flair_rule,
    network_jobs,
    steps,
    unet,
)
from radlib.study.studies import Study

recipe = Recipe(
    filters=tuple(filters), patch=patch, dropout=dropout, padding=padding,
    tumour_share=tumour_share, normalisation=normalisation, steps=n_steps,
    batch_size=batch_size, learning_rate=learning_rate, momentum=momentum,
    schedule=schedule, threshold=threshold, smoothing=smoothing,
)  # fmt: skip
options = {"neurons": neurons, "n_runs": n_runs}
variants = Study(
    "variants",
    {arm: network_jobs(setting, recipe, variant=one, **options)
     for arm, one in VARIANTS.items()},
    titles={arm: one.title(neurons) for arm, one in VARIANTS.items()},
)  # fmt: skip
rules = {"flair": [flair_rule(setting=setting, smoothing=smoothing)] * n_runs}
if unet_steps:
    own = UNetRecipe(steps=unet_steps, smoothing=smoothing)
    rules["unet"] = [unet(setting=setting, modalities=MODALITIES, recipe=own, run=0)]
beside = Study(
    "beside", rules,
    titles={"flair": "FLAIR above a threshold", "unet": "U-Net (MONAI), FLAIR + T1c"},
)  # fmt: skip
encoders = Study(
    "encoders",
    {arm: network_jobs(one_division, recipe, variant=one, **options)
     for arm, one in (("multiple", VARIANTS["multiple"]), ("second", SECOND))},
    titles={"multiple": "FLAIR + T1c, first cohort", "second": "FLAIR, second cohort"},
)  # fmt: skip
behind = Study(
    "steps",
    {"multiple": steps(setting=one_division, trained=encoders.arms["multiple"][0],
                       n_dense=n_detail)},
)  # fmt: skip

# %% tags=["hide-input"]
for study in (variants, beside, encoders, behind):
    report.study(study)
data, plain = one_division.cohort(), setting.store()
split = one_division.split()
scores = pd.concat([variants.scores, beside.scores], ignore_index=True)
titles = variants.titles | beside.titles
resampling = {"n_boot": n_boot, "seed": seed}
found = estimates(scores, metrics=METRICS, **resampling)
changes = contrasts(scores, list(CHANGES.values()), metrics=METRICS, **resampling)
pairs = changes[["first", "second"]].apply(tuple, axis=1)
changes.insert(0, "change", pairs.map({pair: key for key, pair in CHANGES.items()}))
gap = contrasts(scores, [("multiple", "flair")], metrics=["dice"], **resampling)
ahead = gap.iloc[0]

# %% tags=["remove-input"]
names = {"multiple": "multiple", "conv6_wide": "single", "flair": "flair"}
for arm, name in names.items():
    for row in found[found["arm"] == arm].to_dict("records"):
        kept = {key: row[key] for key in ("value", "low", "high", "n")}
        report.value(f"{name}_{row['metric']}", **kept)
report.value("ahead_of_rule", ahead["value"], low=ahead["low"], high=ahead["high"],
             n=int(ahead["n"]))  # fmt: skip
gains = changes[changes["metric"] == "dice"].set_index("change")


def gain(change):
    """The change of the DSC with its interval."""
    return format_interval(*gains.loc[change, ["value", "low", "high"]])


answer = (
    "The network with six convolutions, wide layers and both modalities has a Dice "
    f"coefficient (DSC) of {report.text('multiple_dice')}; minus that of a threshold "
    f"on FLAIR it is {report.text('ahead_of_rule')}. Depth changes the "
    f"DSC by {gain('deeper (wide)')}, width by {gain('wider (6 conv.)')}, the second "
    f"modality by {gain('T1c added')} ({int(ahead['n'])} {report.source} patients, "
    f"{n_runs} trainings a network)."
)

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
report.sentence(answer)

# %% [markdown]
# ## Data
#
# Images are standardised within the brain and resampled to one grid whose slices are thicker than its pixels are wide,
# as in the paper. The reference is the whole tumour.

# %% tags=["hide-input"]
report.table("cohort", tables.cohort_table(data, split, plain), index=False,
             caption="The patients, and the paper's first cohort by its Table 1 "
             "(mean ± standard deviation).")  # fmt: skip
report.sentence(" ".join(data.notes))

# %% [markdown]
# ## Method
#
# ### The network
#
# Convolutions of 3 × 3 pixels, half of them before and half after a max-pooling of 3 × 3 with stride 2; another such
# pooling; two fully connected layers with dropout; two classes. ReLU follows every layer. The fully connected layers
# are written as convolutions, so the same weights score one patch or a whole slice. What the paper does not specify is
# taken from {cite:t}`pereira2016cnn`.

# %%
show_code(TumourCNN.__init__, TumourCNN._run)

# %% tags=["hide-input"]
with torch.device("meta"):
    published_size = TumourCNN(2)
report.figure(
    "architecture",
    architecture_figure(blocks_of(published_size, (2, patch, patch))),
    caption="The network at its published size, drawn from the module: a patch enters "
    "from the left; poolings lie between boxes of different height.",
    alt="Boxes from left to right for six convolutions, two fully connected layers and "
    "the output, with the size of each map below.",
)  # fmt: skip
wide = replace(recipe, neurons=neurons[1])

# %% tags=["remove-input", "hide-output"]
report.table("layers", tables.layer_table(wide, modalities=2), index=False,
             caption="Layers of the deepest and widest network. A cell sees a square "
             "of the image as wide as its field; the smallest image is what a layer "
             "needs to have a cell.")  # fmt: skip

# %% [markdown]
# ### Patches
#
# The network is trained on axial squares of 33 × 33 pixels; the class of a patch is that of its middle pixel. A patient
# is drawn first and a pixel second, so that large tumours do not dominate; 40 % of a batch is tumour. With $\mu$ and
# $\sigma$ the mean and the standard deviation of the training patches, one pair per modality, a patch $x$ enters as
#
# $$ \tilde x = (x - \mu) / \sigma . $$
#
# The paper subtracts "the mean grey levels of the patches" and then runs whole images with the parameters of the
# training phase. A separate mean of each patch cannot be used on a whole slice, hence one $\mu$ for all.

# %%
show_code(PatchSampler.draw, Scaling)

# %% [markdown]
# ### The loss
#
# Cross-entropy of the class $y$ of the middle pixel, over the patches of a batch,
#
# $$ L = - \frac{1}{B} \sum_{b=1}^{B} \log \frac{e^{s_{b, y_b}}}{e^{s_{b, 0}} + e^{s_{b, 1}}} , $$
#
# minimised by stochastic gradient descent.

# %%
show_code(patch_loss)

# %% [markdown]
# ### One step by hand
#
# A batch of the training patients, the untrained network, its loss and the gradient.

# %%
sampler = PatchSampler(
    plain,
    split.train,
    modalities=MODALITIES,
    patch=patch,
    tumour_share=tumour_share,
)
scaling = fit_scaling(sampler, kind="training", seed=seed)
patches, classes = sampler.draw(batch_size, rng(seed, "by hand"))
torch.manual_seed(seed)
network = wide.network(len(MODALITIES))
batch = {"patches": scaling(patches), "classes": classes}
scored = network(batch["patches"])
losses = patch_loss(network, batch)
losses["loss"].backward()
gradient = network.weights["conv1"].weight.grad.norm()
print(f"patches {tuple(patches.shape)}, {int(classes.sum())} of them tumour")
print(f"scores  {tuple(scored.shape)}: two classes, one cell")
print(f"loss    {losses['loss'].item():.3f}; of a coin {math.log(2):.3f}")
print(f"gradient of conv1, length {gradient:.3f}")

# %% tags=["hide-input"]
if report.source == "simulated":
    report.figure(
        "patches", figures.patches_figure(patches, classes, MODALITIES),
        caption="Patches of that batch, simulated patients: tumour in the middle "
        "(above) or not (below).",
        alt="Two rows of small squares of FLAIR images.",
    )  # fmt: skip

# %% [markdown]
# ### Whole slices
#
# Without padding in the convolutions, cell $(i, j)$ of the network's output on a slice is exactly the score of the
# patch around pixel $(4 i, 4 j)$. Pixels in between are interpolated bicubically, as in the paper.

# %%
show_code(slice_probability)

# %% tags=["hide-input"]
models = {arm: tumour_network(encoders.result(arm)) for arm in encoders.arms}
same = compare_with_patches(models["multiple"], plain, split.test[0])
report.value("patch_difference", same.difference, n=same.patches)
report.value("patch_speed", same.one_by_one / same.whole, digits=1)
report.sentence(
    f"Over {same.patches} patches of one slice the largest difference between the two "
    f"probabilities is {same.difference:.1e}; going patch by patch "
    f"takes {report.text('patch_speed')} times as long."
)

# %% [markdown]
# ### After the network
#
# A threshold on the probability, the largest connected region of every slice, and a box filter in three dimensions.
# Patches were chosen so that 40 % are tumour, many times the natural share $\pi$, so the probabilities are too high. By
# Bayes' rule the odds are too high by the factor
#
# $$ \frac{0.4}{0.6} \cdot \frac{1 - \pi}{\pi} . $$
#
# Correcting for this gives the fewest wrong voxels, but a stricter threshold than the best one for the Dice coefficient
# (DSC). The default threshold is therefore the one with the best DSC on training patients.

# %%
show_code(prior_threshold, calibrated_threshold, post_process)

# %% [markdown]
# ## Training
#
# In one run all networks with the same modalities see the same patches. Scores on patches of test patients are shown
# during training; they are not used to choose anything, and the weights of the last step are taken.

# %% tags=["hide-input"]
first_runs = variants.history.query("run == 0")
by_arm = first_runs.groupby("arm", sort=False)
courses = {variants.titles[arm]: part for arm, part in by_arm}
report.figure(
    "curves",
    loss_figure(courses, metric=["loss", "accuracy"], smooth=3, logarithmic=["loss"]),
    caption="Loss and accuracy over the first training of every network; validation "
    "patches are those of test patients.",
    alt="Two panels over the steps of the training, a line for each of five networks.",
)
report.beginning(encoders)

# %% tags=["remove-input", "hide-output"]
report.table("sizes", tables.training_table(variants), index=False,
             digits={"thousand parameters": 0, "at the published size": 0},
             caption="Parameters here and at the published size, and the end of the "
             "training (means of the runs).")  # fmt: skip

# %% [markdown]
# ## Results
#
# ### Depth, width and modalities (Figure 1)
#
# DSC, positive predictive value (PPV) and sensitivity on patients who were not used in training. Intervals resample
# trainings and patients together.

# %% tags=["hide-input"]
shown = found.assign(arm=found["arm"].map(titles))
report.figure(
    "figure1a",
    dot_plot(shown, metrics=METRICS, rows="arm"),
    caption=f"DSC, PPV and sensitivity on {int(ahead['n'])} test patients; means over "
    f"{n_runs} trainings with 95 % intervals (counterpart of Figure 1(a), whose "
    "numbers are not printed).",
    alt="Dots with intervals in three panels, one line per network and rule.",
)
report.table("effects", tables.readable(changes, first="change"), index=False,
             caption="What each change does: paired differences on the same patients, "
             "with 95 % intervals over trainings and patients.")  # fmt: skip

# %% tags=["remove-input", "hide-output"]
report.table("figure1a", tables.readable(shown), index=False,
             caption="The numbers of the figure.")  # fmt: skip

# %% tags=["hide-input"]
by_patient = scores[scores["metric"] == "dice"].pivot_table(
    index="subject",
    columns="arm",
    values="value",
)
both = by_patient[["multiple", "flair"]].dropna()
missed = both < 0.5
report.sentence(
    f"The network has a DSC below one half for {missed['multiple'].sum()} of "
    f"{len(missed)} patients and the threshold for {missed['flair'].sum()}; "
    f"{missed.all(axis=1).sum()} of them are the same patients."
)
if report.source == "simulated":
    one_run = scores.query("arm == 'multiple' and metric == 'dice' and run == 0")
    report.figure(
        "figure1b",
        figures.segmentation_figure(
            plain, figures.typical_patients(one_run),
            {encoders.titles[arm]: model for arm, model in models.items()},
        ),
        caption="Three simulated test patients, at the 10th, 50th and 90th percentile "
        "of the DSC: modalities, reference, and the outlines of two networks "
        "(counterpart of Figure 1(b)).",
        alt="Rows of brain slices with outlines of the reference and the networks.",
    )  # fmt: skip

# %% [markdown]
# ### What the steps after the network do
#
# The first three rows use a threshold of one half. The reference on the network's grid shows how much of the reference
# itself survives interpolation from every fourth pixel.

# %% tags=["hide-input"]
by_step = behind.scores.drop(columns="arm").rename(columns={"step": "arm"})
stages = tables.beside(by_step, STEPS, reference="half", first="step", metrics=["dice"],
                       **resampling)  # fmt: skip
report.table(
    "steps", stages, index=False,
    caption="One training: mean DSC of its test patients (a score for every pixel: the "
    f"first {n_detail}), and paired differences from the box filter at one half.",
)  # fmt: skip
natural = 100 * natural_share(plain, split.train)
report.value("natural_share", natural, unit="%", digits=1)
cut = models["multiple"].threshold
by_bayes = prior_threshold(trained=tumour_share, natural=natural / 100)
report.sentence(
    f"Tumour is {report.text('natural_share')} of the brain and "
    f"{100 * tumour_share:.0f} % of the patches. Bayes' rule asks for a probability of "
    f"{by_bayes:.2f}; the DSC of training patients is best at {cut:.2f}."
)

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
report.measured("variants", changes.rename(columns={"first": "arm", "second": "minus"})
                .drop(columns="change").dropna(subset="value"),
                protocol="leakage-free")  # fmt: skip
sides = {"training": split.train, "test": split.test}
report.measured("patients", pd.DataFrame(
    {"arm": arm, "metric": "patients", "group": "all", "value": len(ids), "n": len(ids)}
    for arm, ids in sides.items()
).assign(low=None, high=None))  # fmt: skip

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | layers besides their number | those of {cite:t}`pereira2016cnn` | the paper modifies that network |
# | filters of the first convolutions | 64, `filters` | the same |
# | whether Fc. 8 is the output layer | no, a hidden one | dropout after each layer would drop classes |
# | padding of the convolutions | none, `padding` | slices and patches then agree exactly |
# | which mean is subtracted | that of the training patches, `normalisation` | whole images are run with it |
# | what "normalised variance" means | one standard deviation per modality, of training patches | the same |
# | size of a voxel | `spacing`; that of the scanner in `paper` | resampling is not mentioned |
# | field of view of a patch | 33 pixels, so it grows with the pixel | pixels of the published size only in `paper` |
# | how many of the second cohort train | as many as of the first, `n_train` | not mentioned |
# | non-tumour patches | anywhere in the brain | only the share is given |
# | which patients the patches come from | every patient equally often | not mentioned |
# | learning rate, momentum, batch, steps, schedule | `learning_rate` and the others | only SGD is named |
# | share dropped out | one half, `dropout` | not mentioned |
# | loss | cross-entropy | not mentioned |
# | threshold | best DSC of training patients, `threshold` | not mentioned; others are compared |
# | neighbours of a region | eight | not mentioned |
# | size of the box filter | `smoothing` voxels | not mentioned |
# | which patients of a cohort train | random, IDH classes in proportion | not mentioned |
#
# ## Limits
#
# - In the default profile voxels are coarser than the paper's and networks smaller. A patch then shows a larger part of
#   the head than the paper's 15 mm.
# - All trainings of a network share their patients.
# - The reference of the simulation is the truth; the paper's is the drawing of two neurosurgeons.
# - The networks are 2D: every slice is judged without its neighbours.
# - Real patients are those of TCGA: grades II and III, thick slices, no stored voxel size, tumour outlined by hand on
#   FLAIR.
#
# ## Try it
#
# 1. *How much does the threshold matter?* Change `thresholds` and run the cell again.

# %%
thresholds = [0.3, 0.5, 0.7, 0.9]
some = split.test[:n_detail]
for value in thresholds:
    table = score_network(replace(models["multiple"], threshold=value), plain, some)
    mean = table.loc[table["metric"] == "dice", "value"].mean()
    print(f"above {value:.1f}: DSC {mean:.3f}")

# %% [markdown]
# 2. *Does it help to show the network more tumour?* Change `share` and compare the threshold that is chosen. A short
#    training takes seconds.

# %%
share = 0.1
short = replace(recipe, tumour_share=share, steps=min(40, n_steps), n_calibrated=4)
other, _ = train_network(plain, split.train, modalities=MODALITIES, recipe=short,
                         seed=seed, name="short")  # fmt: skip
table = score_network(other, plain, some)
mean = table.loc[table["metric"] == "dice", "value"].mean()
print(f"{100 * share:.0f} % tumour: threshold {other.threshold:.2f}, DSC {mean:.3f}")

# %% [markdown]
# ## Summary

# %% tags=["remove-input"]
report.sentence(answer)

# %% tags=["remove-input"]
report.finish()
