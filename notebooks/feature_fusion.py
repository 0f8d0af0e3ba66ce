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
# **What the paper claims.** Zhang et al. {cite}`zhang2021crossmodality` fuse the features of two branches, one for T1
# and T1c, one for T2 and FLAIR, in a third branch that is guided by the masks which these two predict. On the BraTS
# 2018 validation set the average Dice is 0.843, without mask guidance 0.834, with conventional attention 0.840; the
# mean of the branches has 0.797. The network fails where enhancing tumour is absent, contours are ragged or regions are
# disconnected.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status feature_fusion
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
baselines: list[str] = ["branches", "without_mg", "with_ca"]  # from the transition
references: list[str] = ["segresnet", "dynunet"]  # MONAI's, from random weights
n_references: int = 5  # trainings of each of them
n_changed: int = 4  # simulated subjects with a trait changed (0: none)
n_training: int = 12  # training subjects that the network is applied to
n_real: int = 6  # real subjects, at most
n_boot: int = 2000  # resamples of every bootstrap

# %% tags=["hide-input"]
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.seeds import rng
from radlib.core.titles import METRIC_TITLES
from radlib.data.published import published
from radlib.data.regions import REGIONS
from radlib.nn.attention import ConventionalAttention3d, MaskGuidedAttention3d
from radlib.papers.zhang2021 import failures, figures, tables
from radlib.papers.zhang2021.data import PatchSampler
from radlib.papers.zhang2021.losses import dice_loss, fusion_loss
from radlib.papers.zhang2021.networks import FusionBranch, FusionNet, UNet, build
from radlib.papers.zhang2021.tables import COMPARED, PLACES
from radlib.plots.architecture import architecture_figure, blocks_of
from radlib.plots.curves import loss_figure
from radlib.stats.tables import format_interval
from radlib.study.estimates import contrasts, estimates
from radlib.study.gates import last_quarter_change

report = Report.start("feature_fusion", cohort=cohort, profile=profile, seed=seed)
resampled = {"n_boot": n_boot, "seed": seed}

# %% [markdown]
# ## The study
#
# Subjects, grid, sizes and seeds are those of *Cross-modality feature transition*. Every network of the paper starts
# from that chapter's weights and sees the same cubes in the same order. MONAI's SegResNet
# {cite}`myronenko2018segresnet` and DynUNet {cite}`isensee2021nnunet` start from random weights and see all modalities
# at once.

# %% tags=["study"]
from radlib.book.plan import study_of
from radlib.core.errors import MissingDataError
from radlib.core.titles import MODALITY_TITLES
from radlib.papers.zhang2021.data import PAIRS, channels_of
from radlib.papers.zhang2021.failures import changed
from radlib.papers.zhang2021.study import find_real, on_real, on_training, segmentation
from radlib.papers.zhang2021.tables import TITLES
from radlib.study.studies import Study

same = {"cohort": cohort, "profile": profile, "seed": seed}
before = study_of("feature_transition", "starts", **same).arms
ours = before["ours"]
there = channels_of(ours[0].inputs["groups"])
if lacking := [name for name in channels_of(PAIRS) if name not in there]:
    raise MissingDataError(
        f"the fusion of the paper's two pairs needs four modalities, and of "
        f"{', '.join(MODALITY_TITLES[name] for name in lacking)} this cohort has no images",
        remedy="use subjects with T1, T1c, T2 and FLAIR, as BraTS has them",
    )


def trained(network, jobs, *, random=False):
    """Another network on the data, with the recipe and from the start of these jobs."""
    changes = {"network": network, **({"start": ()} if random else {})}
    return [segmentation(**{**one.inputs, **changes}) for one in jobs]


networks = {
    "ours": ours,
    **{key: trained(key, ours) for key in baselines},
    **{key: trained(key, ours[:n_references], random=True) for key in references},
}
study = Study("networks", {**networks, "rule": before["rule"]}, titles=TITLES)
seen = [on_training(network=one, most=n_training) for one in ours]
training = Study("training", {"ours": seen})
changes = None
if cohort == "simulated" and n_changed:
    job = changed(networks=tuple(ours), most=n_changed)
    changes = Study("changes", {"ours": [job]})
real_cohort = find_real(n_real) if cohort != "real" and n_real else None
real = None
if real_cohort is not None:
    there = {"subjects": tuple(real_cohort.ids), "content": real_cohort.fingerprint()}
    tested = {
        arm: [on_real(networks=tuple(jobs), **there)] for arm, jobs in networks.items()
    }  # fmt: skip
    real = Study("real", tested, titles=TITLES)

# %% tags=["hide-input"]
for one in (study, training):
    report.study(one)

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
subjects = ours[0].inputs["data"].open()
scores = tables.by_prediction(study.scores)
order_of_arms = ["s_a", "s_b", "s_a_s_b", "without_mg", "with_ca", "ours", "rule", *references]
held_out = [arm for arm in order_of_arms if arm in set(scores["arm"])]
chain = ["s_b", "s_a_s_b", "s_a", "without_mg", "with_ca", "ours"]
late = last_quarter_change(study.history, "dice_mean") if "dice_mean" in study.history else {}
late |= dict.fromkeys(("s_a", "s_b", "s_a_s_b"), late.get("branches", float("nan")))
order = tables.order_table(scores, chain, curves=late, **resampled)
differences = tables.difference_table(scores, [("ours", arm) for arm in held_out if arm != "ours"], **resampled)
average = differences[differences["group"] == "average"].set_index("second")
above = {arm: format_interval(*average.loc[arm, ["value", "low", "high"]]) for arm in average.index}
words = order["here"].value_counts()
answer = (
    f"Of the {len(order)} steps of the claimed order {words.get('as claimed', 0)} are as claimed, "
    f"{words.get('reversed', 0)} are reversed and {words.get('open', 0)} are open. In the average Dice the "
    f"full network minus the mean of its branches is {above['s_a_s_b']}, minus that without mask guidance "
    f"{above['without_mg']}, minus that with conventional attention {above['with_ca']}, minus two thresholds "
    f"{above['rule']}."
)
options = {"groups": PLACES, "arms": held_out, **resampled}
all_held_out = estimates(scores, metrics=[name for name in METRIC_TITLES if name in set(scores["metric"])], **options)
fewer = estimates(scores, metrics=COMPARED, subjects=subjects.fewer, **options)
alone = ~all_held_out["arm"].isin(references)
best = all_held_out.query("arm == 'ours' and metric == 'dice' and group == 'average'").iloc[0]
report.value("dice", best["value"], low=best["low"], high=best["high"], n=int(best["n"]))
report.sentence(
    f"On {int(best['n'])} held-out subjects ({report.source} cohort) the full network has an average Dice of "
    f"{report.text('dice')}. Minus the mean of its branches it is {above['s_a_s_b']}, minus the network without mask "
    f"guidance {above['without_mg']}, minus two thresholds {above['rule']}."
)

# %% [markdown]
# ## Data

# %% tags=["hide-input"]
if report.source == "simulated":
    report.figure(
        "data",
        figures.pair_figure(subjects.store, subjects.held_out[:2], PAIRS),
        caption="Two simulated subjects: the modalities of pair A, those of pair B, and the reference over FLAIR.",
        alt="Rows of brain slices: T1, T1c, T2, FLAIR, and FLAIR with the tumour's regions in colour.",
    )
report.table("subjects", tables.subject_table(subjects), index=False, digits=1,
             caption="Subjects, and the median volume of their tumour's regions.")  # fmt: skip

# %% [markdown]
# ## Method
#
# ### Mask-guided attention
#
# Branches $S_A$ and $S_B$ are the generators with another last layer. The fusion branch $S_F$ of Figure 4 concatenates
# their penultimate features and convolves, adds their last features and convolves again, and applies attention to the
# result $U$. With $M_k$ the probabilities that the branches predict and $g_k$ a convolution of width 1 for each of
# them,
#
# $$ \mathrm{MG}(U) = U + f\big([M_1 \cdot g_1(U), \dots, M_K \cdot g_K(U)]\big). $$
#
# The masks say where, the convolutions what. *Conventional attention* puts CBAM
# {cite}`woo2018cbam` in the same place, whose weights come from $U$ itself.

# %%
show_code(MaskGuidedAttention3d, ConventionalAttention3d)

# %% [markdown]
# ### Fusion

# %%
show_code(FusionBranch, FusionNet)

# %% tags=["hide-input"]
with torch.device("meta"):
    whole = blocks_of(FusionNet(), (4, 128, 128, 128), opened=(UNet, FusionBranch))
report.figure(
    "architecture",
    architecture_figure(whole, lanes=(("branches.0", "input"), ("fusion",), ("branches.1",))),
    caption="The network at the published size, drawn from the modules (counterpart of Figures 4, 6 and half of "
    "Figure 2): two branches, and between them the fusion branch, which takes their last features and their masks.",
    alt="Two U-shaped rows of boxes, and between them a row of five boxes with arrows from both.",
)

# %% [markdown]
# ### Loss
#
# All parts learn together {cite}`milletari2016vnet` (7, 8):
#
# $$ \mathcal L_{seg}(S_A) + \mathcal L_{seg}(S_B) + \mathcal L_{seg}(S_F), \quad
#    \mathcal L_{seg}(S) = 1 - \frac{2\,|Y \cap S|}{|Y| + |S|}, $$
#
# where $|S|$ is the sum of *squared* probabilities, as in V-Net, and 1 is added to numerator and denominator.

# %%
show_code(dice_loss, fusion_loss)

# %% [markdown]
# ### One step by hand
#
# A cube of the training subjects, the untrained network, its loss and a backward pass.

# %%
recipe = ours[0].inputs["recipe"]
names = channels_of(PAIRS)
sampler = PatchSampler.of(
    subjects.store, subjects.train, modalities=names, recipe=recipe, seed=seed
)  # fmt: skip
images, classes = sampler.draw(0, rng(seed, "one step"))
torch.manual_seed(seed)
network = build("ours", recipe=recipe)
with FlopCounterMode(display=False) as counter:
    fused, branches = network.outputs(images)
loss = fusion_loss(fused, branches, classes)
loss["loss"].backward()

# %% tags=["remove-input"]
billions = counter.get_total_flops() / 2 / len(images) / 1e9
report.sentence(
    f"Images {list(images.shape)}, classes {list(classes.shape)}, logits {list(fused.shape)} of the fusion branch and "
    f"{len(branches)} others; loss {loss['loss'].item():.3f}, of which the fusion branch's {loss['fused'].item():.3f}. "
    f"The network has {sum(p.numel() for p in network.parameters()):,} parameters and takes {billions:.2f} billion "
    "multiplications per cube."
)

# %% [markdown]
# ## Training

# %% tags=["hide-input"]
curves = {arm: study.result(arm).history for arm in [*baselines, *references]}
report.figure(
    "curves",
    loss_figure({TITLES.get(arm, "S_A and S_B"): history for arm, history in curves.items()}, smooth=5,
                metric={"loss": "loss, training", "dice_mean": "Dice, tuning cubes"}),
    caption="Learning curves, first seed: loss in training (the sum of several where there are several branches), and "
    "mean Dice of the regions on cubes of tuning subjects. The full network's curves are in the previous chapter.",
    alt="Curves over steps for every network: loss, and Dice on cubes.",
)  # fmt: skip

# %% tags=["hide-input"]
report.beginning(study)

# %% [markdown]
# ## Upper half of Tables 2 and 4
#
# With 95 % intervals over trainings and subjects; the conventions are those of the previous chapter. The rule needs no
# network: thresholds on FLAIR and T1c, fitted on the training subjects.

# %% tags=["hide-input"]
both = {"2017, as published": "table2", "2018, as published": "table4"}


def score_table(metric):
    """Ours, and the published values where a table prints the metric."""
    report.table(
        f"scores-{metric.replace('_', '-')}",
        tables.score_table(all_held_out[alone], scores, metric, tables=both if metric in COMPARED else None),
        index=False,
        caption=f"{METRIC_TITLES[metric]} on {len(subjects.held_out)} held-out subjects; published values, where a "
        "table prints the metric, are those of ET / WT / TC / average.",
    )


score_table("dice")
score_table("lesion_dice")

# %% tags=["hide-input", "hide-output"]
for metric in dict.fromkeys(all_held_out["metric"]):
    if metric not in ("dice", "lesion_dice"):
        score_table(metric)

# %% tags=["hide-input"]
distances = scores.query("metric == 'hd95' and group == 'wt'").groupby(["arm", "subject"])["value"].mean().dropna()
far = distances.groupby("arm").agg(
    median="median", far=lambda d: int((d > 20).sum()), measured="size"
).reindex(held_out)  # fmt: skip
report.table("distances", far.rename(index=TITLES, columns={"far": "above 20 mm"}).rename_axis(None), digits=1,
             caption="HD95 of the whole tumour, mm: the median, and the number of subjects above 20 mm, who dominate "
             "a mean.")  # fmt: skip

# %% [markdown]
# ### Does the order hold?
#
# By the average Dice of Table 4 the order is $S_B$, $S_A + S_B$, $S_A$, without mask guidance, with conventional
# attention, the full network (in Table 2 the two attentions change places).

# %% tags=["hide-input"]
report.table("order", order, index=False,
             caption="The order of Table 4 in the average Dice, step by step. A word needs five trainings, an interval "
             "without 0, a better arm above the two thresholds, and flat learning curves; else it is open, and the "
             "gates that failed are named.")  # fmt: skip

# %% tags=["hide-input"]
report.figure("differences", figures.difference_figure(differences),
              caption="Dice of the full network minus that of the others, with 95 % intervals over trainings and "
              "subjects.",
              alt="Dots with intervals by region, one line per network, and a line at zero.")  # fmt: skip

# %% tags=["hide-input", "hide-output"]
report.table("differences", differences.drop(columns=["first", "second", "metric"]), index=False,
             caption="Differences in Dice, with 95 % intervals over trainings and subjects.")  # fmt: skip

# %% [markdown]
# ## Tables 3 and 5: published networks
#
# The competitors' numbers are quoted from the paper and come from real patients. The networks trained here stand below
# them and can only be compared with each other: the full network and MONAI's networks. MONAI's see all modalities at
# once, have the same widths and the same cubes, and start from random weights.

# %% tags=["hide-input"]
for table, year, here in (("table3", 2017, fewer), ("table5", 2018, all_held_out)):
    report.table(table, tables.quoted_table(table, here[here["arm"].isin(["ours", *references])]), index=False,
                 caption=f"Networks on the BraTS {year} validation set as published, and this run's.")  # fmt: skip

# %% [markdown]
# ## Figures 7 and 8: pictures
#
# Only simulated subjects are shown; on real ones the chapter gives numbers. Colours as in the paper.

# %% tags=["hide-input"]
on_seen = estimates(training.scores, metrics=["dice"], groups=PLACES, **resampled)
one = on_seen.set_index("group").loc["average"]
report.value("training_dice", one["value"], low=one["low"], high=one["high"], n=int(one["n"]))
report.sentence(f"On {int(one['n'])} subjects that it was trained on, the full network has an average Dice of "
                f"{report.text('training_dice')} (the paper: "
                f"{published('zhang2021.text.dice_training_2018').printed}).")  # fmt: skip


# %% tags=["hide-input"]
def rows_of(of, arms, ids):
    """The slices of subjects with most tumour, and what the first training of every arm found in them."""
    first_run = tables.by_prediction(of.scores).query("run == 0 and metric == 'dice'")
    dice = first_run.groupby(["arm", "subject"])["value"].mean()
    rows = []
    for subject, beside in ids.items():
        found = {}
        for arm in arms:
            source = "branches" if arm in ("s_a", "s_b", "s_a_s_b") else arm
            slices = of.result(source).arrays("slices")
            found[TITLES[arm]] = (slices[f"{arm}/{subject}"], dice[arm, subject])
        rows.append(figures.widest_row(subjects.store, subject, found, beside=beside))
    return rows


if report.source == "simulated":
    shown = [arm for arm in ("ours", "s_a", "s_b", "s_a_s_b", "without_mg", "with_ca") if arm in held_out]
    report.figure(
        "figure7",
        figures.segmentation_figure(rows_of(study, shown, dict.fromkeys(subjects.held_out[:3], ""))),
        caption="Held-out simulated subjects: FLAIR, the reference, and every network's segmentation with its mean "
        "Dice over the regions (counterpart of Figure 7, which has no reference).",
        alt="Rows of brain slices with coloured tumour regions: reference and one column per network.",
    )  # fmt: skip
    report.figure(
        "figure8",
        figures.segmentation_figure(rows_of(training, ["ours"], dict.fromkeys(subjects.train[:3][:n_training], ""))),
        caption="Simulated subjects that the network was trained on: reference and segmentation (counterpart of "
        "Figure 8).",
        alt="Rows of brain slices: FLAIR, reference, segmentation by the full network.",
    )

# %% [markdown]
# ## Figure 9: where it fails
#
# The paper names absent enhancing tumour, disconnected regions and ragged contours, all in low-grade gliomas. Over the
# held-out subjects as they are: an absent region has no voxel in the reference, a disconnected whole tumour has several
# components, and ragged is the third of subjects whose tumour has the largest surface for its volume.

# %% tags=["hide-input"]
shapes = failures.shape_table(subjects.store, subjects.held_out)
full = scores[scores["arm"] == "ours"]
natural = failures.as_they_are(full, shapes, subjects.grade, **resampled)
report.table("subtypes", natural, index=False,
             caption="Dice of the full network on held-out subjects with and without each subtype.")  # fmt: skip
if report.source == "simulated":
    worst = failures.hardest(full, shapes, subjects.grade)
    report.figure(
        "figure9",
        figures.segmentation_figure(rows_of(study, ["ours"], worst)),
        caption="The held-out simulated subjects with the lowest Dice: of the high-grade ones, and of each subtype "
        "(counterpart of Figure 9).",
        alt="Rows of brain slices: FLAIR, reference, segmentation; one row per kind of failure.",
    )

# %% [markdown]
# Subtypes are associated with grade, size and each other. In the simulation one trait can be changed while head,
# scanner and noise stay the same: the enhancing volume becomes non-enhancing core; the border loses all sharpness; one
# focus becomes five, some of which merge again. Held-out subjects with enhancing tumour, one focus and the sharper half
# of borders are used, the smallest tumours first, because the foci of large tumours merge.

# %% tags=["hide-input"]
if changes is not None:
    report.study(changes)
    made = changes.result("ours")
    report.table("changes-check", failures.change_check(made.table("shapes")), index=False, digits=2,
                 caption="What the changes did to the reference: means over subjects.")  # fmt: skip
    pairs = [(change, "as_it_is") for change in failures.SUBTYPES]
    gaps = contrasts(made.scores, pairs, metrics=["dice"], groups=REGIONS, **resampled)
    level = estimates(made.scores, metrics=["dice"], groups=REGIONS, **resampled).set_index(["arm", "group"])["value"]
    shown = pd.DataFrame({
        "subtype": gaps["first"].map(failures.SUBTYPES), "region": gaps["group"].str.upper(),
        "as it is": [level["as_it_is", group] for group in gaps["group"]],
        "changed": [level[row.first, row.group] for row in gaps.itertuples()],
        "difference": gaps["value"], "low": gaps["low"], "high": gaps["high"], "n": gaps["n"],
    })  # fmt: skip
    report.table("changes", shown, index=False,
                 caption="Dice of the full network on subjects as they are and with one trait changed. Without "
                 "enhancing tumour in the reference the Dice of ET is 1 where none is predicted, else 0.")  # fmt: skip
    pictures = made.arrays("pictures")
    first_subject = made.scores["subject"].iloc[0]
    means = (
        made.scores.query("run == 0 and metric == 'dice' and subject == @first_subject").groupby("arm")["value"].mean()
    )
    report.figure(
        "changes",
        figures.segmentation_figure([
            (title, pictures[f"{change}/image"], pictures[f"{change}/truth"],
             {TITLES["ours"]: (pictures[f"{change}/found"], means[change])})
            for change, title in failures.CHANGES.items()
        ]),
        caption="One simulated subject as it is and with each trait changed.",
        alt="Rows of brain slices: as it is, without enhancing tumour, with ragged contours, with several foci.",
    )  # fmt: skip
    costs = shown.set_index(["subtype", "region"])
    said = "; ".join(
        f"{subtype} {format_interval(*costs.loc[(subtype, 'TC'), ['difference', 'low', 'high']])}"
        for subtype in failures.SUBTYPES.values()
    )
    changed_answer = (
        f"With one trait changed and nothing else, the Dice of the core changes by: {said} "
        f"(n = {int(shown['n'].max())} simulated subjects)."
    )
    report.sentence(changed_answer)

# %% [markdown]
# ## Real subjects
#
# Networks trained only on the cohort of this run, applied without any adaptation to real BraTS subjects with four
# modalities under the data root. The subjects are few: this shows whether the simulation carries over, not how good a
# network is.

# %% tags=["hide-input"]
if real is not None:
    report.study(real)
    found = real.table("real")
    found["network"] = found["arm"].where(found["arm"] != "branches", found["prediction"]).map(TITLES)
    found["region"] = found["group"].str.upper()
    names = {"size": "subjects", "mean": "mean Dice", "min": "lowest", "max": "highest"}
    report.table("real", found[["network", "region", *names]].rename(columns=names), index=False,
                 caption="Dice on real BraTS subjects (trainings averaged).")  # fmt: skip
    full_real = found[found["arm"] == "ours"].set_index("region")
    report.sentence(
        f"On {int(full_real['size'].max())} real subjects the full network has a Dice of "
        + ", ".join(f"{region} {row['mean']:.3f} ({row['min']:.3f} to {row['max']:.3f})"
                    for region, row in full_real.iterrows()) + "."
    )  # fmt: skip
else:
    report.note("No real subjects beside this run: no data root is named (RADLIB_DATA), none with four modalities and "
                "a segmentation lies there, or they are the cohort itself.")  # fmt: skip

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
report.measured("validation-2018", all_held_out.dropna(subset="value"), protocol="leakage-free")
report.measured("validation-2017", fewer.dropna(subset="value"), protocol="leakage-free")
steps_up = [("s_a_s_b", "s_b"), ("s_a", "s_a_s_b")]
compared = [("ours", arm) for arm in held_out if arm != "ours"]
gaps_held_out = contrasts(scores, compared + steps_up, metrics=["dice"], groups=PLACES, **resampled)
report.measured("validation-2018", gaps_held_out.dropna(subset="value"), protocol="leakage-free")
report.measured("training", on_seen, protocol="as published")
absent = natural[natural["subtype"] == failures.SUBTYPES["absent_et"]].assign(
    arm="ours", metric="dice_change", group=lambda t: t["region"].str.lower(), value=lambda t: t["difference"],
    n=lambda t: t["n with"] + t["n without"], note="subjects without enhancing tumour against those with it",
)  # fmt: skip
if changes is not None:
    absent = gaps[gaps["first"] == "absent_et"].assign(
        arm="ours", metric="dice_change", note="the same subjects with enhancing tumour taken away"
    )
columns = ["arm", "metric", "group", "value", "low", "high", "n", "note"]
report.measured("failures", absent.loc[absent["value"].notna(), columns])

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | what a mask is multiplied with | its own group of channels | Figure 4 shows several masks beside the maps |
# | are masks probabilities or labels | probabilities, with gradients | labels have none |
# | which masks | all classes of both branches | "the segmentation masks predicted" |
# | the attention's surroundings | added to the maps, then one more convolution | a block that can do nothing |
# | conventional attention | CBAM in 3D, same place and convolution | it is cited |
# | $\lvert S\rvert$ in the Dice loss | squared probabilities, 1 added above and below | V-Net; plain sums are slower |
# | gradient clipping, precision, intensities | norm 5; bf16 on a GPU; z-scores clipped at 5 | none is mentioned |
# | what the Dice loss sums over | ET, WT and TC, each over the batch | they are "the desired areas" |
# | how $S_A$ and $S_B$ are trained | each by its own loss, on the same cubes | they are separate networks |
# | augmentation | left and right swapped | none is mentioned |
# | after the network | nothing is removed | nothing is mentioned |
# | HD95 of a region that only one side has | left out of the distance, counted | a penalty would decide the mean |
#
# ## Limits
#
# - In the default profile the cohort is simulated, the networks are small, the trainings short and the voxels coarse.
#   Absolute values say how hard the simulation is, not how good the networks would be on patients.
# - Where networks are below the two thresholds, their order says which learns faster, not which is best in the end.
# - A difference whose interval holds 0 is undecided. With few trainings the coverage of the intervals is only
#   approximate.
# - MONAI's networks start from random weights and were not tuned; their rows say what they learn from the same cubes.
# - The two held-out sets overlap: that for Table 2 is a part of that for Table 4.
# - The changed traits are those of the simulation; real ragged borders may look different.
#
# ## Questions
#
# 1. *Do the masks guide?* Double `steps` in the parameters cell of the previous chapter: does the gap between
#    `without_mg` and the full network close?
# 2. *Is one network enough?* Compare `segresnet`, which sees all modalities at once, with
#    the mean of the branches.
#
# With `BUDGET=0.05`, `n_seeds = 1` in the previous chapter and `n_changed = 0` here each runs in under two minutes.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(
    f"On {len(subjects.held_out)} held-out subjects ({report.source} cohort, {len(ours)} trainings) the full network "
    f"has an average Dice of {report.text('dice')}. {answer}" + (f" {changed_answer}" if changes is not None else "")
)

# %% tags=["remove-input"]
report.finish()
