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
# # Cross-modality feature fusion
#
# **The claims.** {cite:t}`zhang2021crossmodality` fuse the deep features of two branches, one for T1 and T1c and one
# for T2 and FLAIR, in a third branch that is guided by the masks which the two predict. On the BraTS 2018 validation
# set it has an average Dice of 0.843, without mask guidance 0.834, with conventional attention 0.841; the mean of the
# branches' predictions has 0.797, the branches alone 0.802 and 0.682 {cite}`zhang2021crossmodality`. It is also said
# to be ahead of most published networks, and to fail where enhancing tumour is absent, contours are ragged or regions
# are disconnected.
#
# **What this chapter does.** It takes the weights that the chapter *Cross-modality feature transition* left, trains
# every baseline from them with the same seeds and cubes, and asks which steps of the claimed order hold when other
# trainings and other patients are allowed for. Two networks of today from MONAI {cite}`cardoso2022monai`, SegResNet
# {cite}`myronenko2018segresnet` and DynUNet of nnU-Net {cite}`isensee2021nnunet`, stand beside. Failures are studied by
# intervention: in the simulation one trait of a tumour can be changed and nothing else. Networks that have only seen
# simulated subjects are then applied to real ones.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
memory_mapped: bool = False  # images in files instead of memory, for cohorts that do not fit
baselines: list[str] = ["branches", "without_mg", "with_ca"]  # trained from the transition's weights
references: list[str] = ["segresnet", "dynunet"]  # MONAI's networks, from random weights
n_references: int = 1  # trainings of each of them
n_changed: int = 4  # simulated subjects that are rendered again with a trait changed (0: none)
n_training: int = 12  # training subjects that the network is applied to
n_real: int = 6  # real subjects, at most
n_boot: int = 2000  # resamples of every bootstrap

# %% tags=["hide-input"]
from functools import partial

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.scores import keep_scores
from radlib.core.paths import data_root
from radlib.data.published import published
from radlib.data.sources import open_cohort
from radlib.papers.zhang2021 import claims, failures, pictures, results, stages
from radlib.papers.zhang2021.fusion import apply, load_ours, read_handed
from radlib.papers.zhang2021.real import real_sentence, real_subjects, real_table

report = Report.start("feature_fusion", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# Subjects, their division, grid and every size come with the weights of the chapter before: nobody whom a generator or
# a network saw in training is tested on.

# %%
handed = read_handed(report.directory.parent / "feature_transition" / "weights")
data = open_cohort("brats2017", cohort=cohort, profile=profile)
subjects = stages.open_subjects(
    data, grid=handed.grid, spacing=handed.spacing, handed=handed,
    cache=report.directory / "images" if memory_mapped else None,
)  # fmt: skip
report.table("subjects", subjects.table(), index=False, digits=1,
             caption="Subjects, and the median volume of their tumour's regions.")  # fmt: skip

# %% [markdown]
# ## Method
#
# Branches $S_A$ and $S_B$ are the generators with another last layer. The fusion branch $S_F$ of Figure 4 concatenates
# their last but one features and convolves, adds their last features and convolves again, and attends to the result
# $U$. With $M_k$ the probabilities that the branches predict and $g_k$ a convolution of width 1 for each of them,
#
# $$ \mathrm{MG}(U) = U + f\big([M_1 \cdot g_1(U), \dots, M_K \cdot g_K(U)]\big), $$
#
# $f$ a convolution with instance norm: the masks say where, the convolutions what. *Conventional attention* puts CBAM
# {cite}`woo2018cbam` in the same place, whose weights come from $U$ itself; *without mask guidance* leaves $U$ as it
# is. All parts learn together {cite}`milletari2016vnet`,
#
# $$ \mathcal L_{seg}(S_A) + \mathcal L_{seg}(S_B) + \mathcal L_{seg}(S_F), \qquad
#    \mathcal L_{seg}(S) = 1 - \frac{2\,|Y \cap S|}{|Y| + |S|}. \tag{7, 8} $$
#
# The baselines $S_A$ and $S_B$ are trained without a fusion branch; $S_A + S_B$ is the mean of their probabilities.

# %% tags=["trainings", "hide-input"]
seeds = list(handed.seeds)
recipe = handed.recipe
folder = report.directory / "checkpoints"
trainings = {
    f"{key}, seed {number}": partial(
        stages.train_networks, key, subjects, recipe=recipe, seeds=[number], start=start, network=key, folder=folder
    )
    for keys, some, start in ((baselines, seeds, handed.pretrained), (references, seeds[:n_references], None))
    for key in keys
    for number in some
}

# %%
runs = {"ours": [load_ours(handed, number) for number in seeds]}
outcomes = apply(runs["ours"], subjects.store, subjects.held_out)
for key in baselines:
    runs[key], found = stages.train_and_apply(
        key, subjects, recipe=recipe, seeds=seeds, start=handed.pretrained, network=key, folder=folder
    )
    outcomes |= found

# %%
beside = {}
for key in references:
    runs[key], found = stages.train_and_apply(
        key, subjects, recipe=recipe, seeds=seeds[:n_references], network=key, folder=folder
    )
    beside |= found

# %% tags=["hide-input"]
learnt = {key: one for key, one in (outcomes | beside).items() if key not in ("ours", "s_b", "s_a_s_b")}
report.figure("curves", pictures.segmentation_curves(learnt),
              caption="Learning curves, first seed: loss in training (the sum of several where there are several "
              "branches), and mean Dice of the regions on cubes of held-out subjects, which decides nothing. The full "
              "network's are in the chapter before.",
              alt="Loss falls and Dice rises for every network.")  # fmt: skip

# %% [markdown]
# ## Upper half of Tables 2 and 4
#
# With 95 % intervals over trainings and subjects; the conventions are those of the chapter before. The rule needs no
# network: thresholds of FLAIR and T1c, fitted on the training subjects.

# %% tags=["hide-input"]
shown = {key: outcomes[key] for key in results.FUSION_ROWS} | {"rule": stages.rule_outcome(subjects, seeds=seeds)}
keep_scores(report, "segmentation", results.kept_rows(shown | beside).assign(role="brats2017"))
scores = {
    "table2": results.score_rows(shown, subjects=subjects.fewer, n_boot=n_boot, seed=seed),
    "table4": results.score_rows(shown, metrics=list(results.METRIC_TITLES), n_boot=n_boot, seed=seed),
}
both = {"2017, as published": "table2", "2018, as published": "table4"}
for metric, title in results.METRIC_TITLES.items():
    report.table(f"scores-{metric}", results.score_table(scores["table4"], metric=metric,
                 tables=both if metric in results.COMPARED else None), index=False,
                 caption=f"{title} on {len(subjects.held_out)} held-out subjects; published values, where a table "
                 "prints the metric, are those of ET / WT / TC / average.")  # fmt: skip

# %% tags=["hide-input"]
best = {row["place"]: row for row in scores["table4"].query("key == 'ours' and metric == 'dice'").to_dict("records")}
report.value("dice", **{name: best["average"][name] for name in ("value", "low", "high")}, n=int(best["average"]["n"]))
report.sentence(f"The full network has an average Dice of {report.text('dice')}. {results.distance_sentence(outcomes)}")

# %% [markdown]
# ### Does the order hold?
#
# By the average Dice of Table 4 the order is $S_B$, $S_A + S_B$, $S_A$, without mask guidance, with conventional
# attention, the full network (in Table 2 the two attentions change places).

# %%
chain = ["s_b", "s_a_s_b", "s_a", "without_mg", "with_ca", "ours"]
order = results.order_table(outcomes, chain, n_boot=n_boot, seed=seed)
report.table("order", order, index=False, caption="The order of Table 4 in the average Dice, step by step.")
against_rule = results.rule_sentence(shown, n_boot=n_boot, seed=seed)
report.sentence(f"{results.order_sentence(order)} {against_rule}")

# %% tags=["hide-input"]
everyone = shown | beside
against = [("ours", key) for key in everyone if key != "ours"]
differences = results.differences(everyone, against, n_boot=n_boot, seed=seed)
report.figure("differences", pictures.difference_figure(differences),
              caption="Dice of the full network minus that of the others, with 95 % intervals over trainings and "
              "subjects (one training of MONAI's networks).",
              alt="Dots with intervals around zero by region, a line a network.")  # fmt: skip
report.table("differences", differences.drop(columns=["first", "second"]), index=False,
             caption="The same as numbers.")  # fmt: skip

# %% [markdown]
# ## Tables 3 and 5: published networks
#
# The competitors' numbers are quoted from the paper and are of real patients. What was trained here stands below them
# and can only be compared among itself: the full network, and MONAI's, which see all modalities at once, have the same
# widths and the same cubes, and start from random weights.

# %% tags=["hide-input"]
trained = {"ours": outcomes["ours"], **beside}
for table, year, those in (("table3", 2017, subjects.fewer), ("table5", 2018, None)):
    here = results.score_rows(trained, metrics=["dice", "hd95"], subjects=those, n_boot=n_boot, seed=seed)
    report.table(table, results.quoted_table(table, here), index=False,
                 caption=f"Networks on the BraTS {year} validation set as published, and this run's.")  # fmt: skip

# %% [markdown]
# ## Figures 7 and 8: pictures
#
# Only simulated subjects are shown; on real ones the chapter gives numbers. Colours as in the paper.

# %% tags=["hide-input"]
seen = subjects.train[:n_training]
on_training = apply(runs["ours"], subjects.store, seen)["ours"]
printed = published("zhang2021.text.dice_training_2018").printed
training = results.estimate(on_training, "dice", "average", n_boot=n_boot, seed=seed)
report.value("training_dice", **training.as_dict())
report.sentence(f"On {len(seen)} subjects that it was trained on, the full network has an average Dice of "
                f"{report.text('training_dice')} (the paper: {printed}).")  # fmt: skip

# %% tags=["hide-input"]
if report.source == "simulated":
    report.figure(
        "figure7",
        pictures.segmentation_figure(subjects.store, dict.fromkeys(subjects.held_out[:3], ""),
                                     {one.title: one.labels for one in outcomes.values()}),
        caption="Held-out simulated subjects: FLAIR, the reference, and every network's segmentation with its mean "
        "Dice over the regions (counterpart of Figure 7, which has no reference).",
        alt="Rows of brain slices with coloured tumour regions: reference and one column a network.",
    )  # fmt: skip
    report.figure(
        "figure8",
        pictures.segmentation_figure(subjects.store, dict.fromkeys(seen[:3], ""), {"Ours": on_training.labels}),
        caption="Simulated subjects that the network was trained on: reference and segmentation (counterpart of "
        "Figure 8).",
        alt="Rows of brain slices: FLAIR, reference, segmentation by the full network.",
    )

# %% [markdown]
# ## Figure 9: where it fails
#
# The paper names absent enhancing tumour, disconnected regions and ragged contours, all in low-grade gliomas. Over the
# held-out subjects as they are: an absent region is one without a voxel in the reference, disconnected is a whole
# tumour of several components, ragged the third of subjects whose tumour has the largest surface for its volume.

# %% tags=["hide-input"]
shapes = failures.shape_table(subjects.store, subjects.held_out)
natural = failures.as_they_are(outcomes["ours"], shapes, subjects.grade, n_boot=n_boot, seed=seed)
report.table("subtypes", natural, index=False,
             caption="Dice of the full network on held-out subjects with and without each subtype.")  # fmt: skip
hardest = failures.hardest(outcomes["ours"], shapes, subjects.grade)
if report.source == "simulated":
    report.figure(
        "figure9",
        pictures.segmentation_figure(subjects.store, hardest, {"Ours": outcomes["ours"].labels}),
        caption="The held-out simulated subjects with the lowest Dice: of the high-grade ones, and of each subtype "
        "(counterpart of Figure 9).",
        alt="Rows of brain slices: FLAIR, reference, segmentation; a row a kind of failure.",
    )

# %% [markdown]
# Subtypes go together with grade, size and each other. In the simulation one trait can be changed while head, scanner
# and noise stay the same: the enhancing volume becomes non-enhancing core; the border loses all sharpness; one focus
# becomes five, of which some grow together again. Chosen are held-out subjects with enhancing tumour, one focus and the
# sharper half of borders, the smallest tumours first, because foci of large ones grow together.

# %% tags=["hide-input"]
changes = None
if report.source == "simulated" and n_changed:
    changed = failures.change_traits(data, subjects.held_out, most=n_changed, grid=handed.grid, spacing=handed.spacing)
    changes, rendered = failures.changed_table(changed, runs["ours"], n_boot=n_boot, seed=seed)
    report.table("changes-check", failures.change_check(changed), index=False, digits=2,
                 caption="What the changes did to the reference: means over subjects.")  # fmt: skip
    report.table("changes", changes, index=False,
                 caption="Dice of the full network on subjects as they are and with one trait changed. Without "
                 "enhancing tumour in the reference the Dice of ET is 1 where none is predicted, else 0.")  # fmt: skip
    report.figure(
        "changes",
        pictures.segmentation_figure(changed.store, failures.rows_of(changed), {"Ours": rendered.labels}),
        caption="One simulated subject as it is and with each trait changed.",
        alt="Rows of brain slices: as it is, without enhancing tumour, with ragged contours, with several foci.",
    )
    report.sentence(failures.failure_sentence(changes))

# %% [markdown]
# ## Real subjects
#
# Networks that have seen nothing but the cohort of this run, applied without any adaptation to real BraTS subjects with
# four modalities under the data root. They are few; this shows whether the simulation carries over, not how good a
# network is.

# %% tags=["hide-input"]
root = data_root()
there = real_subjects(root, most=n_real) if root is not None and report.source != "real" else None
if there is not None:
    real = real_table(there, runs, subjects.store)
    report.table("real", real, index=False, caption="Dice on real BraTS subjects (trainings averaged).")
    report.sentence(real_sentence(real))
else:
    report.note("No real subjects beside this run: no data root is named (RADLIB_DATA), none with four modalities and "
                "a segmentation lies there, or they are the cohort itself.")  # fmt: skip

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
failure, about = failures.for_the_ledger(natural, changes)
claims.record_fusion(report, subjects, scores, outcomes, training=training, failure=failure, failure_note=about,
                     n_boot=n_boot, seed=seed)  # fmt: skip

# %% tags=["remove-input", "hide-output"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | what a mask is multiplied with | a group of channels of its own | Figure 4 shows several masks beside the maps |
# | are masks probabilities or labels | probabilities, with gradients | labels have none |
# | which masks | all classes of both branches | "the segmentation masks predicted" |
# | the attention's surroundings | added to the maps, then one more convolution | a block that can do nothing |
# | conventional attention | CBAM in 3D, same place and convolution | it is cited |
# | what the Dice loss sums over | ET, WT and TC, each over the batch | they are "the desired areas" |
# | how $S_A$ and $S_B$ are trained | each by its own loss, on the same cubes | they are networks of their own |
# | augmentation | left and right swapped | none is mentioned |
# | after the network | nothing is removed | nothing is mentioned |
# | HD95 of a region that only one side has | left out of the distance, counted | a penalty would decide the mean |
#
# ## Limits
#
# - In the default profile the cohort is simulated, the networks are small, the trainings short and the voxels coarse.
#   Absolute values say how hard the simulation is, not how good the networks would be on patients.
# - In the simulation two thresholds are hard to beat: tumour is bright on FLAIR, and little else is. Where networks are
#   behind the rule, their order says which learns faster, not which is best in the end.
# - A difference smaller than its interval is open, in either direction. With few trainings intervals over them are wide
#   of their nominal coverage.
# - MONAI's networks start from random weights and were not tuned; their rows say what the same cubes teach them.
# - The two held-out sets overlap: that for Table 2 is a part of that for Table 4.
# - The intervention changes the trait that the simulation calls so; real ragged borders may look different.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(
    f"On {len(subjects.held_out)} held-out subjects ({report.source} cohort) the full network has an average Dice of "
    f"{report.text('dice')}. {results.order_sentence(order)} {against_rule} "
    + (failures.failure_sentence(changes) if changes is not None else "")
)

# %% tags=["remove-input"]
report.finish()
