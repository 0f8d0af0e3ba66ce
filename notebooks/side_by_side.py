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
# **The question.** The papers compare themselves with others, each on its own patients and
# in its own way ({cite:t}`islam2020radiogenomic`, {cite:t}`zhang2021crossmodality`,
# {cite:t}`ge2020pairwise`, {cite:t}`li2017dlr`). Which method does best *on the same
# patients*, and by more than chance?

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status side_by_side
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
n_boot: int = 2000  # resamples of the patient bootstrap

# %% tags=["hide-input"]
import pandas as pd

from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.papers.across import side_by_side as sides
from radlib.papers.across.study import clean_rows
from radlib.papers.ge2020.tables import direction_title
from radlib.papers.zhang2021.tables import TITLES as ZHANG
from radlib.papers.zhang2021.tables import by_prediction
from radlib.plots.dots import dot_plot
from radlib.stats.tables import format_interval
from radlib.study.estimates import class_contrasts, class_estimates, estimates, standard_table

report = Report.start("side_by_side", cohort=cohort, profile=profile, seed=seed)
here = {"cohort": cohort, "profile": profile, "seed": seed}
options = {"n_boot": n_boot, "seed": seed}
REGIONS = {"et": "ET", "wt": "WT", "tc": "TC"}

# %% [markdown]
# ## The studies
#
# This chapter trains nothing. It takes what the previous chapters measured on single patients and compares methods for
# one task: by means over patients, and by paired differences over the patients that two methods share. A difference
# whose interval holds zero is undecided. Methods were tuned for their papers' sizes and run here at the size of the
# profile, so an order found here holds for these sizes only.

# %% tags=["hide-input"]
names = {"octave_segmentation": "networks", "feature_fusion": "networks"}
segmenting = sides.studies_of(names, **here)
parts = []
if islam := segmenting.get("octave_segmentation"):
    parts.append(islam.scores.assign(arm=lambda rows: rows["arm"].map(islam.titles) + " (Islam)"))
if zhang := segmenting.get("feature_fusion"):
    parts.append(by_prediction(zhang.scores).assign(arm=lambda rows: rows["arm"].map(ZHANG) + " (Zhang)"))
shared = sides.common_subjects(parts)
if shared:
    everything = pd.concat(parts)
    dice_of = everything["subject"].isin(shared) & (everything["metric"] == "dice")
    both = sides.once(everything[dice_of])
    dice = estimates(both, groups=list(REGIONS), **options)
    best = dice.groupby("arm", sort=False)["value"].mean().idxmax()
    gaps = sides.against(both, best, metric="dice", groups=list(REGIONS), **options)

# %% tags=["hide-input"]
names = {"idh_tables": "protocols", "multistream_idh": "classifier"}
predicting = sides.studies_of(names, **here)
parts = []
if tables := predicting.get("idh_tables"):
    rows = clean_rows(tables.result("repeated folds").scores)
    parts.append(rows.rename(columns={"model": "arm"}))
if streams := predicting.get("multistream_idh"):
    controls = ["prop_a_permuted"]  # other labels than the patients'
    rows = streams.scores.query("arm not in @controls")
    parts.append(rows.assign(arm=rows["arm"].map(streams.titles)))
mutual = sides.matched_runs(parts) if len(parts) > 1 else pd.DataFrame()
people = sorted(set(mutual["subject"])) if len(mutual) else []
if people:
    measured = class_estimates(mutual, metrics=["auc", "accuracy"], **options).dropna(subset="value")
rule = "collection rule"

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
answer = []
if shared:
    thresholds = f"{ZHANG['rule']} (Zhang)"
    to_rule = sides.against(both, thresholds, metric="dice", groups=list(REGIONS), **options)
    for reference, found in {best: gaps, thresholds: to_rule}.items():
        worse, better = (found.loc[side, "first"].nunique() for side in (found["high"] < 0, found["low"] > 0))
        answer.append(
            f"- Dice against *{reference}*: of {found['first'].nunique()} others, {worse} are below it in at least "
            f"one region and {better} above it in at least one, with intervals that do not hold 0."
        )
    answer.append(f"- *{best}* has the largest mean Dice. *{thresholds}* has two fitted numbers and no network.")
else:
    answer.append("No two chapters have segmented the same patients of this cohort.")

# %% tags=["remove-input"]
if people:
    areas = measured.query("metric == 'auc'").set_index("arm")[["value", "low", "high"]]
    named = [arm for arm in dict.fromkeys([*areas["value"].nlargest(1).index, rule]) if arm in areas.index]
    answer.append(
        "- AUC for IDH, the largest and that of the rule without images: "
        + "; ".join(f"*{arm}* {format_interval(*areas.loc[arm])}" for arm in named)
        + "."
    )

# %% tags=["remove-input"]
report.sentence("\n".join(answer))

# %% [markdown]
# ## Segmentation
#
# Islam 2020's networks work on axial slices and average the networks of several folds; Zhang 2021's work on cubes. Both
# have held out patients of the role `brats2017`; only those that both have held out are compared. The rule with two
# thresholds needs no network.

# %% tags=["hide-input"]
if shared:
    report.figure(
        "segmenters",
        dot_plot(
            gaps,
            metrics=REGIONS,
            panel="group",
            rows="first",
            references=[(best, 0.0)],
        ),
        caption=f"Dice of every other method minus that of {best}, the one with the largest mean, on the same "
        "patients, with 95 % intervals.",
        alt="Three panels of dots with intervals and a line at zero.",
    )

# %% tags=["hide-input"]
if shared:
    report.table(
        "segmenters",
        standard_table(dice, titles={}, digits=2).rename(columns={"": "model"}),
        index=False,
        caption=f"Dice on the {len(shared)} patients that every chapter has held out: mean and 95 % interval.",
    )

# %% [markdown]
# ## Synthesis
#
# Islam 2020 makes T2 from T1c and FLAIR together, Ge 2020 any modality from one other. They run on different roles and
# grids, the first on all slices of the brain, the second on six slices through the tumour, so their decibels are *not*
# comparable. Within each, there is a rule without a network for comparison.

# %% tags=["hide-input"]
PSNR = {"": "model", "image": "PSNR, whole (dB)", "tumour": "PSNR, tumour (dB)"}
PSNR |= {"psnr": PSNR["image"], "psnr_tumour": PSNR["tumour"]}
made = {}
making = [("modality_synthesis", name) for name in ("generators", "rival")]
rows = [
    one.scores.assign(arm=lambda rows, one=one: rows["arm"].map(one.titles))
    for chapter, name in making
    for one in sides.studies_of({chapter: name}, **here).values()
]
if rows:
    one_way = pd.concat(rows)
    made["modality-synthesis"] = estimates(sides.once(one_way), metrics=["psnr"], groups=["image", "tumour"], **options)
for pairs in sides.studies_of({"pairwise_gan": "quality"}, **here).values():
    rows = pairs.scores.query("patients == 'held_out' and group.str.contains('_to_')")
    rows = rows.assign(arm=rows["arm"].map(pairs.titles) + ": " + rows["group"].map(direction_title))
    made["pairwise-gan"] = estimates(sides.once(rows.assign(group="all")), **options)
for chapter, found in made.items():
    report.table(
        f"synthesisers-{chapter}",
        standard_table(found, titles={}, digits=1).rename(columns=PSNR),
        index=False,
        caption=f"Synthesis in `{chapter.replace('-', '_')}`: {found['n'].max()} held-out patients, mean and 95 % "
        "interval.",
    )

# %% [markdown]
# ## IDH
#
# Both on the patients of the role `tcga-idh`: a radiomic table in repeated folds, and the networks of Ge 2020 in their
# partitions. The scores of the networks of two runs are on different scales. An AUC is therefore computed within a run,
# on its test patients, and compared with the same patients in one repetition of the folds; then it is averaged. All
# results are leakage-free.

# %%
show_code(sides.matched_runs)

# %% tags=["hide-input"]
if people:
    report.figure(
        "idh",
        dot_plot(measured, metrics=["auc", "accuracy"], rows="arm", references={"auc": [("no skill", 0.5)]}),
        caption=f"AUC and accuracy of every model on the same {len(people)} patients, with 95 % intervals.",
        alt="Dots with intervals, one line per model.",
    )
    if rule in set(mutual["arm"]):
        others = [(arm, rule) for arm in dict.fromkeys(mutual["arm"]) if arm != rule]
        behind = class_contrasts(mutual, others, **options).dropna(subset="value").rename(columns={"first": "arm"})
        report.table(
            "idh",
            standard_table(behind, titles={}).rename(columns={"": "model", "auc": "AUC difference"}),
            index=False,
            caption="AUC of every model minus that of the rule *the collection is LGG, so it is mutant*, on the same "
            "patients, with 95 % intervals.",
        )
else:
    report.sentence("No two chapters have predicted IDH for the same patients of this cohort.")

# %% [markdown]
# ## Choices
#
# | choice | here |
# |---|---|
# | who takes part | chapters that measure single patients of one role with one metric |
# | which patients | those that every chapter has held out |
# | several runs | Dice: a patient's mean over the runs; IDH: run by run, then averaged |
# | reference | segmentation: the largest mean; IDH: the collection rule |
#
# ## Limits
#
# The networks compared differ in more than their papers' ideas: dimension, number of steps, augmentation, and whether
# several are averaged. The best was chosen on the same patients on which it is compared, which favours it a little.
# Many comparisons are made, and no interval allows for that.
#
# ## Questions
#
# 1. *Does the metric matter?* Replace every `"dice"` in the cells below *The studies* and *The answer* by
#    `"sensitivity"`: is the order the same?
# 2. *Would pooling have given the same?* Give all runs of the networks the same number before `matched_runs`: how far
#    does their AUC fall, and why?

# %% [markdown]
# ## Summary

# %% tags=["remove-input"]
report.sentence("\n".join(answer))

# %% tags=["remove-input"]
report.finish()
