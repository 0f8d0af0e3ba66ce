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
grid: list[int] = [96, 96, 64]  # voxels of the common grid
spacing: float = 2.25  # edge of a voxel, mm
memory_mapped: bool = False  # images in files instead of memory, for cohorts that do not fit
n_train: int = 60  # training patients of the first cohort; the others are tested
n_compared: int = 24  # test patients to whom all trainings are applied, not the first alone
n_runs: int = 2  # trainings of every variant
filters: list[int] = [16, 32]  # of the convolutions before and after the first pooling (64 and 128 in the paper)
neurons: list[int] = [16, 256]  # of the fully connected layers, narrow and wide (256 and 4096 in the paper)
patch: int = 33  # edge of a patch, pixels
tumour_share: float = 0.4  # share of patches around tumour
normalisation: str = "training"  # of patches: training, local or patch
padding: str = "valid"  # of the convolutions: valid or same
dropout: float = 0.5  # behind each fully connected layer
steps: int = 240  # updates of a training
batch_size: int = 64  # patches a batch
learning_rate: float = 0.03  # of SGD, at its highest
momentum: float = 0.9  # of SGD
schedule: str = "one_cycle"  # of the learning rate
smoothing: int = 3  # edge of the 3D box filter, voxels
n_detail: int = 4  # test patients for a score for every pixel and for the normalisations
n_real: int = 6  # real subjects, at most
n_real_folds: int = 3  # folds of the real subjects; 0 trains on none
tuning_steps: int = 60  # updates of a simulated network on real subjects
n_boot: int = 2000  # resamples of every bootstrap

# %% tags=["hide-input"]
from functools import partial

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.core.paths import data_root
from radlib.data.sources import open_cohort
from radlib.data.store import prepare
from radlib.papers.across.idh import planted_traits
from radlib.papers.li2017 import segmentation as seg
from radlib.papers.li2017 import segmentation_figures as figures
from radlib.papers.li2017 import segmentation_ledger as ledger
from radlib.papers.li2017 import segmentation_real as real
from radlib.papers.li2017 import segmentation_results as results
from radlib.papers.li2017 import segmentation_study as study
from radlib.stats.segmentation import subject_mean

report = Report.start("tumour_cnn", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# The role is `huashan`: glioma of grade II, FLAIR of all patients and contrast-enhanced T1 of the first cohort. The
# paper trains on 60 patients of the first cohort and tests on the other 59 {cite}`li2017dlr`; so does this chapter,
# with the IDH classes in proportion. The reference is the whole tumour. Images are standardised within the brain and
# brought to one grid.

# %%
data = open_cohort("huashan", cohort=cohort, profile=profile)
split = seg.divide(data, n_train=n_train, seed=seed)
compared, detail = split.test[:n_compared], split.test[:n_detail]
images = prepare(
    data, modalities=seg.MODALITIES, grid=grid, spacing=spacing, ids=[*split.train, *split.test],
    cache=report.directory / "images" if memory_mapped else None,
)  # fmt: skip
report.table("cohort", results.cohort_table(data, split, images), index=False,
             caption="The patients, and the paper's first cohort by Table 1 (mean ± deviation).")  # fmt: skip

# %% [markdown]
# ## Method
#
# **Network.** Convolutions of 3 x 3, half of them before and half after a pooling of 3 x 3 with stride 2; another such
# pooling; two fully connected layers with dropout; two classes. ReLU throughout. The paper counts convolutions and the
# two fully connected layers as Conv. 1 to Fc. 8. The layers and sizes that it leaves out are those of the network it
# starts from {cite}`pereira2016cnn`.
#
# **Patches.** Axial squares of 33 x 33 pixels; the class is that of the middle pixel. A patient is drawn first and a
# pixel second, so that large tumours do not rule; 40 % of a batch is tumour. With $\mu$ and $\sigma$ the mean and the
# standard deviation of the training patches, a patch enters as $(x - \mu) / \sigma$, one pair a modality.
#
# **Whole slices.** Fully connected layers are convolutions with the same weights, so a network runs on an image of any
# size at once. Without padding in the convolutions, cell $(i, j)$ of its output is exactly the score of the patch
# around pixel $(4 i, 4 j)$. Pixels in between are interpolated bicubically. This needs a normalisation that a whole
# slice can have. Taking from every patch its *own* mean is not one: a pixel would have another value in every patch
# that holds it. The paper runs whole images with the parameters of the training phase {cite}`li2017dlr`, hence $\mu$
# above; the other readings are compared below.
#
# **After the network.** Probability above one half, the largest connected region of every slice, and a box filter in
# three dimensions.

# %%
recipe = seg.Recipe(
    filters=tuple(filters), neurons=neurons[1], patch=patch, dropout=dropout, padding=padding,
    tumour_share=tumour_share, normalisation=normalisation, steps=steps, batch_size=batch_size,
    learning_rate=learning_rate, momentum=momentum, schedule=schedule, smoothing=smoothing,
)  # fmt: skip
store = seg.network_input(images, recipe.normalisation, patch=patch)
report.table("layers", results.layer_table(recipe, modalities=2), index=False,
             caption="Layers of the deepest and widest network. A cell sees a square of the image as wide as its "
             "field; the smallest image is what a layer needs to have a cell.")  # fmt: skip

# %% [markdown]
# ## Training
#
# Stochastic gradient descent on cross-entropy. In a run all networks with the same modalities see the same patches.
# Test patients' patches are shown along the course; they decide nothing, the weights of the last step are used.

# %% tags=["trainings", "hide-input"]
folder = report.directory / "checkpoints"
trainings = {
    f"{variant.key}, run {number + 1}": partial(
        study.train_variant, variant, store, split.train, test=split.test, recipe=recipe, neurons=tuple(neurons),
        number=number, seed=seed, folder=folder,
    )
    for variant in study.VARIANTS
    for number in range(n_runs)
}  # fmt: skip

# %%
outcomes = {
    variant.key: study.run_variant(
        variant, store, split.train, test=split.test, compared=compared, recipe=recipe, neurons=tuple(neurons),
        n_runs=n_runs, seed=seed, folder=folder,
    )
    for variant in study.VARIANTS
}  # fmt: skip

# %% tags=["hide-input"]
report.figure(
    "curves",
    figures.curves_figure(study.histories(outcomes)),
    caption="Course of the first training of every network; unseen patches are those of test patients.",
    alt="Loss and accuracy over the steps of the training, three panels, a line for each of five networks.",
)
report.table("sizes", results.size_table(outcomes, neurons=tuple(neurons)), index=False,
             digits={"thousand parameters": 0, "at the published size": 0, "training (s)": 1, "steps a second": 1},
             caption="Parameters here and at the published size (its filters 64 and 128 are those of the network it "
             "starts from), the end of the training, and times on this machine.")  # fmt: skip

# %% [markdown]
# ## Figure 1(a): depth, width and modalities
#
# DSC, PPV and sensitivity on patients whom no training saw. Two rules that need no network stand beside: tumour is
# where FLAIR is brighter than a threshold chosen on the training patients (with the same morphology), and tumour is
# the whole brain.

# %% tags=["hide-input"]
rule = study.fit_flair_rule(images, split.train)
rules = study.score_rules(images, rule, split.test, smoothing=smoothing)
tables = {outcome.title: outcome.scores for outcome in outcomes.values()}
tables |= {str(name): part for name, part in rules.groupby("rule", sort=False)}
found = results.scores(tables, n_boot=n_boot, seed=seed)
report.figure(
    "figure1a",
    figures.score_figure(found),
    caption=f"DSC, PPV and sensitivity on {len(split.test)} test patients, means with 95 % intervals over patients "
    "(counterpart of Figure 1(a), whose numbers are not printed).",
    alt="Five networks and two rules with dots and intervals for DSC, PPV and sensitivity.",
)
report.table("figure1a", results.readable(found), index=False, caption="The same as numbers.")

# %% tags=["hide-input"]
final, single = outcomes[study.MULTIPLE.key], outcomes[study.SINGLE.key]
for name, outcome in (("multiple", final), ("single", single)):
    for metric in seg.METRICS:
        mean = subject_mean(outcome.scores, metric, n_boot=n_boot, seed=seed)
        report.value(f"{name}_{metric}", **mean.as_dict())
report.sentence(
    f"The paper's network ({final.title}) has a DSC of {report.text('multiple_dice')}, a PPV of "
    f"{report.text('multiple_ppv')} and a sensitivity of {report.text('multiple_sensitivity')} on {len(split.test)} "
    f"patients; from FLAIR alone the DSC is {report.text('single_dice')}."
)

# %% [markdown]
# ### Which change is a gain?
#
# Paired differences on the same patients. Every resample of the intervals draws trainings and patients: a difference
# that another training could turn is not one of architectures.

# %% tags=["hide-input"]
changes = results.effects(outcomes, n_boot=n_boot, seed=seed)
report.figure(
    "effects",
    figures.effect_figure(changes),
    caption=f"What each change does, {n_runs} trainings a network, {len(compared)} patients.",
    alt="Dots with intervals around zero for six changes, three panels.",
)
report.table("effects", results.readable_effects(changes), index=False, caption="The same as numbers.")
report.sentence(results.effect_sentence(changes))

# %% tags=["hide-input"]
against = results.network_against_rule(final, rules, n_boot=n_boot, seed=seed)
report.value("ahead_of_rule", **against.as_dict())
mismatch = planted_traits(data)["t2_flair_mismatch"] if report.source == "simulated" else None
misses = results.misses_sentence(final, rules, mismatch=mismatch)
report.sentence(
    f"The DSC of {final.title} minus that of the FLAIR threshold ({rule.threshold:.1f} standard deviations above the "
    f"brain's mean) is {report.text('ahead_of_rule')} on the same patients. {misses}"
)
volumes = {subject: float(seg.truth_of(images, subject).sum()) * spacing**3 / 1000 for subject in split.test}
report.figure(
    "volumes",
    figures.patient_figure({name: tables[name] for name in (single.title, final.title, rule.title)}, volumes),
    caption="DSC of every test patient against the volume of the tumour.",
    alt="A cloud of points, a colour a method, DSC rising with the tumour's volume.",
)

# %% [markdown]
# ### Figure 1(b): cases
#
# Patients at the 10th, 50th and 90th percentile of the two-modality network's DSC. Simulated ones only: on real
# subjects the book gives numbers and no pictures.

# %% tags=["hide-input"]
if report.source == "simulated":
    pair = {single.title: single, final.title: final}
    report.figure(
        "figure1b",
        figures.case_figure(
            images,
            figures.typical_patients(final.scores.query("run == 0")),
            {name: outcome.masks for name, outcome in pair.items()},
            {name: outcome.scores for name, outcome in pair.items()},
        ),
        caption="The slice with most tumour of three simulated test patients: modalities, reference, and the outlines "
        "of the networks with one and two modalities (counterpart of Figure 1(b)).",
        alt="Rows of brain slices with the outline of the reference and of the segmentation.",
    )

# %% [markdown]
# ## A slice at once and patch by patch
#
# The trained network on one slice, in full precision, both ways.

# %% tags=["hide-input"]
if normalisation != "patch":
    same = study.compare_with_patches(final.runs[0].model, store, split.test[0])
    report.value("patch_difference", same.difference, n=same.patches)
    report.value("patch_speed", same.one_by_one / same.whole, digits=1)
    report.sentence(
        f"Over {same.patches} patches of the slice the largest difference of the probabilities is "
        f"{same.difference:.1e}; the slice at once takes {1000 * same.whole:.0f} ms, its patches one by one "
        f"{report.text('patch_speed')} times as long."
    )

# %% [markdown]
# ## What follows the network
#
# Each step of the paper's procedure, and two that it does not have. Patches were chosen so that 40 % are tumour
# {cite}`li2017dlr`, several times the natural share, so a probability of one half is reached too early; Bayes' rule
# gives the threshold that undoes it. A score for every pixel, from shifted copies of the slice, shows what
# interpolating from every fourth pixel costs; the last line is what it leaves of the reference itself, known at
# these pixels alone.

# %% tags=["hide-input"]
natural = study.natural_share(images, split.train)
behind = study.step_scores(final.runs[0].model, store, compared, natural=natural, dense=detail)
stages = results.differences(behind, method="step", reference=study.AS_PUBLISHED, n_boot=n_boot, seed=seed)
report.table(
    "steps",
    stages,
    index=False,
    caption="Means over test patients, and paired differences from the published procedure on the same patients.",
)
report.value("natural_share", 100 * natural, unit="%", digits=1)
report.sentence(
    f"Tumour is {report.text('natural_share')} of the brain in the training patients. "
    + results.difference_sentence(stages, method="step", reference=study.AS_PUBLISHED)
)

# %% [markdown]
# ## Normalisation
#
# The same network and patches with the mean of all training patches, with the mean of the patch around every pixel (a
# box filter, exact on whole slices), and with every patch's own mean (exact only patch by patch, which is how its
# slices are run).

# %% tags=["hide-input"]
readings = study.normalisation_scores(
    images, split.train, detail, modalities=seg.MODALITIES, recipe=recipe, seed=final.runs[0].seed, known=final.runs[0]
)
by_reading = results.differences(readings, method="normalisation", reference="training", n_boot=n_boot, seed=seed)
report.table(
    "normalisation",
    by_reading,
    index=False,
    caption=f"One training each, {len(detail)} test patients: means, and paired differences from the first reading.",
)
times = readings.groupby("normalisation")["seconds"].median()
report.sentence(
    results.difference_sentence(by_reading, method="normalisation", reference="training")
    + f" A patient takes {times['training']:.2f} s on whole slices and {times['patch']:.1f} s patch by patch."
)

# %% [markdown]
# ## Real subjects
#
# Subjects of BraTS 2015 with FLAIR and T1c {cite}`menze2015brats`, if they lie under the data root: by networks that
# have only seen this run's cohort, by networks trained from the start on some of them and tested on others, and by
# simulated networks tuned on some and tested on others, as the paper's discussion proposes for other scanners. They
# are few and of high grade: this shows whether anything carries over.

# %% tags=["hide-input"]
root = data_root()
there = None if root is None else real.real_store(root, like=images, most=n_real)
if there is None:
    report.note("No real subjects with FLAIR and T1c alone lie under a data root (RADLIB_DATA), so there is nothing to "
                "test on here.")  # fmt: skip
else:
    measured = real.real_scores(
        there, simulated=results.kept_trainings(outcomes), rule=rule, recipe=recipe, tuning_steps=tuning_steps,
        n_folds=n_real_folds, seed=seed,
    )  # fmt: skip
    shown = results.real_table(measured)
    report.table("real", shown, index=False, caption="Whole tumour on real subjects: every subject counts once.")
    report.figure("real", figures.real_figure(measured), caption="DSC of every real subject and the mean.",
                  alt="Dots between 0 and 1, a line a method.")  # fmt: skip
    report.sentence(results.real_sentence(shown))

# %% [markdown]
# ## Time
#
# The paper names 38 hours of training, 18 minutes for the segmentation of a patient, 40 to 80 seconds for the features
# and 2 seconds for their encoding, on a Quadro 600 {cite}`li2017dlr`. Here are the stages of this run's network for two
# modalities, on the device in the banner; `benchmarks/li2017.py` times them alone, at this or the published size.

# %% tags=["hide-input"]
spent = study.feature_times(final.runs[0], store, detail[:2], seed=seed)
report.table("times", ledger.time_table(outcomes, spent=spent), index=False, digits=2,
             caption="Seconds of every stage, and the published times of a larger network.")  # fmt: skip

# %% [markdown]
# ## Weights for the next chapter

# %% tags=["hide-input"]
for training in results.kept_trainings(outcomes).values():
    name = "_".join(training.model.modalities)
    seg.save_training(report.directory / "weights" / f"{name}.safetensors", training, store=store, test=split.test)
report.sentence(
    "The first networks for one and for two modalities are kept as safetensors in `weights/` of the run directory, "
    "with their scaling and the patients they were trained on. *Fisher-vector features* takes their filters' answers."
)

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
ledger.record(report, outcomes=outcomes, found=found, changes=changes, split=split, recipe=recipe,
               neurons=tuple(neurons), spent=spent)  # fmt: skip

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
# | size of a pixel | that of the grid, `spacing` | resampling is not mentioned |
# | non-tumour patches | anywhere in the brain | only the share is given |
# | which patients the patches come from | every patient as often | not mentioned |
# | learning rate, momentum, batch, steps, schedule | `learning_rate` and the others | only SGD is named |
# | share dropped out | one half, `dropout` | not mentioned |
# | loss | cross-entropy | not mentioned |
# | threshold | one half | not mentioned |
# | neighbours of a region | eight | not mentioned |
# | size of the box filter | `smoothing` voxels | not mentioned |
# | who of the first cohort trains | random, IDH classes in proportion | not mentioned |
#
# ## Limits
#
# - In the default profile the cohort is simulated, its voxels are coarser than the paper's pixels, and networks and
#   trainings are small. Absolute DSC says how hard the simulation is for them.
# - With few trainings a variant, the interval of a difference knows little about other trainings; trainings share
#   their patients.
# - Most simulated low-grade tumours are bright on FLAIR throughout, which favours a threshold; T1c adds little where
#   hardly anything takes up contrast.
# - The reference of the simulation is the truth; the paper's is two neurosurgeons' drawing.
# - The networks are 2D: a slice beyond the end of a tumour is judged by itself.
# - The real subjects have high-grade tumours of another shape and contrast, and are too few for an interval.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(
    f"{final.title} reaches a DSC of {report.text('multiple_dice')} on {len(split.test)} test patients "
    f"({report.source} cohort); minus that of a threshold on FLAIR it is {report.text('ahead_of_rule')}. "
    + results.effect_sentence(changes)
)

# %% tags=["remove-input"]
report.finish()
