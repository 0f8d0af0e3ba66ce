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
from radlib.core.seeds import named_seed
from radlib.data.sources import open_cohort
from radlib.data.splits import hold_out, k_fold
from radlib.data.store import prepare
from radlib.papers.mehra2022 import results
from radlib.papers.mehra2022 import segmentation as seg
from radlib.papers.mehra2022.networks import FeatureUNet, adapt_input
from radlib.stats.paired import paired_difference

report = Report.start("unet_features", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data

# %%
first = open_cohort("brats2017", cohort=cohort, profile=profile).complete("t1", "t1ce", "t2", "flair", "seg")
second = open_cohort("rembrandt", cohort=cohort, profile=profile).complete("flair", "seg", "grade_group")
four = prepare(first, grid=grid, spacing=spacing)
flair = prepare(second, modalities=("flair",), grid=grid, spacing=spacing)
grade = second.participants["grade_group"]

# %% tags=["hide-input"]
published_split = hold_out(second.ids, test=test_share, seed=seed, stratify=grade)
table = seg.slice_table(flair, second.ids, per_subject=slices_per_patient or None)
counts = results.division_table(published_split, table, grade)
report.table(
    "division",
    counts,
    digits=0,
    caption="The published division, nine to one within each grade: patients and slices with tumour.",
)

# %% tags=["hide-input"]
if report.source == "simulated":
    largest = table.groupby("subject")["area"].max()
    shown = {
        g: str(largest[grade[grade == g].index].sort_values().index[len(grade[grade == g]) // 2])
        for g in ("HGG", "LGG")
    }
    report.figure(
        "grades",
        results.grade_figure(flair, shown),
        caption="A simulated subject of each grade, with median tumour (the counterpart of Figure 4).",
        alt="Two FLAIR slices with the tumour outlined.",
    )
    report.figure(
        "augmented",
        results.augmentation_figure(flair, shown["HGG"], seed=seed),
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

# %%
recipe = seg.UNetRecipe(widths=tuple(widths), steps=pretrain_steps, batch_size=batch_size, learning_rate=pretrain_rate)
tuning = seg.UNetRecipe(widths=tuple(widths), steps=tune_steps, batch_size=batch_size, learning_rate=tune_rate)
folder = report.directory / "checkpoints"

# %%
torch.manual_seed(named_seed(seed, "weights"))
start = FeatureUNet(4, widths=widths)
held = hold_out(first.ids, test=min(n_pretest, len(first) // 3), seed=seed)
pretrained = seg.train_unet(
    start,
    four,
    modalities=four.modalities,
    train=held.train,
    validate=held.test,
    recipe=recipe,
    seed=seed,
    name="four modalities",
    folder=folder / "pretrained",
)

# %%
before = adapt_input(pretrained.network, channel=four.channels(["flair"])[0])
tuned = adapt_input(pretrained.network, channel=four.channels(["flair"])[0])
fine = seg.train_unet(
    tuned,
    flair,
    modalities=("flair",),
    train=published_split.train,
    validate=published_split.test,
    recipe=tuning,
    seed=seed,
    name="published division",
    folder=folder / "published",
)

# %% [markdown]
# ## Results

# %% tags=["hide-input"]
report.figure(
    "training",
    results.score_figure(fine.history),
    caption="Fine-tuning: loss and scores of training and "
    "held-out slices; the line is at the best IOU of the latter (the counterpart of Figure 6).",
    alt="Two panels of curves over the steps.",
)
report.figure(
    "pretraining",
    results.score_figure(pretrained.history),
    caption="The same for the first training, on four modalities.",
    alt="Two panels of curves over the steps.",
)

# %% tags=["hide-input"]
best = results.best_scores(fine.history)
last = results.final_scores(
    tuned, flair, {"training": published_split.train, "validation": published_split.test}, modalities=("flair",)
)
report.table(
    "table2",
    pd.concat({"best over training, as published": best, "last step": last}, names=["", "slices"]).reset_index(),
    index=False,
    digits=3,
    caption="Scores of the fine-tuned network, pooled over slices (the counterpart of Table 2).",
)

# %% tags=["hide-input"]
tested = published_split.test
scores = {
    name: seg.score_subjects(net, flair, tested, modalities=("flair",)).set_index("subject")
    for name, net in (("before fine-tuning", before), ("after fine-tuning", tuned))
}
means = {name: results.subject_means(part, seed=seed) for name, part in scores.items()}
change = paired_difference(
    *(scores[name]["hard_dice"] for name in ("after fine-tuning", "before fine-tuning")), seed=seed
)
report.table(
    "tuning",
    pd.DataFrame(
        {name: {results.SCORES[k]: results.said(v) for k, v in part.items()} for name, part in means.items()}
    ).T,
    caption=f"Held-out patients ({len(tested)}): mean over patients, with intervals over patients.",
)
report.value("tuning_gain", change.value, low=change.low, high=change.high, n=change.n)
report.sentence(f"Fine-tuning changes the hard Dice of held-out patients by {report.text('tuning_gain')}.")

# %% tags=["hide-input"]
if report.source == "simulated":
    example = min(tested, key=lambda s: scores["before fine-tuning"]["hard_dice"].get(s, 1.0))
    report.figure(
        "before-after",
        results.before_after_figure({"before": before, "after": tuned}, flair, example, modalities=("flair",)),
        caption="The held-out simulated subject that was segmented worst before "
        "fine-tuning (the counterpart of Figures 3 and 7).",
        alt="Three slices with outlines.",
    )
    row = flair.rows([example])[0]
    place = int((flair.labels[row] > 0).sum(dim=(0, 1)).argmax())
    with torch.no_grad():
        maps = tuned.maps(flair.take_slices(torch.tensor([[row, place]]))[0].to(next(tuned.parameters()).device))
    report.figure(
        "maps",
        results.maps_figure({name: block[0].cpu() for name, block in maps.items()}),
        caption="The strongest maps behind each block, with their size (the counterpart of Figure 8).",
        alt="Columns of small grey maps, one column a block.",
    )

# %% [markdown]
# ## Features for the next chapter
#
# The network is fine-tuned once for each fold on the other folds' patients; then the features of all patients are
# taken. Each file is written in pieces and read in pieces, so that the size of the cohort does not matter: the paper
# could not hold the maps of its third decoding block, $120 \times 120 \times 128$ a slice, in memory.

# %%
folds = k_fold(second.ids, n_folds=n_folds, seed=seed, stratify=grade)
arrays = report.directory / "arrays"
published_features = seg.extract_features(
    arrays / f"{block}_published",
    tuned,
    flair,
    table,
    modalities=("flair",),
    block=block,
    identity={"seed": seed, "test": list(published_split.test), "recipe": repr(tuning)},
)

# %%
sizes = seg.fold_features(
    pretrained.network,
    flair,
    table,
    folds,
    channel=four.channels(["flair"])[0],
    recipe=tuning,
    seed=seed,
    block=block,
    extra_blocks=extra_blocks,
    arrays=arrays,
    checkpoints=folder,
)

# %% tags=["hide-input"]
report.table(
    "files",
    pd.DataFrame(sizes),
    index=False,
    digits={"slices": 0, "on disk (MB)": 1},
    caption="Features on disk, as 16-bit numbers.",
)

# %% [markdown]
# ## Agreement with the paper
#
# What was measured stands beside the paper's tables and figures in the [ledger](/generated/ledger): the best step as
# *as published*, the last as *leakage-free*.

# %% tags=["remove-input"]
n_slices = {
    "training": int(counts.loc["training", ["HGG slices", "LGG slices"]].sum()),
    "validation": int(counts.loc["test", ["HGG slices", "LGG slices"]].sum()),
}
for part in ("training", "validation"):
    for key in ("iou", "soft_dice_loss", "hard_dice"):
        report.record(
            f"mehra2022.table2.{part}.{key}",
            best.loc[part, key],
            n=n_slices[part],
            protocol="as published",
            note="best over training",
        )
        report.record(
            f"mehra2022.table2.{part}.{key}",
            last.loc[part, key],
            n=n_slices[part],
            protocol="leakage-free",
            note="last step",
        )

# %% tags=["remove-input"]
for number in (1, 3, 4, 5, 6, 7, 8):
    report.record(
        f"mehra2022.figure{number}",
        means["after fine-tuning"]["hard_dice"].value,
        n=len(tested),
        note="redrawn; the value is the hard Dice of held-out patients",
    )

# %% tags=["remove-input"]
results.record_counts(report, counts, n_slices=len(table), n_patients=len(second))

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
