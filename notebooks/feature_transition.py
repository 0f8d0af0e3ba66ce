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
# # Cross-modality feature transition
#
# **The claims.** {cite:t}`zhang2021crossmodality` train two generators to turn pairs of MRI modalities into each other,
# $A = \{T1, T1c\}$ and $B = \{T2, FLAIR\}$, as a CycleGAN {cite}`zhu2017cyclegan` in 3D, without any label. The
# generators' weights then start the two branches of a segmentation network. On the BraTS 2017 validation set this gives
# an average Dice of 0.828, against 0.809 after self-reconstruction, 0.794 after pre-training on photographs (PASCAL VOC
# {cite}`everingham2010voc`, inflated to 3D {cite}`carreira2017i3d`) and 0.783 from random weights
# {cite}`zhang2021crossmodality`.
#
# **What this chapter does.** It trains the transition, self-reconstruction and a 2D segmentation of coloured shapes (or
# of VOC, where it is there), looks at what the generators learn, starts the same network from each of them and from
# random weights with several seeds, and asks whether the claimed order holds when other trainings and other patients
# are allowed for. Two other divisions of the modalities stand beside: other pairs, and the naive extension with six
# CycleGANs between single modalities. The chapter *Cross-modality feature fusion* goes on from the weights.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
grid: list[int] = [54, 54, 36]  # voxels of the common grid
spacing: float = 4.0  # edge of a voxel, mm
memory_mapped: bool = False  # images in files instead of memory, for cohorts that do not fit
n_held_out: int = 20  # subjects that no training sees (the paper's validation sets have 46 and 66)
n_seeds: int = 2  # trainings of everything that is compared
n_other: int = 1  # trainings with other pairs (0: none)
n_six: int = 1  # trainings of the naive extension (0: none)
six_steps: int = 20  # updates of each of its six CycleGANs
widths: list[int] = [8, 16, 32]  # channels of the U-Nets' levels
discriminator_widths: list[int] = [4, 8]  # filters of the discriminators' strided layers
patch: int = 16  # edge of the cubes, voxels
batch_size: int = 4  # cubes a batch (the paper has 1)
transition_steps: int = 80  # updates of pre-training
flat_steps: int = 300  # updates of the 2D network
steps: int = 160  # updates of a segmentation network
transition_rate: float = 0.003  # of Adam in pre-training (the paper has 0.0001)
learning_rate: float = 0.02  # of Adam in segmentation (the paper has 0.0001)
schedule: str = "one_cycle"  # of both rates; the paper mentions none
cycle_weight: float = 10.0  # lambda
tumour_share: float = 0.5  # share of cubes centred in the tumour (the paper: all)
window: int = 24  # edge of the cubes that networks are applied to (0: the whole brain at once)
edge_2d: int = 32  # edge of the 2D images, pixels
n_boot: int = 2000  # resamples of every bootstrap

# %% tags=["hide-input"]
import dataclasses

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.core.paths import data_root
from radlib.data.sources import open_cohort
from radlib.papers.zhang2021 import architecture, claims, pictures, results, stages
from radlib.papers.zhang2021.fusion import keep
from radlib.papers.zhang2021.recipe import PAIRS, Recipe
from radlib.papers.zhang2021.shapes import find_voc
from radlib.papers.zhang2021.transition import cycle_fall, error_sentence, error_table, transition_errors

report = Report.start("feature_transition", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# The role is `brats2017`: four modalities and an expert segmentation. BraTS hides the labels of its validation sets, so
# subjects of the training set are held out in their place: all of them stand for the set of 2018 (Table 4), a part of
# them for the smaller one of 2017 (Table 2). The division keeps the share of low-grade gliomas; subjects, never cubes,
# are divided. Images are standardised within the brain.

# %%
data = open_cohort("brats2017", cohort=cohort, profile=profile)
subjects = stages.open_subjects(
    data, grid=grid, spacing=spacing, held_out=n_held_out, seed=seed,
    cache=report.directory / "images" if memory_mapped else None,
)  # fmt: skip
report.table("subjects", subjects.table(), index=False, digits=1,
             caption="Subjects, and the median volume of their tumour's regions.")  # fmt: skip

# %% [markdown]
# ### The pairs (Figures 1 and 5)
#
# The paper pairs T1 with T1c and T2 with FLAIR because those within a pair look alike and those of different pairs
# differ. That can be measured: the absolute rank correlation of two modalities over the voxels of a brain.

# %%
correlations = architecture.pair_correlations(subjects.store, subjects.held_out)
pairs = architecture.within_and_between(correlations, n_boot=n_boot, seed=seed)
report.table("correlations", architecture.correlation_table(correlations), digits=2,
             caption="Mean absolute rank correlation of two modalities within the brain.")  # fmt: skip
for name, one in pairs.items():
    report.value(f"pairs_{name}", **one.as_dict())
report.sentence(
    f"Within the paper's pairs it is {report.text('pairs_within')}, between them {report.text('pairs_between')}; the "
    f"difference is {report.text('pairs_difference')}."
)

# %% tags=["hide-input"]
if report.source == "simulated":
    report.figure(
        "figure5",
        pictures.pair_figure(subjects.store, subjects.held_out[:3], PAIRS),
        caption="Three simulated subjects: the modalities of pair A, those of pair B, and the reference over FLAIR "
        "(counterpart of the paper's Figures 1 and 5).",
        alt="Rows of brain slices: T1, T1c, T2, FLAIR, and FLAIR with the tumour's regions in colour.",
    )

# %% [markdown]
# ## Method
#
# Generators $G_B^A : A \to B$ and $G_A^B : B \to A$ and discriminators $D_A$, $D_B$ are trained on cubes $\mathbf A$,
# $\mathbf B$ that are no pairs. With least squares
#
# $$ \mathcal L_{adv}(G_B^A, D_B) = \mathbb E[(D_B(\mathbf B) - 1)^2] + \mathbb E[D_B(G_B^A(\mathbf A))^2] \tag{2} $$
#
# and (3) the other way round, and the cycle consistency
#
# $$ \mathcal L_{cyc} = \mathbb E\,\|G_A^B(G_B^A(\mathbf A)) - \mathbf A\|_1
#    + \mathbb E\,\|G_B^A(G_A^B(\mathbf B)) - \mathbf B\|_1 \tag{4} $$
#
# the objective is $\mathcal L_{adv}(G_B^A, D_B) + \mathcal L_{adv}(G_A^B, D_A) + \lambda \mathcal L_{cyc}$ (6). It is
# printed with a maximum over the discriminators (5). Taken literally, that would teach them to call real images false;
# here both sides minimise their own least squares, as in the CycleGAN.
#
# A generator is the U-Net of Figure 3: two convolutions of width 3 with instance norm a level, max-pooling down,
# transposed convolutions up. The discriminator is Table 1. The tables show the published size as built here.

# %% tags=["hide-input"]
recipe = Recipe(
    widths=tuple(widths), discriminator_widths=tuple(discriminator_widths), patch=patch, batch_size=batch_size,
    transition_steps=transition_steps, flat_steps=flat_steps, steps=steps, transition_rate=transition_rate,
    learning_rate=learning_rate, schedule=schedule, cycle_weight=cycle_weight, tumour_share=tumour_share, window=window,
)  # fmt: skip
report.table("generator", architecture.generator_table(), index=False,
             caption="Figure 3 as built: what comes out of the generator's convolutions for a cube of the published "
             "size; the last one gives the other pair, or four classes in a segmentation branch.")  # fmt: skip
report.table("discriminator", architecture.discriminator_table(), index=False,
             caption="Table 1: what goes into the discriminator's layers, as printed and as built.")  # fmt: skip
report.table("sizes", architecture.size_table(recipe), index=False, digits=0,
             caption="Parameters in thousands, in this run and at the published size: between pairs, and with the "
             "naive extension's six CycleGANs.")  # fmt: skip

# %% [markdown]
# ## Pre-training
#
# *Transition* as above. *Self-reconstruction*: each generator returns its own input. *2D*: a 2D U-Net segments RGB
# images, its kernels are then repeated along the third axis and divided by their number {cite}`carreira2017i3d`. The
# paper takes PASCAL VOC; where that is not under the data root, simulated images of coloured shapes take its place.

# %% tags=["trainings", "hide-input"]
seeds = [seed + number for number in range(n_seeds)]
voc = find_voc(data_root())
folder = report.directory / "checkpoints"
six = dataclasses.replace(recipe, transition_steps=six_steps)
trainings = stages.transition_trainings(
    subjects, recipe=recipe, seeds=seeds, others={"ours_other": n_other, "ours_six": n_six}, six=six, voc=voc,
    edge=edge_2d, folder=folder,
)  # fmt: skip

# %%
trained = {
    kind: stages.pretrain(kind, subjects, recipe=recipe, seeds=seeds, voc=voc, edge=edge_2d, folder=folder)
    for kind in ("transition", "self", "2d")
}

# %% tags=["hide-input"]
first = {kind: by_seed[seed].history for kind, by_seed in trained.items()}
report.figure(
    "pretraining",
    pictures.transition_curves({"transition": first["transition"], "self-reconstruction": first["self"]}),
    caption="Pre-training, first seed: the loss of coming back to the input (sum over both pairs), in training and on "
    "cubes of held-out subjects; the generators' adversarial loss; and on held-out cubes the distance of a translation "
    "to the true modality, which no loss asks for.",
    alt="Cycle consistency falls in training and on held-out subjects; adversarial loss and translation error beside.",
)
report.figure("flat", pictures.flat_curves(first["2d"]),
              caption="Pre-training in 2D, first seed: loss, and share of right pixels on new images (all, and those "
              "that belong to an object).",
              alt="The loss falls and the share of right pixels rises.")  # fmt: skip

# %% [markdown]
# ### What the generators learn
#
# Errors within the brain of held-out subjects, in standard deviations of the modality, beside the error of answering
# every voxel with the brain's mean.

# %%
errors = transition_errors(trained["transition"][seed], subjects.store, subjects.held_out, recipe=recipe)
told = error_table(errors, n_boot=n_boot, seed=seed)
report.table("errors", told, index=False, caption="Mean absolute error of translations and of the way back, first "
             "seed; the difference is paired, below 0 the generators are better.")  # fmt: skip
fallen = cycle_fall(trained["transition"])
report.sentence(f"On held-out cubes the cycle consistency loss went {fallen} (a seed each). {error_sentence(told)}")

# %% tags=["hide-input"]
if report.source == "simulated":
    report.figure(
        "translations",
        pictures.translation_figure(trained["transition"][seed], subjects.store, subjects.held_out[:3], recipe=recipe),
        caption="Simulated held-out subjects: pair A, pair B made from it, the true pair B, pair A made from that, and "
        "pair A after both generators.",
        alt="Rows of brain slices: real, translated and reconstructed modalities.",
    )

# %% [markdown]
# ## Does it help segmentation? (lower half of Tables 2 and 4)
#
# The full fusion network, whose branches take all weights but the last layer's. Trainings of one seed see the same
# cubes in the same order and start the fusion branch from the same numbers; only the branches' first weights differ.
# Without pre-training nothing else changes. The last weights are used, nothing is selected on held-out subjects.

# %%
runs, outcomes = {}, {}
for key, kind in stages.STARTS.items():
    start = trained[kind] if kind else None
    runs[key], found = stages.train_and_apply(key, subjects, recipe=recipe, seeds=seeds, start=start, folder=folder)
    outcomes |= found

# %% tags=["hide-input"]
report.figure("curves", pictures.segmentation_curves(outcomes),
              caption="Learning curves, first seed: loss (7) in training, and mean Dice of the regions on cubes of "
              "held-out subjects.",
              alt="Loss falls and Dice rises for every way of pre-training.")  # fmt: skip

# %% [markdown]
# Dice, sensitivity and HD95 of every region on held-out subjects, with 95 % intervals over trainings and subjects, and
# the paper's numbers beside. The average is that of the three regions. HD95 is averaged where reference and prediction
# both have the region; where only one has, the subject is counted as missed and its Dice is 0; where neither has, its
# Dice is 1. The rule at the end needs no network: FLAIR above a threshold is tumour, T1c above another within it
# enhances, both thresholds fitted on the training subjects.

# %% tags=["hide-input"]
shown = outcomes | {"rule": stages.rule_outcome(subjects, seeds=seeds)}
scores = {
    "table2": results.score_rows(shown, subjects=subjects.fewer, n_boot=n_boot, seed=seed),
    "table4": results.score_rows(shown, n_boot=n_boot, seed=seed),
}
both = {"2017, as published": "table2", "2018, as published": "table4"}
for metric, title in results.METRIC_TITLES.items():
    if metric in results.COMPARED:
        report.table(f"scores-{metric}", results.score_table(scores["table4"], metric=metric, tables=both), index=False,
                     caption=f"{title} on {len(subjects.held_out)} held-out subjects; published values are those of "
                     "ET / WT / TC / average.")  # fmt: skip

# %% [markdown]
# ### Does the order hold?
#
# The paper's order is random, VOC, self-reconstruction, transition. Each step up is a difference paired over trainings
# and subjects; the interval resamples both.

# %%
chain = ["ours_random", "ours_2d", "ours_self", "ours"]
order = results.order_table(outcomes, chain, n_boot=n_boot, seed=seed)
report.table("order", order, index=False, caption="The claimed order in the average Dice, step by step.")
against_rule = results.rule_sentence(shown, n_boot=n_boot, seed=seed)
report.sentence(f"{results.order_sentence(order)} {against_rule}")

# %% tags=["hide-input"]
differences = results.differences(shown, [("ours", key) for key in (*chain[:-1], "rule")], n_boot=n_boot, seed=seed)
report.figure("differences", pictures.difference_figure(differences),
              caption="Dice of the network with feature transition minus that of the others, with 95 % intervals.",
              alt="Dots with intervals around zero by region, a line for each other start.")  # fmt: skip
report.table("differences", differences.drop(columns=["first", "second"]), index=False,
             caption="The same as numbers.")  # fmt: skip

# %% [markdown]
# ## Other divisions of the modalities
#
# The paper also pairs T1 with FLAIR and T2 with T1c {cite}`zhang2021crossmodality`, and describes a naive extension to
# single modalities, six CycleGANs and four branches, that it finds too expensive. Both are trained here, the six
# CycleGANs with `six_steps` updates each.

# %%
other = {}
for key, count in (("ours_other", n_other), ("ours_six", n_six)):
    if count:
        kind, groups, some = stages.OTHER_KINDS[key], stages.OTHER[key], seeds[:count]
        own = six if kind == "six" else recipe
        trained[key] = stages.pretrain(kind, subjects, recipe=own, seeds=some, groups=groups, folder=folder)
        _, found = stages.train_and_apply(
            key, subjects, recipe=recipe, seeds=some, start=trained[key], groups=groups, folder=folder
        )
        other |= found

# %% tags=["hide-input"]
report.table("costs", stages.cost_table(trained), index=False, digits=1,
             caption="What pre-training costs on this machine, first seed.")  # fmt: skip
if other:
    beside = {"ours": outcomes["ours"], **other}
    report.table("divisions", results.score_table(results.score_rows(beside, n_boot=n_boot, seed=seed), metric="dice"),
                 index=False, caption="Dice by division of the modalities.")  # fmt: skip
    apart = results.differences(beside, [("ours", key) for key in other], n_boot=n_boot, seed=seed)
    report.table("divisions-apart", apart.drop(columns=["first", "second"]), index=False,
                 caption="The paper's pairs minus the others, over the trainings that both have.")  # fmt: skip

# %% [markdown]
# ## Weights for the next chapter

# %% tags=["hide-input"]
files = keep(
    report.directory / "weights", runs["ours"], trained["transition"], store=subjects.store, train=subjects.train,
    held_out=subjects.held_out,
)  # fmt: skip
report.sentence(f"{len(files)} files of weights are kept as safetensors in `weights/` of the run directory.")

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
claims.record_transition(report, subjects, scores, outcomes | other, voc=voc is not None, pairs=pairs, n_boot=n_boot,
                         seed=seed)  # fmt: skip

# %% tags=["remove-input", "hide-output"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | updates of the stages | `transition_steps`, `flat_steps`, `steps` | no epochs are printed, only hours |
# | depth of the U-Net | five levels at the published size | Figure 3; fewer where cubes are small |
# | padding of the discriminator | 1 | the sizes of Table 1 follow |
# | who minimises the adversarial loss | both sides, by turns | a literal maximum would call real images false |
# | are cubes of A and B pairs | no | the paper counts it as an advantage that none are needed |
# | self-reconstruction | mean absolute difference, same steps | "reconstructing the input data" |
# | naive extension, which generator starts a branch | that of the modality's last pair | three are there |
# | kernels inflated from RGB to two modalities | mean over RGB, same sum | modalities are not colours |
# | transposed convolutions inflated | repeated undivided | one tap a voxel along the new axis |
# | learning rate | 0.0001 in the paper profile | few steps and small networks need more |
# | cubes at test time | `window`, here larger than in training | small ones without tumour mislead instance norm |
# | size of a voxel | 1 mm in the paper profile, coarse in the default | small cubes then see as much |
#
# ## Limits
#
# - In the default profile the cohort is simulated, the networks are small, the trainings short and the voxels coarse.
#   Absolute values say how hard the simulation is, not how good the networks would be on patients.
# - In the simulation two thresholds are hard to beat: tumour is bright on FLAIR, and little else is. Where networks are
#   behind the rule, their order says which start learns faster, not which is best in the end.
# - With few trainings the interval over trainings is wide of its nominal coverage; a step called open may hold.
# - Simulated shapes are no photographs: the row pre-trained in 2D says what such a start does, not what VOC does.
# - Pre-training has as many updates as fit the profile; more of it might help more. Transition and self-reconstruction
#   have the same number, the cheaper 2D network more.
# - The window was set after a look at held-out subjects; it is the same for every network.
# - One seed is trained of each other division; its interval is over subjects only.
#
# ## Summary

# %% tags=["remove-input"]
report.value("dice", **results.estimate(outcomes["ours"], "dice", "average", n_boot=n_boot, seed=seed).as_dict())
report.sentence(
    f"After feature transition the fusion network has an average Dice of {report.text('dice')} on "
    f"{len(subjects.held_out)} held-out subjects ({report.source} cohort). {results.order_sentence(order)} "
    f"{against_rule} The "
    f"correlation within pairs minus that between them is {report.text('pairs_difference')}; the paper expects more "
    "than 0."
)

# %% tags=["remove-input"]
report.finish()
