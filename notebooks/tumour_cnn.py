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
# **The claims.** {cite:t}`li2017dlr` take features for IDH1 from a network that segments the tumour. They deepen the
# patch-based CNN of {cite:t}`pereira2016cnn` from four to six convolutions and widen its fully connected layers from
# 256 to 4096 neurons, and state that depth, width and a second modality each make the segmentation of low-grade glioma
# better: the deepest and widest network on FLAIR and contrast-enhanced T1 is best. Figure 1(a) shows it; the numbers
# are in a supplement.
#
# **What this chapter does.** It trains the five networks, several times each, on patches of one half of the patients,
# runs them on whole slices of the other half, and asks which of the three changes is larger than the luck of a
# training and of the patients. A threshold on FLAIR stands beside them. It then takes apart what follows the network
# (interpolation, morphology, the unbalanced selection of patches), compares three readings of the paper's
# normalisation, and applies the networks to real subjects. The trained networks are kept for the chapter on Fisher
# vectors.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
grid: list[int] = [112, 112, 40]  # voxels of the common grid
spacing: list[float] = [1.875, 1.875, 4.0]  # edges of a voxel, mm (published 0.4688, 0.4688, 2)
memory_mapped: bool = False  # images in files, for cohorts that do not fit into memory
n_train: int = 60  # training patients of a cohort; the others are tested
n_runs: int = 5  # trainings of every network
filters: list[int] = [16, 32]  # before and after the first pooling (published 64, 128)
neurons: list[int] = [16, 256]  # fully connected, narrow and wide (published 256, 4096)
patch: int = 33  # edge of a patch, pixels
tumour_share: float = 0.4  # share of patches around tumour
normalisation: str = "training"  # of patches: training or patch
padding: str = "valid"  # of the convolutions: valid or same
dropout: float = 0.5  # behind each fully connected layer
n_steps: int = 400  # updates of a training
batch_size: int = 64  # patches a batch
learning_rate: float = 0.03  # of SGD, at its highest
momentum: float = 0.9  # of SGD
schedule: str = "one_cycle"  # of the learning rate
threshold: str = "dice"  # of the probability: half, natural, or dice (calibrated)
smoothing: int = 3  # edge of the 3D box filter, voxels
unet_steps: int = 0  # updates of the U-Net that stands beside real patients; 0 for none
n_detail: int = 4  # test patients for a score for every pixel
second: str = "share"  # the second cohort has the paper's share of the first (share), or all of it (all)
n_folds: int = 0  # folds by patient in which segmentation is tested; 0 for the paper's one division
n_boot: int = 2000  # resamples of every bootstrap

# %% tags=["hide-input"]
import pandas as pd

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.papers.li2017 import figures, tables
from radlib.papers.li2017.data import natural_share, truth_of
from radlib.papers.li2017.segmentation import (
    METRICS,
    compare_with_patches,
)
from radlib.papers.li2017.study import CHANGES, STEPS, tumour_network
from radlib.phantom.planted import planted_traits
from radlib.plots.curves import curve_figure, loss_figure
from radlib.plots.dots import dot_plot
from radlib.stats.tables import format_interval
from radlib.study.estimates import contrasts, estimates

report = Report.start("tumour_cnn", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# The role is `huashan`: glioma of grade II, FLAIR of all patients and contrast-enhanced
# T1 of the first cohort. The paper trains on 60 patients of the first cohort and tests
# on the other 59 {cite}`li2017dlr`; so does this chapter, with the IDH classes in
# proportion. The reference is the whole tumour. Images are standardised within the
# brain and brought to one grid.

# %% tags=["study"]
from dataclasses import replace

from radlib.papers.li2017.data import MODALITIES
from radlib.papers.li2017.study import Setting
from radlib.study.cohorts import Images, Source

images = Images(
    source=Source("huashan", cohort, profile, seed), modalities=MODALITIES,
    grid=tuple(grid), spacing=tuple(spacing), memory_mapped=memory_mapped,
)  # fmt: skip
# One division trains the networks whose features are taken, as in the paper.
one_division = Setting(images=images, n_train=n_train, seed=seed, second=second)
setting = replace(one_division, n_folds=n_folds)

# %%
data, split, plain = images.source.open(), setting.split(), setting.store()
report.table("cohort", tables.cohort_table(data, split, plain), index=False,
             caption="The patients, and the paper's first cohort by Table 1 "
             "(mean ± deviation).")  # fmt: skip

# %% [markdown]
# ## Method
#
# **Network.** Convolutions of 3 x 3, half of them before and half after a pooling of
# 3 x 3 with stride 2; another such pooling; two fully connected layers with dropout; two
# classes. ReLU throughout. The paper counts convolutions and the two fully connected
# layers as Conv. 1 to Fc. 8. The layers and sizes that it leaves out are those of the
# network it starts from {cite}`pereira2016cnn`.
#
# **Patches.** Axial squares of 33 x 33 pixels; the class is that of the middle pixel. A
# patient is drawn first and a pixel second, so that large tumours do not rule; 40 % of a
# batch is tumour. With $\mu$ and $\sigma$ the mean and the standard deviation of the
# training patches, a patch enters as $(x - \mu) / \sigma$, one pair a modality.
#
# **Whole slices.** Fully connected layers are convolutions with the same weights, so a
# network runs on an image of any size at once. Without padding in the convolutions, cell
# $(i, j)$ of its output is exactly the score of the patch around pixel $(4 i, 4 j)$.
# Pixels in between are interpolated bicubically. This needs a normalisation that a whole
# slice can have. Taking from every patch its *own* mean is not one: a pixel would have
# another value in every patch that holds it. The paper runs whole images with the
# parameters of the training phase {cite}`li2017dlr`, hence $\mu$ above; the other
# readings are compared below.
#
# **After the network.** A threshold on the probability, the largest connected region of
# every slice, and a box filter in three dimensions. Patches were chosen so that 40 % are
# tumour, several times the natural share $\pi$, so a probability of one half is reached
# too early. By Bayes' rule the odds are too high by
# $\frac{0.4}{0.6} \frac{1 - \pi}{\pi}$, and the threshold undoes that (`threshold`).

# %% tags=["study"]
from radlib.papers.li2017.study import (
    SECOND,
    VARIANTS,
    Recipe,
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

# %%
wide = replace(recipe, neurons=neurons[1])
report.table("layers", tables.layer_table(wide, modalities=2), index=False,
             caption="Layers of the deepest and widest network. A cell sees a square of "
             "the image as wide as its field; the smallest image is what a layer needs "
             "to have a cell.")  # fmt: skip

# %% [markdown]
# ## Training
#
# Stochastic gradient descent on cross-entropy. In a run all networks with the same
# modalities see the same patches. Test patients' patches are shown along the course;
# they decide nothing, the weights of the last step are used.

# %%
for study in (variants, beside, encoders, behind):
    report.study(study)

# %% tags=["hide-input"]
first_runs = variants.history.query("run == 0")
courses = {variants.titles[arm]: part for arm, part in first_runs.groupby("arm")}
report.figure(
    "curves",
    loss_figure(courses, metric=["loss", "accuracy"], smooth=3, logarithmic=["loss"]),
    caption="Course of the first training of every network; validation patches are those of test patients.",
    alt="Loss and accuracy over the steps of the training, two panels, a line for each of five networks.",
)
report.table("sizes", tables.training_table(variants), index=False,
             digits={"thousand parameters": 0, "at the published size": 0,
                     "training (s)": 1, "steps a second": 1},
             caption="Parameters here and at the published size (its filters 64 and 128 "
             "are those of the network it starts from), the end of the training, and "
             "times where it was computed.")  # fmt: skip

# %%
report.beginning(variants)

# %% [markdown]
# ## Figure 1(a): depth, width and modalities
#
# DSC, PPV and sensitivity on patients whom no training saw. Two rules that need no
# network stand beside: tumour is where FLAIR is brighter than a threshold chosen on the
# training patients (with the same morphology), and tumour is the whole brain.

# %% tags=["hide-input"]
scores = pd.concat([variants.scores, beside.scores], ignore_index=True)
titles = variants.titles | beside.titles
resampling = {"n_boot": n_boot, "seed": seed}
found = estimates(scores, metrics=METRICS, **resampling)
shown = found.assign(arm=found["arm"].map(titles))
report.figure(
    "figure1a",
    dot_plot(shown, metrics=METRICS, rows="arm"),
    caption=f"DSC, PPV and sensitivity on {len(split.test)} test patients; means over "
    f"{n_runs} trainings with 95 % intervals over trainings and patients (counterpart of "
    "Figure 1(a), whose numbers are not printed).",
    alt="Five networks and two rules with dots and intervals for DSC, PPV and sensitivity.",
)
report.table("figure1a", tables.readable(shown), index=False,
             caption="The same as numbers.")  # fmt: skip

# %% tags=["hide-input"]
for arm, name in (("multiple", "multiple"), ("conv6_wide", "single")):
    for row in found[found["arm"] == arm].to_dict("records"):
        kept = {key: row[key] for key in ("value", "low", "high", "n")}
        report.value(f"{name}_{row['metric']}", **kept)
report.sentence(
    f"The paper's network ({titles['multiple']}) has a DSC of "
    f"{report.text('multiple_dice')}, a PPV of {report.text('multiple_ppv')} and a "
    f"sensitivity of {report.text('multiple_sensitivity')} on {len(split.test)} "
    f"patients; from FLAIR alone the DSC is {report.text('single_dice')}."
)

# %% [markdown]
# ### Which change is a gain?
#
# Paired differences on the same patients. Every resample of the intervals draws
# trainings and patients: a difference that another training could turn is not one of
# architectures.

# %% tags=["hide-input"]
changes = contrasts(scores, list(CHANGES.values()), metrics=METRICS, **resampling)
changes.insert(0, "change", changes[["first", "second"]].apply(tuple, axis=1))
changes["change"] = changes["change"].map({pair: key for key, pair in CHANGES.items()})
report.figure(
    "effects",
    dot_plot(changes, metrics=METRICS, rows="change", xlabel="gain in {}",
             references=[("no difference", 0.0)]),
    caption=f"What each change does, {n_runs} trainings a network, "
    f"{len(split.test)} patients.",
    alt="Dots with intervals around zero for six changes, three panels.",
)  # fmt: skip
report.table("effects", tables.readable(changes, first="change"), index=False,
             caption="The same as numbers.")  # fmt: skip
dsc = changes[changes["metric"] == "dice"]
gains = "; ".join(f"*{row.change}* {format_interval(row.value, row.low, row.high)}" for row in dsc.itertuples())
report.sentence(f"Change of the DSC: {gains}.")

# %% tags=["hide-input"]
ahead = contrasts(scores, [("multiple", "flair")], metrics=METRICS, **resampling)
best = ahead.iloc[0]
report.value("ahead_of_rule", best["value"], low=best["low"], high=best["high"],
             n=int(best["n"]))  # fmt: skip
cut = beside.result("flair").notes["threshold"]
report.sentence(
    f"The DSC of {titles['multiple']} minus that of the FLAIR threshold ({cut:.1f} "
    "standard deviations above the brain's mean) is "
    f"{report.text('ahead_of_rule')} on the same patients."
)
by_patient = scores[scores["metric"] == "dice"].pivot_table(index="subject", columns="arm", values="value")
missed = by_patient[["multiple", "flair"]] < 0.5
both = missed.all(axis=1)
report.sentence(
    f"A DSC below 0.5 is that of {missed['multiple'].sum()} of {len(missed)} patients "
    f"with the network and of {missed['flair'].sum()} with the threshold, {both.sum()} "
    "of them the same."
)
if data.truth is not None:
    dark = planted_traits(data)["t2_flair_mismatch"].loc[missed.index] > 0.5
    report.sentence(
        f"{dark.sum()} test patients were simulated with a T2-FLAIR mismatch above one "
        "half (dark on FLAIR inside). They are "
        f"{(missed['flair'] & dark).sum()} of those that the threshold misses and "
        f"{(missed['multiple'] & dark).sum()} of those that the network misses."
    )

# %% tags=["hide-input"]
volume = {s: float(truth_of(plain, s).sum()) * plain.voxel_ml for s in split.test}
cloud = by_patient[["conv6_wide", "multiple", "flair"]].melt(ignore_index=False)
cloud = cloud.reset_index().assign(method=lambda t: t["arm"].map(titles))
report.figure(
    "volumes",
    curve_figure(
        cloud.assign(volume=cloud["subject"].map(volume)), x="volume", colour="method",
        style="points", logarithmic=True, xlabel="tumour volume (ml)", ylabel="Dice",
    ),
    caption="DSC of every test patient (mean of the trainings) against the volume of "
    "the tumour.",
    alt="A cloud of points, a colour a method, Dice against the tumour's volume.",
)  # fmt: skip

# %% [markdown]
# ### Figure 1(b): cases
#
# Patients at the 10th, 50th and 90th percentile of the two-modality network's DSC.
# Simulated ones only: on real subjects the book gives numbers and no pictures.

# %% tags=["hide-input"]
models = {"second": tumour_network(encoders.result("second")),
          "multiple": tumour_network(encoders.result("multiple"))}  # fmt: skip
store = plain
if report.source == "simulated":
    one_run = scores.query("arm == 'multiple' and metric == 'dice' and run == 0")
    report.figure(
        "figure1b",
        figures.segmentation_figure(
            store, figures.typical_patients(one_run),
            {encoders.titles[arm]: model for arm, model in models.items()},
        ),
        caption="The slice with most tumour of three simulated test patients: "
        "modalities, reference, and the outlines of the networks with one and two "
        "modalities (counterpart of Figure 1(b)).",
        alt="Rows of brain slices with the outline of the reference and of the "
        "segmentation.",
    )  # fmt: skip

# %% [markdown]
# ## A slice at once and patch by patch
#
# The trained network on one slice, in full precision, both ways.

# %% tags=["hide-input"]
if normalisation != "patch":
    same = compare_with_patches(models["multiple"], store, split.test[0])
    report.value("patch_difference", same.difference, n=same.patches)
    report.value("patch_speed", same.one_by_one / same.whole, digits=1)
    report.sentence(
        f"Over {same.patches} patches of the slice the largest difference of the "
        f"probabilities is {same.difference:.1e}; the slice at once takes "
        f"{1000 * same.whole:.0f} ms, its patches one by one "
        f"{report.text('patch_speed')} times as long."
    )

# %% [markdown]
# ## What follows the network
#
# Each step of the paper's procedure, and two that it does not have. The first three take
# a probability above one half. The fourth undoes the selection of patches. A score for
# every pixel, from shifted copies of the slice, shows what interpolating from every
# fourth pixel costs; the reference seen on the network's grid is what it leaves of the
# reference itself, known at these pixels alone.

# %% tags=["hide-input"]
by_step = behind.scores.drop(columns="arm").rename(columns={"step": "arm"})
stages = tables.beside(by_step, STEPS, reference="half", first="step", **resampling)
report.table(
    "steps",
    stages,
    index=False,
    caption=f"Means over {n_runs} trainings and test patients (a score for every pixel: "
    f"the first {n_detail}), and paired differences from the box filter at one half.",
)
natural = 100 * natural_share(plain, split.train)
report.value("natural_share", natural, unit="%", digits=1)
gap = stages.set_index("step")["Dice, difference"]
report.sentence(
    f"Tumour is {report.text('natural_share')} of the brain in the training patients, "
    f"{100 * tumour_share:.0f} % of the patches. The threshold for the natural share "
    f"changes the DSC by {gap[STEPS['natural']]}, the calibrated one by "
    f"{gap[STEPS['calibrated']]}."
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
# | whether Fc. 8 is the layer of the classes | no, a hidden one | dropout behind each layer would drop classes |
# | padding of the convolutions | none, `padding` | slices and patches then agree exactly |
# | which mean is taken away | that of the training patches, `normalisation` | whole images are run with it |
# | what "normalised variance" means | a standard deviation a modality, of training patches | the same |
# | size of a pixel | that of the grid, `spacing`, along all axes | resampling is not mentioned |
# | field of view of a patch | 33 pixels: 74 mm here, 33 mm in `paper` | 15.5 mm if it is not resampled |
# | who trains the network for FLAIR alone | the first cohort | the paper says the second; here both share patients |
# | non-tumour patches | anywhere in the brain | only the share is given |
# | which patients the patches come from | every patient as often | not mentioned |
# | learning rate, momentum, batch, steps, schedule | `learning_rate` and the others | only SGD is named |
# | share dropped out | one half, `dropout` | not mentioned |
# | loss | cross-entropy | not mentioned |
# | threshold | that of the natural share, `threshold` | not mentioned; both are compared |
# | neighbours of a region | eight | not mentioned |
# | size of the box filter | `smoothing` voxels | not mentioned |
# | who of the first cohort trains | random, IDH classes in proportion | not mentioned |
#
# ## Limits
#
# - In the default profile the cohort is simulated, its voxels are coarser than the paper's pixels, and networks and
#   trainings are small. Absolute DSC says how hard the simulation is for them.
# - Trainings of a variant share their patients.
# - Most simulated low-grade tumours are bright on FLAIR throughout, which favours a threshold; T1c adds little where
#   hardly anything takes up contrast.
# - The reference of the simulation is the truth; the paper's is two neurosurgeons' drawing.
# - The networks are 2D: a slice beyond the end of a tumour is judged by itself.
# - The real subjects have high-grade tumours of another shape and contrast, and are too few for an interval.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(
    f"{titles['multiple']} reaches a DSC of {report.text('multiple_dice')} on "
    f"{len(split.test)} test patients ({report.source} cohort, {n_runs} trainings); "
    f"minus that of a threshold on FLAIR it is {report.text('ahead_of_rule')}. Change of "
    f"the DSC: {gains}."
)

# %% tags=["remove-input"]
report.finish()
