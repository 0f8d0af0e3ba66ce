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
# # Side by side
#
# **The question.** The papers compare themselves with others, each on its own patients and in its own way
# ({cite:t}`islam2020radiogenomic`, {cite:t}`zhang2021crossmodality`, {cite:t}`ge2020pairwise`, {cite:t}`li2017dlr`).
# Which method does best *on the same patients*, and by more than chance?
#
# **What this chapter does.** It trains nothing. It takes what the chapters before measured on single patients and puts
# methods for one task side by side: means over all patients of a method, and paired differences over the patients that
# two methods share. A difference whose interval holds zero is no difference. Methods were tuned for their papers'
# sizes and run here at the size of the profile, so that an order found here is one of these sizes.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
n_boot: int = 2000  # resamples of the patient bootstrap

# %% tags=["hide-input"]
from radlib.book.report import Report
from radlib.book.scores import read_scores
from radlib.papers.across import side_by_side as sides
from radlib.papers.zhang2021.tables import TITLES
from radlib.plots.dots import dot_plot

report = Report.start("side_by_side", cohort=cohort, profile=profile, seed=seed)
here = {"cohort": cohort, "profile": profile}
options = {"n_boot": n_boot, "seed": seed}
REGIONS = {"et": "ET", "wt": "WT", "tc": "TC"}

# %% [markdown]
# ## Choices
#
# | choice | here |
# |---|---|
# | who takes part | chapters that measure single patients of one role with one metric |
# | which patients | for a comparison: those that every chapter has kept out of training |
# | several runs of one method | a patient counts once, with the mean over the runs |
# | reference | segmentation: the network with the largest mean; IDH: the collection rule |
#
# ## Segmentation
#
# Islam 2020's networks work on axial slices and average the networks of several folds; Zhang 2021's work on cubes. Both
# have kept patients of the role `brats2017` out of training; only those that both have kept out are compared. The rule
# with two thresholds needs no network.

# %% tags=["hide-input"]
segmenting = ["octave_segmentation", "feature_fusion"]
segmented = read_scores("segmentation", chapters=segmenting, **here)
shared = sides.common_subjects(segmented, role="brats2017", chapters=segmenting)
both = segmented[segmented["subject"].isin(shared)]
if shared:
    dice = sides.means(both, metrics=["dice"], within="region", **options)
    report.table(
        "segmenters",
        sides.wide(dice, across="region", titles=REGIONS),
        index=False,
        caption=f"Dice on the {len(shared)} patients that no network has seen: mean and 95 % interval.",
    )

# %% tags=["hide-input"]
if shared:
    best = sides.best_model(dice, metric="dice")
    gaps = sides.differences(both, reference=best, metric="dice", within="region", **options)
    gaps["metric"] = gaps["metric"].map(REGIONS)
    report.figure(
        "segmenters",
        dot_plot(gaps, metrics=list(REGIONS.values()), references={name: [(best, 0.0)] for name in REGIONS.values()}),
        caption=f"Dice of every other network minus that of {best}, the one with the largest mean, on the same "
        "patients, with 95 % intervals.",
        alt="Three panels of dots with intervals, most of them left of zero.",
    )

# %% [markdown]
# ## Synthesis
#
# Islam 2020 makes T2 from T1c and FLAIR together, Ge 2020 any modality from one other. They run on different roles and
# grids, the first on all slices of the brain, the second on six slices through the tumour, so that decibels are *not*
# comparable across the two; within each, a rule without a network stands beside.

# %% tags=["hide-input"]
made = read_scores("synthesis", chapters=["modality_synthesis", "pairwise_gan"], **here)
if len(made):
    names = {"psnr": "PSNR, whole (dB)", "psnr_tumour": "PSNR, tumour (dB)"}
    for chapter, part in made.groupby("chapter", sort=False):
        found = sides.means(part, metrics=list(names), within="direction", **options)
        found["model"] = found["model"] + ": " + found["direction"]
        report.table(f"synthesisers-{chapter.replace('_', '-')}", sides.wide(found, across="metric", titles=names,
                     digits=1), index=False, caption=f"Synthesis in `{chapter}`: held-out patients, mean and 95 % "
                     "interval.")  # fmt: skip

# %% [markdown]
# ## IDH
#
# Both on the patients of the role `tcga-idh`: a radiomic table in repeated folds, and the networks of Ge 2020 in
# their partitions. A patient who was tested more than once counts once, with the mean score. Only patients with a
# prediction of both take part. Leakage-free throughout.

# %% tags=["hide-input"]
told = read_scores("idh", chapters=["idh_tables", "multistream_idh"], **here)
people = sides.common_subjects(told, role="tcga-idh", chapters=["idh_tables", "multistream_idh"])
mutual = sides.one_chapter_a_model(told[told["subject"].isin(people)])
if people:
    judged = sides.classifiers(mutual, **options)
    report.figure("idh", dot_plot(judged, metrics=["auc", "accuracy"], references={"auc": [("no skill", 0.5)]}),
                  caption=f"AUC and accuracy of every model on the same {len(people)} patients, with 95 % intervals.",
                  alt="Dots with intervals, a line a model.")  # fmt: skip
    rule = "collection rule"
    if rule in set(mutual["model"]):
        report.table("idh", sides.classifier_tests(mutual, reference=rule), index=False,
                     caption="AUC of every model minus that of the rule *the collection is LGG, so it is mutant*, on "
                     "the same patients, with DeLong's interval and test.")  # fmt: skip
else:
    report.sentence("No two chapters have predicted IDH for the same patients of this cohort.")

# %% [markdown]
# ## Limits
#
# The networks compared differ in more than their papers' ideas: dimension, number of steps, augmentation, and whether
# several are averaged. The best was chosen by the same patients on which it is compared, which favours it a little.
# Many comparisons are made, and no interval allows for that.
#
# ## Summary

# %% tags=["remove-input"]
if shared:
    report.sentence(sides.ranking_sentence(gaps, best=best, groups=list(REGIONS.values())))
    thresholds = next((name for name in both["model"].unique() if name.startswith(TITLES["rule"])), None)
    if thresholds is not None:
        to_rule = sides.differences(both, reference=thresholds, metric="dice", within="region", **options)
        report.sentence(sides.rule_sentence(to_rule, rule=thresholds))
else:
    report.sentence("No two chapters have segmented the same patients of this cohort.")
if people:
    report.sentence(sides.best_classifier_sentence(judged))

# %%
report.finish()
