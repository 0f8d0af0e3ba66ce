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
# **What the paper claims.** Zhang et al. {cite}`zhang2021crossmodality` train generators that turn the pair T1, T1c
# into T2, FLAIR and back, as a CycleGAN {cite}`zhu2017cyclegan` in 3D without any labels. Their weights initialise the
# branches of a segmentation network. On the BraTS 2017 validation set it reaches an average Dice of 0.828, against
# 0.809 after self-reconstruction, 0.794 after pre-training on photographs {cite}`everingham2010voc` and 0.783 from
# random weights.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status feature_transition
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
modalities: list[str] = ["t1", "t1ce", "t2", "flair"]  # real: without T2
grid: list[int] = [72, 72, 48]  # voxels of the common grid
spacing: float = 3.0  # edge of a voxel, mm
thickness: float = 0.0  # its edge along the third axis, mm (0: spacing)
memory_mapped: bool = False  # images in files, for cohorts that do not fit in memory
n_held_out: int = 12  # subjects that no training sees (the paper: 46, 66)
n_tuning: int = 6  # of the rest, for curves and the choice of a window
n_seeds: int = 5  # trainings of everything that is compared
n_other: int = 1  # trainings with other pairs (0: none)
n_six: int = 1  # trainings of the naive extension (0: none)
six_steps: int = 20  # updates of each of its six CycleGANs
widths: list[int] = [8, 16, 32, 64]  # channels of the U-Nets' levels
discriminator_widths: list[int] = [8, 16]  # filters of the discriminators
patch: int = 32  # edge of the cubes, voxels (the paper: 128 of 1 mm)
depth: int = 0  # their edge along the third axis, voxels (0: patch or window)
batch_size: int = 2  # cubes per batch (the paper has 1)
transition_steps: int = 160  # updates of pre-training
longer: int = 10  # one more transition with this many times the updates (0: none)
flat_steps: int = 300  # updates of the 2D network (0: none)
steps: int = 200  # updates of a segmentation network
transition_rate: float = 0.003  # of Adam in pre-training (the paper has 0.0001)
learning_rate: float = 0.01  # of Adam in segmentation (the paper has 0.0001)
schedule: str = "one_cycle"  # of both rates; the paper mentions none
cycle_weight: float = 10.0  # lambda
tumour_share: float = 0.3  # share of cubes centred in the tumour (the paper: all)
windows: list[int] = [48]  # edges of the cubes at test time (0: the brain)
edge_2d: int = 32  # edge of the 2D images, pixels
n_boot: int = 2000  # resamples of every bootstrap

# %% tags=["hide-input"]
import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.seeds import rng
from radlib.core.titles import METRIC_TITLES
from radlib.papers.zhang2021 import figures, tables
from radlib.papers.zhang2021.data import PAPER, PatchSampler
from radlib.papers.zhang2021.losses import cycle_loss, discriminator_loss, generator_loss
from radlib.papers.zhang2021.networks import (
    ConvBlock,
    Discriminator,
    Level,
    UNet,
    build_transition,
    transfer,
)
from radlib.papers.zhang2021.pretraining import both_ways
from radlib.papers.zhang2021.tables import COMPARED, places_of
from radlib.plots.architecture import architecture_figure, blocks_of
from radlib.plots.curves import loss_figure
from radlib.stats.intervals import mean_estimate
from radlib.stats.tables import format_interval
from radlib.study.estimates import contrasts, estimates
from radlib.study.gates import last_quarter_change

report = Report.start("feature_transition", cohort=cohort, profile=profile, seed=seed)
resampled = {"n_boot": n_boot, "seed": seed}
if report.source == "real":
    report.sentence(
        "On real patients this is an analogous study: low-grade gliomas of TCGA (grades 2 and 3) in place of BraTS "
        "cases, with T1, T1c and FLAIR but no T2, in thick slices, and with the whole tumour alone outlined. T1 and "
        "T1c are turned into FLAIR and back; the enhancing tumour and the core are neither trained on nor scored."
    )

# %% [markdown]
# ## The study
#
# An arm is an initialisation of the same fusion network, a run is a seed. Trainings of one seed see the same cubes in
# the same order; only the branches' initial weights differ.

# %% tags=["study"]
from dataclasses import replace
from itertools import combinations

from radlib.core.paths import data_root
from radlib.data.sources import role_with_images
from radlib.papers.zhang2021.data import (
    OTHER_PAIRS,
    PAIRS,
    SINGLES,
    Data,
    Recipe,
    among,
)
from radlib.papers.zhang2021.shapes import find_voc
from radlib.papers.zhang2021.study import (
    flat,
    rule,
    segmentation,
    self_reconstruction,
    transition,
)
from radlib.papers.zhang2021.tables import TITLES
from radlib.study.cohorts import Images, Source
from radlib.study.studies import Study

role = role_with_images("brats2017", cohort=cohort)
images = Images(
    source=Source(role, cohort, profile), modalities=tuple(modalities),
    grid=tuple(grid), spacing=(spacing, spacing, thickness) if thickness else spacing,
    memory_mapped=memory_mapped,
)  # fmt: skip
a_and_b, others = among(PAIRS, modalities), among(OTHER_PAIRS, modalities)
singles = among(SINGLES, modalities)
data = Data(images=images, n_held_out=n_held_out, n_tuning=n_tuning, seed=seed)
seeds = [seed + number for number in range(n_seeds)]


def cube(edge):
    """A cube of this edge, less deep where slices are thick; 0 is a whole brain."""
    return (edge, edge, depth) if depth and edge else edge


recipe = Recipe(
    widths=widths, patch=cube(patch), batch_size=batch_size, steps=steps,
    learning_rate=learning_rate, schedule=schedule, tumour_share=tumour_share,
    windows=[cube(edge) for edge in windows],
)  # fmt: skip
first_window = {"windows": recipe.windows[:1], "learning_rate": transition_rate}
again = replace(recipe, steps=transition_steps, **first_window)
cycle = replace(
    again, cycle_weight=cycle_weight, discriminator_widths=discriminator_widths
)  # fmt: skip
in_2d = Recipe(
    widths=widths, patch=edge_2d, batch_size=16, steps=max(1, flat_steps), schedule=schedule,
    learning_rate=learning_rate,
)  # fmt: skip
photographs = "voc" if find_voc(data_root()) else "shapes"


def cycles(groups, recipe=cycle):
    """A feature transition for every seed."""
    return [transition(data=data, groups=groups, recipe=recipe, seed=s) for s in seeds]


def networks(*starts, groups=a_and_b):
    """A fusion network for every seed, from the pre-trainings of that seed."""
    common = {"data": data, "groups": groups, "recipe": recipe}
    found = zip(seeds, *starts, strict=True)
    return [segmentation(**common, seed=s, start=start) for s, *start in found]


pairs = {"data": data, "groups": a_and_b}
in_2d = {"images": photographs, "recipe": in_2d, "groups": a_and_b}
pretrained = {
    "transition": cycles(a_and_b),
    "self": [self_reconstruction(recipe=again, seed=s, **pairs) for s in seeds],
    "2d": [flat(seed=s, **in_2d) for s in seeds] if flat_steps else [],
}
if longer:
    many = replace(cycle, steps=longer * transition_steps)
    pretrained["longer"] = [transition(recipe=many, seed=seed, **pairs)]
pretrained = {name: jobs for name, jobs in pretrained.items() if jobs}
starts = {"ours_2d": "2d", "ours_self": "self", "ours": "transition"}
starts = {arm: pretrained[name] for arm, name in starts.items() if name in pretrained}
arms = {"ours_random": networks()}
arms |= {arm: networks(jobs) for arm, jobs in starts.items()}
six = [cycles(two, replace(cycle, steps=six_steps)) for two in combinations(singles, 2)]
divisions = {
    "ours_other": networks(cycles(others), groups=others)[:n_other],
    "ours_six": networks(*six, groups=singles)[:n_six],
}
divisions = {arm: jobs for arm, jobs in divisions.items() if jobs}
pretraining = Study(
    "pretraining", pretrained,
    titles={"transition": "feature transition", "self": "self-reconstruction",
            "2d": "2D segmentation", "longer": f"transition, {longer} times the updates"},
)  # fmt: skip
study = Study("starts", {**arms, "rule": [rule(data=data)] * n_seeds}, titles=TITLES)
other = Study("divisions", {"ours": arms["ours"], **divisions}, titles=TITLES)

# %% tags=["hide-input"]
for one in (pretraining, study, other):
    report.study(one)

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
subjects, scores = data.open(), study.scores
runs = scores["run"].nunique()
places = places_of(subjects.regions)
one_region = len(places) == 1
headline = "Dice of the whole tumour" if one_region else "average Dice"
the_rule = "a threshold on FLAIR" if one_region else "two thresholds"
chain = list(arms)
late = last_quarter_change(study.history, "dice_mean") if "dice_mean" in study.history else {}
order = tables.order_table(scores, chain, curves=late, places=places, **resampled)
compared = [("ours", arm) for arm in (*chain[:-1], "rule")]
differences = tables.difference_table(scores, compared, places=places, **resampled)
average = differences[differences["group"] == places[-1]].set_index("second")
above = {arm: format_interval(*average.loc[arm, ["value", "low", "high"]]) for arm in average.index}
words = order["here"].value_counts()
answer = (
    f"Of the {len(order)} steps of the claimed order {words.get('as claimed', 0)} are as claimed, "
    f"{words.get('reversed', 0)} are reversed and {words.get('open', 0)} are open. Transition minus random "
    f"weights is {above['ours_random']} in the {headline}, transition minus self-reconstruction "
    f"{above['ours_self']}, transition minus {the_rule} {above['rule']}."
)
first_arm = estimates(study.scores, arms=["ours"], metrics=["dice"], groups=places, **resampled)
reached = first_arm.set_index("group").loc[places[-1]]
report.value("ours", reached["value"], low=reached["low"], high=reached["high"], n=int(reached["n"]))
for arm, row in average.iterrows():
    report.value(f"ours minus {arm}", row["value"], low=row["low"], high=row["high"], n=int(row["n"]))
report.sentence(
    f"On {int(reached['n'])} held-out subjects ({report.source} cohort) the network that starts from the transition "
    f"has {'a' if one_region else 'an'} {headline} of {report.text('ours')}. Transition minus random weights: "
    f"{above['ours_random']}, minus self-reconstruction {above['ours_self']}, minus {the_rule} {above['rule']}."
)

# %% [markdown]
# ## Data
#
# The paper has four modalities and an expert segmentation. BraTS does not publish the labels of its validation sets, so
# subjects of the training set are held out in their place. All of them stand for the set of 2018 (Table 4), a part for
# the smaller set of 2017 (Table 2), with the same shares of grades.

# %% tags=["hide-input"]
report.table("subjects", tables.subject_table(subjects), index=False, digits=1,
             caption="Subjects, and the median volume of their tumour's regions.")  # fmt: skip
if report.source == "real":
    report.sentence(f"Of the patients those with all modalities take part. {' '.join(images.source.open().notes)}")

# %% [markdown]
# ### The pairs (Figures 1 and 5)
#
# The paper pairs T1 with T1c and T2 with FLAIR because the modalities of a pair look alike and those of different pairs
# differ. This can be measured by the absolute rank correlation of two modalities over the voxels of a brain.

# %% tags=["hide-input"]
correlations = tables.pair_correlations(subjects.store, subjects.held_out)
alike = tables.within_and_between(correlations, a_and_b, **resampled)
report.table("correlations", tables.correlation_table(correlations), digits=2,
             caption="Mean absolute rank correlation of two modalities within the brain.")  # fmt: skip
for name, one in alike.items():
    report.value(f"pairs_{name}", **one.as_dict())
within = "Within the paper's pairs" if a_and_b == PAIRS else "Within what is here of the paper's pairs"
report.sentence(
    f"{within} it is {report.text('pairs_within')}, between them {report.text('pairs_between')}; the "
    f"difference is {report.text('pairs_difference')}."
)

# %% tags=["hide-input"]
if report.source == "simulated":
    report.figure(
        "figure5",
        figures.pair_figure(subjects.store, subjects.held_out[:3], PAIRS),
        caption="Three simulated subjects: the modalities of pair A, those of pair B, and the reference over FLAIR "
        "(counterpart of the paper's Figures 1 and 5).",
        alt="Rows of brain slices: T1, T1c, T2, FLAIR, and FLAIR with the tumour's regions in colour.",
    )

# %% [markdown]
# ## Method
#
# Generators $G_B^A : A \to B$ and $G_A^B : B \to A$ and discriminators $D_A$, $D_B$ learn from unpaired cubes $\mathbf
# A$, $\mathbf B$, with least squares (2, 3) and the cycle consistency (4):
#
# $$ \mathcal L_{adv}(G_B^A, D_B) = \mathbb E[(D_B(\mathbf B) - 1)^2]
#    + \mathbb E[D_B(G_B^A(\mathbf A))^2] $$
#
# $$ \mathcal L_{cyc} = \mathbb E\,\|G_A^B(G_B^A(\mathbf A)) - \mathbf A\|_1
#    + \mathbb E\,\|G_B^A(G_A^B(\mathbf B)) - \mathbf B\|_1 $$
#
# The objective (6) is the sum, $\mathcal L_{cyc}$ weighted by $\lambda$. It is printed with a maximum over the
# discriminators (5), which would teach them to call real images fake; here both sides minimise their own least squares,
# as in the CycleGAN.

# %%
show_code(discriminator_loss, generator_loss, cycle_loss)

# %% [markdown]
# ### The networks
#
# A generator is the U-Net of Figure 3: per level two convolutions of width 3 with instance norm, max-pooling down,
# transposed convolutions up. The discriminator is that of Table 1. All weights but those of the last layer are
# transferred from a generator to a branch.

# %%
show_code(ConvBlock, Level, UNet, Discriminator, transfer)

# %% tags=["hide-input"]
with torch.device("meta"):
    unet = blocks_of(UNet(2, 2), (2, 128, 128, 128))
    four = build_transition(PAIRS, PAPER)
    gan = blocks_of(figures.Cycle(nn.ModuleDict(four)), (2, 128, 128, 128), (2, 128, 128, 128))
report.figure(
    "unet",
    architecture_figure(unet),
    caption="The generator at the published size, drawn from the module: channels x edge of the maps (counterpart of "
    "Figure 3). Dashed lines are skip connections.",
    alt="Boxes in a U: five levels going down by pooling, four going up by transposed convolutions.",
)
report.figure(
    "cycle",
    architecture_figure(gan, lanes=(("input 1", "networks.to_b"), ("input 2", "networks.to_a"), ("networks.d_",))),
    caption="The transition, drawn from the modules (counterpart of Figure 2): each generator is called on the real "
    "pair and on the output of the other one; each discriminator judges the synthetic images of its pair.",
    alt="Boxes in three rows: generators from A to B, from B to A, and discriminators, with arrows between them.",
)
report.table("discriminator", tables.discriminator_table(), index=False,
             caption="Table 1: the input of the discriminator's layers, as printed and as built.")  # fmt: skip

# %% [markdown]
# ### One step by hand
#
# Cubes of A and of B from different subjects, the untrained networks, the loss of the generators, and a backward pass.

# %%
cubes = {
    name: PatchSampler.of(
        subjects.store, subjects.train, modalities=group, recipe=cycle, seed=seed + k
    ).draw(0, rng(seed, name))[0]
    for k, (name, group) in enumerate(zip("ab", a_and_b, strict=True))
}  # fmt: skip
torch.manual_seed(seed)
nets = build_transition(a_and_b, cycle)
with FlopCounterMode(display=False) as counter:
    made = both_ways(nets, cubes)
fooled = generator_loss(nets["d_b"](made["fake_b"]))
fooled = fooled + generator_loss(nets["d_a"](made["fake_a"]))
back = cycle_loss([made["again_a"], made["again_b"]], [cubes["a"], cubes["b"]])
loss = fooled + cycle_weight * back
loss.backward()

# %% tags=["remove-input"]
millions = counter.get_total_flops() / 2 / 1e6
report.sentence(
    f"Cubes {list(cubes['a'].shape)} of A and {list(cubes['b'].shape)} of B; adversarial loss {fooled.item():.3f}, "
    f"cycle consistency {back.item():.3f}, objective {loss.item():.2f}. Both generators, each called twice, take "
    f"{millions:.0f} million multiplications and have "
    f"{sum(p.numel() for name in ('to_a', 'to_b') for p in nets[name].parameters()):,} parameters."
)

# %% [markdown]
# ## Pre-training
#
# *Transition* is described above. *Self-reconstruction*: each generator reproduces its own input. *2D*: a 2D U-Net
# segments RGB images; its kernels are then repeated along the third axis and divided by their number
# {cite}`carreira2017i3d`. The paper uses PASCAL VOC; where that is not under the data root, drawn images of coloured
# shapes replace it.


# %% tags=["hide-input"]
def first(arm):
    return pretraining.result(arm).history


report.figure(
    "pretraining",
    loss_figure(
        {pretraining.titles[arm]: first(arm) for arm in ("transition", "self")}, smooth=3,
        metric={"cycle": "cycle consistency", "adversarial": "adversarial loss",
                "translation": "A to B and B to A"},
    ),
    caption="Pre-training, first seed: the loss of coming back to the input (sum over both pairs), in training and on "
    "cubes of tuning subjects; the generators' adversarial loss; and on tuning cubes the distance of a translation "
    "from the true modality, which no loss minimises.",
    alt="Three panels of curves over steps: cycle consistency, adversarial loss, translation error.",
)  # fmt: skip
if "2d" in pretrained:
    report.figure(
        "flat",
        loss_figure({"2D network": first("2d")}, smooth=3,
                    metric={"loss": "loss", "accuracy": "pixel accuracy", "objects": "pixel accuracy, objects"}),
        caption="Pre-training in 2D, first seed: loss, and share of correct pixels on new images (all pixels, and "
        "those of objects).",
        alt="Curves over steps: loss, and two pixel accuracies.",
    )  # fmt: skip
else:
    report.sentence("Pre-training in 2D is left out in this run (`flat_steps` is 0), and with it the network that "
                    "starts from it.")  # fmt: skip

# %% [markdown]
# ### What the generators learn
#
# Errors within the brain of held-out subjects, in standard deviations of the modality, compared with the error of
# predicting the brain's mean in every voxel.

# %% tags=["hide-input"]
directions = {"a_to_b": "A to B", "b_to_a": "B to A", "a_to_b_to_a": "A to B to A", "b_to_a_to_b": "B to A to B"}
rows = []
for arm in ["transition", *(["longer"] if longer else [])]:
    found = pretraining.result(arm).scores.pivot(
        index=["group", "subject"], columns="metric", values="value"
    )  # fmt: skip
    for group, title in directions.items():
        part = found.loc[group]
        gap = mean_estimate(part["error"] - part["error_of_mean"], **resampled)
        rows.append({
            "training": pretraining.titles[arm], "direction": title,
            "error": part["error"].mean(), "error of the mean": part["error_of_mean"].mean(),
            "difference": gap.value, "low": gap.low, "high": gap.high, "n": gap.n,
        })  # fmt: skip
        name = f"error {title}" if arm == "transition" else f"longer {title}"
        report.value(name, gap.value, low=gap.low, high=gap.high, n=gap.n)
report.table(
    "errors", pd.DataFrame(rows), index=False,
    caption="Mean absolute error of translations and of the way back, first seed; the "
    "difference is paired; below 0 the generators are better.",
)  # fmt: skip
report.sentence(
    f"Against the error of the mean, a translation is off by {report.text('error A to B')} from A to B and by "
    f"{report.text('error B to A')} from B to A; the way back by {report.text('error A to B to A')} and "
    f"{report.text('error B to A to B')}. No loss asks for a translation near the true modality: cubes of the two "
    "pairs are never compared voxel by voxel. A value above 0 is worse than predicting the brain's mean."
)
if longer:
    report.sentence(
        f"With {longer} times the updates it is {report.text('longer A to B')} from A to B, "
        f"{report.text('longer B to A')} from B to A, and {report.text('longer A to B to A')} and "
        f"{report.text('longer B to A to B')} on the way back."
    )

# %% tags=["hide-input"]
if report.source == "simulated":
    report.figure(
        "translations",
        figures.translation_figure(pretraining.result("transition").arrays("translations"), PAIRS),
        caption="Simulated held-out subjects: pair A, pair B made from it, the true pair B, pair A made from that, and "
        "pair A after both generators.",
        alt="Rows of brain slices: real, translated and reconstructed modalities.",
    )

# %% [markdown]
# ## Does it help segmentation? (lower half of Tables 2 and 4)
#
# The full fusion network, whose branches take all pre-trained weights but the last layer's. Trainings of one seed see
# the same cubes in the same order and start the fusion branch from the same weights; only the branches' initial weights
# differ. The weights of the last step are used; nothing is selected on held-out subjects.

# %% tags=["hide-input"]
report.figure(
    "curves",
    loss_figure({TITLES[arm]: study.result(arm).history for arm in arms}, smooth=5,
                metric={"loss": "loss, training", "dice_mean": "Dice, tuning cubes"}),
    caption="Learning curves, first seed: loss (7) in training, and mean Dice of the regions on cubes of tuning "
    "subjects.",
    alt="Curves over steps for every way of pre-training: loss, and Dice on cubes.",
)  # fmt: skip
report.beginning(study)
if len(windows) > 1:
    windows_tried = pd.concat([one.table("windows").assign(arm=arm) for arm in arms for one in study.results(arm)])
    shown = windows_tried.groupby(["arm", "window"], sort=False)["dice"].mean().unstack().rename(index=TITLES)
    report.table("windows", shown.rename_axis(None), caption="Mean Dice on tuning subjects by the edge of the cubes "
                 "that a network is applied to (0: the whole brain); every training is tested with its best "
                 "one.")  # fmt: skip

# %% [markdown]
# Dice, sensitivity and HD95 of every region on held-out subjects, with 95 % intervals over trainings and subjects, and
# the paper's numbers beside. The average is that of the three regions. HD95 is averaged where both reference and
# prediction have the region; where only one has it, the subject is counted as missed and its Dice is 0; where neither
# has it, its Dice is 1. The rule at the end needs no network: FLAIR above one threshold is tumour, T1c above another
# within it is enhancing tumour. Both thresholds are fitted on the training subjects.

# %% tags=["hide-input"]
options = {"metrics": COMPARED, "groups": places, **resampled}
all_held_out = estimates(scores, **options)
fewer = estimates(scores, subjects=subjects.fewer, **options)
both = {"2017, as published": "table2", "2018, as published": "table4"}
printed = "the whole tumour" if one_region else "ET / WT / TC / average"
if one_region:
    report.sentence("Here the whole tumour alone is outlined, so it alone is scored, and of the rule the threshold on "
                    "FLAIR alone counts.")  # fmt: skip
if report.source == "real":
    report.sentence("Distances are in nominal mm, since the set stores no voxel size.")


def score_table(metric):
    report.table(f"scores-{metric}", tables.score_table(all_held_out, scores, metric, tables=both), index=False,
                 caption=f"{METRIC_TITLES[metric]} on {len(subjects.held_out)} held-out subjects; published values are "
                 f"those of {printed}.")  # fmt: skip


score_table("dice")

# %% tags=["hide-input", "hide-output"]
for metric in COMPARED:
    if metric != "dice":
        score_table(metric)

# %% [markdown]
# ### Does the order hold?
#
# The paper's order is random, VOC, self-reconstruction, transition. Each step up is a difference paired over trainings
# and subjects; the interval resamples both.

# %% tags=["hide-input"]
report.table("order", order, index=False,
             caption=f"The claimed order in the {headline}, step by step. A word needs five trainings, an interval "
             f"without 0, a better arm above {the_rule}, and flat learning curves; else the step is open, and "
             "the gates that failed are named.")  # fmt: skip

# %% tags=["hide-input"]
report.figure("differences", figures.difference_figure(differences),
              caption="Dice of the network with feature transition minus that of the others, with 95 % intervals.",
              alt="Dots with intervals by region, a line for each other start, and a line at zero.")  # fmt: skip

# %% tags=["hide-input", "hide-output"]
report.table("differences", differences.drop(columns=["first", "second", "metric"]), index=False,
             caption="Differences in Dice, with 95 % intervals over trainings and subjects.")  # fmt: skip

# %% [markdown]
# ## Other divisions of the modalities
#
# The paper also pairs T1 with FLAIR and T2 with T1c {cite}`zhang2021crossmodality`, and describes a naive extension to
# single modalities, with six CycleGANs and four branches, which it finds too expensive. They are trained where
# `n_other` and `n_six` ask for it, the six CycleGANs with `six_steps` updates each.

# %% tags=["hide-input"]
if a_and_b == PAIRS:
    report.table("sizes", tables.size_table(cycle), index=False, digits=0,
                 caption="Parameters in thousands, in this run and at the published size: between pairs, and with the "
                 "naive extension's six CycleGANs. The network with four branches has about twice the parameters of "
                 "that with two.")  # fmt: skip

# %% tags=["hide-input"]
if divisions:
    found = estimates(other.scores, metrics=COMPARED, groups=places, **resampled)
    report.table("divisions", tables.score_table(found, other.scores, "dice"), index=False,
                 caption="Dice by division of the modalities.")  # fmt: skip
    against = [("ours", arm) for arm in divisions]
    apart = tables.difference_table(other.scores, against, places=places, **resampled)
    report.table("divisions-apart", apart.drop(columns=["first", "second", "metric"]), index=False,
                 caption="The paper's pairs minus the others, over the trainings that both have.")  # fmt: skip
else:
    report.sentence("In this run neither is trained. Without T2 the other pairs would be T1 with FLAIR and T1c alone."
                    if a_and_b != PAIRS else "In this run neither is trained.")  # fmt: skip

# %% [markdown]
# ## Time
#
# The paper prints 18 h 57 min of training and 3.2 s per subject on one GPU, and no number of updates
# {cite}`zhang2021crossmodality`.

# %% tags=["hide-input"]
costs = []
for one, arm in [*((pretraining, arm) for arm in pretraining.arms), *((study, arm) for arm in arms)]:
    notes = one.result(arm).notes
    costs.append({
        "training": one.titles[arm], "updates": notes["updates"], "updates a second": notes["steps_per_second"],
        "updates in 9 h 28 min": round(notes["steps_per_second"] * (18 * 3600 + 57 * 60) / 2),
        "seconds a subject": notes.get("seconds_per_subject"),
    })  # fmt: skip
report.table("costs", pd.DataFrame(costs), index=False, digits=1,
             caption="What trainings cost where they were computed, first seed; how many such updates fit into half of "
             "the published time; seconds to segment a subject on this grid.")  # fmt: skip

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
report.measured("validation-2018", all_held_out.dropna(subset="value"), protocol="leakage-free")
report.measured("validation-2017", fewer.dropna(subset="value"), protocol="leakage-free")
gaps = contrasts(scores, compared, metrics=["dice"], groups=places, **resampled)
report.measured("validation-2018", gaps.dropna(subset="value"), protocol="leakage-free")
if divisions:
    report.measured("validation-2018", found[found["arm"] != "ours"].dropna(subset="value"), protocol="leakage-free")
counts = {
    "all": len(subjects.train) + len(subjects.tuning) + len(subjects.held_out),
    "validation-2017": len(subjects.fewer), "validation-2018": len(subjects.held_out),
}  # fmt: skip
report.measured("subjects", pd.DataFrame([
    {"arm": arm, "metric": "subjects", "group": "all", "value": count, "low": None, "high": None, "n": count}
    for arm, count in counts.items()
]))  # fmt: skip
report.measured("pairs", pd.DataFrame([{
    "arm": "within", "minus": "between", "metric": "rank_correlation", "group": "all",
    **{name: getattr(alike["difference"], name) for name in ("value", "low", "high", "n")},
}]))  # fmt: skip

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | updates of the stages | `transition_steps`, `flat_steps`, `steps` | no epochs are printed, only hours |
# | depth of the U-Net | five levels at the published size | Figure 3; fewer where cubes are small |
# | padding of the discriminator | 1 | the sizes of Table 1 follow |
# | who minimises the adversarial loss | both sides, in turn | a literal maximum would call real images fake |
# | are cubes of A and B paired | no | the paper counts it as an advantage that no pairs are needed |
# | self-reconstruction | mean absolute difference, same steps | "reconstructing the input data" |
# | naive extension, which generator initialises a branch | that of the modality's last pair | there are three |
# | kernels inflated from RGB to two modalities | mean over RGB, same sum | modalities are not colours |
# | transposed convolutions inflated | repeated undivided | one tap per voxel along the new axis |
# | learning rate | 0.0001 in the paper profile | few steps and small networks need more |
# | a cohort without T2 | pair B is FLAIR alone | `modalities`; on real patients |
# | slices thicker than pixels are wide | cubes with `depth` of them | `thickness`; on real patients |
# | one region outlined | loss and scores of it alone | its three classes count together |
# | cubes at test time | best of `windows` on the tuning subjects | instance norm sees another cube than in training |
# | Dice loss | squared probabilities, 1 added above and below | V-Net; small regions are found sooner |
# | gradient clipping | norm 5, at every size | none is mentioned; the adversarial steps need a bound |
# | precision | fp32 on a CPU, bf16 on a GPU | none is mentioned |
# | intensities | z-scores within the brain, clipped at 5 | else a few vessels would set the scale |
# | size of a voxel | 1 mm in the paper profile, 3 mm in the default | cubes of 32 voxels then see 96 mm |
# | cubes per batch | 1 in the paper profile, 2 in the default | with two, one core convolves a cube faster |
#
# Sizes of the default profile were chosen on tuning subjects. With as many updates, cubes of 32 voxels at `spacing =
# 2.25` gave a lower Dice: they cover 72 mm, the paper's 128 mm. A larger share of cubes centred in the tumour gave a
# lower Dice too. PyTorch computes 3D convolutions of a single small cube on a slow path of one core; two cubes per
# batch use the fast one.
#
# ## Limits
#
# - In the default profile the networks are small, the trainings short and the voxels coarse. On the simulated cohort
#   absolute values say how hard the simulation is, not how good the networks would be on patients.
# - Real patients are of one public set with nominal voxels and one outline of the FLAIR abnormality, divided once. What
#   holds for them with three modalities need not hold for four and three regions.
# - Where networks are below the two thresholds, their order says which initialisation learns faster, not which is best
#   in the end.
# - With few trainings the coverage of the intervals is only approximate, and a step called open may still hold.
# - Drawn shapes are not photographs: where VOC is missing, the row pre-trained in 2D says what such an initialisation
#   does, not what VOC does.
# - Pre-training has as many updates as fit the profile; more updates might help more. Transition and
#   self-reconstruction have the same number, the cheaper 2D network more.
# - Where there are several `windows`, one is chosen for every training separately, on the tuning subjects.
# - In the default profile each other division is trained with one seed only; its interval is then over subjects alone.
#   On real patients none is trained.
#
# ## Questions
#
# 1. *Does the adversary matter?* Set `cycle_weight` to 1000: the generators then do little but reconstruct. Which row
#    changes?
# 2. *Which network is better at the end?* Double `steps` for one seed: does the gap between transition and random
#    weights grow or close?
#
# With `BUDGET=0.05`, `n_seeds = 1`, `n_other = 0` and `n_six = 0` each runs in under two
# minutes.
#
# ## Summary

# %% tags=["remove-input"]
best = all_held_out.query(f"arm == 'ours' and metric == 'dice' and group == '{places[-1]}'").iloc[0]
report.value("dice", best["value"], low=best["low"], high=best["high"], n=int(best["n"]))
report.sentence(
    f"After feature transition the fusion network has {'a' if one_region else 'an'} {headline} of "
    f"{report.text('dice')} on {len(subjects.held_out)} held-out subjects ({report.source} cohort, {runs} "
    f"trainings). {answer} The correlation within pairs minus that between them is "
    f"{report.text('pairs_difference')}; the paper expects more than 0."
)

# %% tags=["remove-input"]
report.finish()
