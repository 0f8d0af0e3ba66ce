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
# # U-Net features
#
# **What the paper claims.** Mehra et al. {cite}`mehra2022features` take a U-Net {cite}`ronneberger2015unet` that was
# trained on four modalities of BraTS, fine-tune it on FLAIR of REMBRANDT, and find that fine-tuning improves the
# segmentation. The maps behind its last encoding block, $15 \times 15 \times 1024$ a slice, serve as features of the
# tumour for the next chapter.
#
# **What this chapter does.** It trains, adapts and fine-tunes the network, prints the scores of their Table 2 and, as
# the authors chose their epoch on the test set, also those of the last step; by patient, with intervals. Then it
# fine-tunes once for every fold, so that no network has seen the patients whose features it makes, and streams the
# features to disk.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
n_runs: int = 5  # fine-tunings of every division
grid: list[int] = [64, 64, 48]  # voxels of the common grid
spacing: float = 3.375  # edge of a voxel, mm
widths: list[int] = [8, 16, 32, 64, 128]  # channels of the encoding blocks
pretrain_steps: int = 300  # updates on four modalities
tune_steps: int = 120  # updates on FLAIR
batch_size: int = 10  # slices
pretrain_rate: float = 0.002  # learning rate on four modalities
tune_rate: float = 0.001  # learning rate of the fine-tuning; published: 0.00001 over 30 epochs
n_pretest: int = 8  # subjects held out of the first training
test_share: float = 0.1  # of patients, in the published division
n_folds: int = 3  # patient-level folds for the features
slices_per_patient: int = 12  # those with most tumour; 0 takes all
block: str = "encoder5"  # where features are taken
extra_blocks: list[str] = ["decoder3"]  # further features, which the paper could not hold in memory

# %% tags=["hide-input"]
import pandas as pd
import torch

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.papers.mehra2022 import figures, tables
from radlib.papers.mehra2022.networks import FeatureUNet
from radlib.papers.mehra2022.study import adapted, open_flair
from radlib.papers.mehra2022.unet import slice_table
from radlib.study.estimates import contrasts, estimates, standard_table

report = Report.start("unet_features", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Study
#
# One network learns from four modalities. It is adapted to FLAIR and fine-tuned in the
# paper's division of the patients, nine to one, and once for every fold, so that no
# network has seen the patients whose features it makes. A fold has fewer training slices
# than the published division; its network takes as many epochs over them.

# %% tags=["study"]
from radlib.papers.mehra2022.study import CROPPED, Part, pretraining, tuning
from radlib.papers.mehra2022.unet import UNetRecipe
from radlib.study.cohorts import Images, Source
from radlib.study.studies import Study

four = Images(source=Source("brats2017", cohort, profile), grid=tuple(grid), spacing=spacing)
flair = Images(
    source=Source("rembrandt", cohort, profile), modalities=("flair",),
    grid=tuple(grid), spacing=spacing,
)  # fmt: skip
recipe = UNetRecipe(
    widths=tuple(widths), steps=pretrain_steps, batch_size=batch_size,
    learning_rate=pretrain_rate,
)  # fmt: skip
tuned = UNetRecipe(
    widths=tuple(widths), steps=tune_steps, batch_size=batch_size,
    learning_rate=tune_rate,
)  # fmt: skip
start = pretraining(images=four, n_test=n_pretest, recipe=recipe, seed=seed)
parts = [Part(fold=fold, n_folds=n_folds, test_share=test_share, seed=seed) for fold in (None, *range(n_folds))]
further = (block, block + CROPPED, *extra_blocks)  # of the first fold
numbers = range(n_runs)


def tune(part, run):
    return tuning(
        images=flair, start=start, part=part, recipe=tuned, seed=seed + run,
        blocks=further if part.fold == 0 and run == 0 else (block,),
        per_subject=slices_per_patient,
    )  # fmt: skip


first = Study("pretraining", {"four modalities": start})
study = Study("published", {"tuned": [tune(parts[0], run) for run in numbers]})
features = Study(
    "features", {"fold": [tune(part, run) for run in numbers for part in parts[1:]]},
    runs=[run for run in numbers for _ in parts[1:]],
)  # fmt: skip

# %%
for one in (first, study, features):
    report.study(one)

# %% [markdown]
# ## Data

# %%
store = open_flair(flair)
grade = flair.source.open().participants["grade_group"]
split = parts[0].split(flair.source.open().complete("flair", "seg", "grade_group"))
table = slice_table(store, store.ids, per_subject=slices_per_patient or None)
division = tables.division_table(split, table, grade)
counts = division[(division["metric"] != "hgg_share") & (division["group"] != "all")]
counts = counts.assign(of=counts["group"].str.upper() + " " + counts["metric"])
report.table(
    "division",
    counts.pivot_table(index="arm", columns="of", values="value", sort=False),
    digits=0,
    caption="The published division, nine to one within each grade: patients and slices "
    "with tumour, at most `slices_per_patient` of each.",
)

# %% tags=["hide-input"]
if report.source == "simulated":
    largest = table.groupby("subject")["area"].max()
    middle = {
        g: str(largest[of.index].sort_values().index[len(of) // 2])
        for g, of in grade[grade.isin(["HGG", "LGG"])].groupby(grade)
    }
    report.figure(
        "grades",
        figures.grade_figure(store, middle),
        caption="A simulated subject of each grade, with median tumour (the counterpart of Figure 4).",
        alt="Two FLAIR slices with the tumour outlined.",
    )
    report.figure(
        "augmented",
        figures.augmentation_figure(store, middle["HGG"], seed=seed),
        caption="A slice and augmented versions (the counterpart of Figure 5).",
        alt="Five slices: the original, and four turned, shifted and deformed ones.",
    )

# %% [markdown]
# ## Method
#
# The loss is the soft Dice of the whole batch,
#
# $$ 1 - \frac{2\,TP + \epsilon}{(TP + FP) + (TP + FN) + \epsilon}, $$
#
# with probabilities in place of counts. The network for four modalities is adapted to FLAIR by keeping the first
# kernels of that channel, scaled to the size that all had together. The seven augmentations of the paper's Table 1
# move image and mask alike.
#
# ## Results

# %% tags=["hide-input"]
one_run = study.result("tuned")
report.figure(
    "training",
    figures.score_figure(one_run.history),
    caption="Fine-tuning: loss and scores of training and held-out slices; the line is at "
    "the best IOU of the latter (the counterpart of Figure 6).",
    alt="Two panels of curves over the steps.",
)
report.figure(
    "pretraining",
    figures.score_figure(start.result().history),
    caption="The same for the first training, on four modalities.",
    alt="Two panels of curves over the steps.",
)
report.beginning(study)

# %% [markdown]
# The paper chose its epoch on the test set. The best value over training is *as
# published*; the last step was chosen by nobody.

# %% tags=["hide-input"]
best, last = tables.best_scores(one_run.history), one_run.table("last")
report.table(
    "table2",
    pd.concat({"best over training, as published": best, "last step": last}, names=["", "row"]).reset_index(
        "row", drop=True
    ),
    caption="Scores of the fine-tuned network, pooled over slices (the counterpart of Table 2).",
)
n_slices = {part: one_run.notes[f"{part}_slices"] for part in ("training", "test")}
for arm, scores, protocol in (
    ("best_step", best, "as published"), ("last_step", last, "leakage-free"),
):  # fmt: skip
    rows = tables.table2_rows(scores, arm=arm, slices=n_slices)
    report.measured("tuning", rows, protocol=protocol)
report.measured("division", division)

# %% tags=["hide-input"]
of_folds = features.scores
stages = of_folds.assign(arm=of_folds["stage"])
means = estimates(stages.assign(group=stages["metric"], metric="mean"), seed=seed)
change, above = (
    contrasts(stages, [("after", other)], metrics=["hard_dice"], seed=seed).iloc[0] for other in ("before", "rule")
)
report.table(
    "tuning",
    standard_table(
        means.assign(metric=means["group"].map(figures.SCORES), group="all"),
        titles={
            "before": "before fine-tuning",
            "after": "after fine-tuning",
            "rule": "a threshold on FLAIR",
        },
    ),
    index=False,
    caption=f"Patients of the folds, each held out ({change['n']}): means with 95 % intervals over runs and patients.",
)
for name, row in (("tuning_gain", change), ("above_rule", above)):
    report.value(name, **{key: row[key] for key in ("value", "low", "high", "n")})
report.sentence(
    f"Fine-tuning changes the hard Dice of held-out patients by {report.text('tuning_gain')}; "
    f"minus a threshold on FLAIR it is {report.text('above_rule')}."
)

# %% tags=["hide-input"]
network = FeatureUNet(1, widths=widths)
one_run.load("network", network)
network.eval()
if report.source == "simulated":
    own = study.scores.query("run == 0 and stage == 'before' and metric == 'hard_dice'")
    dice = own.set_index("subject")
    example = str(dice["value"].idxmin())
    report.figure(
        "before-after",
        figures.before_after_figure({"before": adapted(start, recipe).eval(), "after": network}, store, example),
        caption="The held-out simulated subject that was segmented worst before "
        "fine-tuning (the counterpart of Figures 3 and 7).",
        alt="Three slices with outlines.",
    )
    one = store.subject(example)
    z = int((one.labels > 0).sum(dim=(0, 1)).argmax())
    with torch.no_grad():
        maps = network.maps(one.image("flair")[None, None, ..., z])
    report.figure(
        "maps",
        figures.maps_figure({name: found[0] for name, found in maps.items()}),
        caption="The strongest maps behind each block, with their size (the counterpart of Figure 8).",
        alt="Columns of small grey maps, one column a block.",
    )

# %% [markdown]
# ## Features for the next chapter
#
# The features of all patients are written in pieces and read in pieces, so that the size
# of the cohort does not matter: the paper could not hold the maps of its third decoding
# block, $120 \times 120 \times 128$ a slice, in memory.

# %% tags=["hide-input"]
report.table(
    "files",
    pd.DataFrame(features.result("fold").notes["files"]),
    index=False,
    digits={"slices": 0, "MB": 1},
    caption="Features of the first fold on disk, as 16-bit numbers.",
)

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | how four channels become one | the kernels of FLAIR, scaled (`adapt_input`) | the only ones that saw FLAIR |
# | which slices | those with tumour, `slices_per_patient` | the counts of the paper fit about fifty a patient |
# | mask | whole tumour | the output is one binary map |
# | alpha and sigma on smaller slices | scaled with the slice | the same shape of deformation |
# | normalisation | within the brain of each image | scanners have no common unit |
# | epochs of a fold's network | those of the published division | the paper has one division |
#
# ## Limits
#
# The simulated REMBRANDT-like cohort differs from the BraTS-like one by site and resolution only, so fine-tuning has
# less to do than between real data sets. Eleven test patients are few, as in the paper: see the intervals.
#
# ## Summary
#
# - The network and its fine-tuning are rebuilt; the table separates the best step from the last.
# - Features of every fold come from networks that have not seen its patients.
# - They are streamed from disk, at any block.

# %% tags=["remove-input"]
report.finish()
