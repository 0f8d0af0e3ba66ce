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
# # IDH1 prediction
#
# **What the paper claims.** {cite:t}`li2017dlr` predict the IDH1 mutation of grade II glioma from the deep features of
# the last chapter. With one modality the AUC is 92 %, against 86 % for conventional radiomics on the same patients;
# with two modalities and further selection it is 95 %. Deeper layers are said to predict better, up to the last
# convolution.
#
# **What this chapter does.** The same arms with the same selection and machine, twice: as the text reads, with the
# features chosen on all patients, and leakage-free, with every step repeated for each patient left out. Beside
# them stand age and other simple rules, shuffled labels, and a simulated hospital in which IDH does nothing to an
# image: what a procedure finds there is its own doing. The arm on tables of real TCGA patients is in the chapter
# [IDH from radiomic tables](idh_tables).

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
n_train: int = 60  # patients who trained the network, as in the chapter on the tumour CNN
n_runs: int = 5  # trainings of the network, as there
grid: list[int] = [96, 96, 64]  # voxels of the common grid, as there
spacing: float = 2.25  # edge of a voxel, mm, as there
memory_mapped: bool = False  # images in files, for cohorts that do not fit into memory
filters: list[int] = [16, 32]  # of the network's convolutions, as there
neurons: list[int] = [16, 256]  # of its fully connected layers, as there
steps: int = 240  # of its training, as there
batch_size: int = 64  # as there
learning_rate: float = 0.03  # as there
schedule: str = "one_cycle"  # as there
threshold: str = "natural"  # of its probability, as there
alpha: float = 0.05  # level of the t-test (published)
C: float = 1.0  # box constraint of the SVM (published)
feature_numbers: list[int] = [5, 10, 20, 50, 100, 200, 500]  # of the further selection
n_folds: int = 5  # patient-level folds, beside leave-one-out
n_repeats: int = 5  # repeats of these folds
n_permutations: int = 40  # shuffles of the labels
n_one_by_one: int = 10  # of these by leave-one-out, for two modalities
n_splits: int = 100  # random splits of the size of the split by time
n_null: int = 60  # patients of the hospital without an effect; 0 leaves it out
null_grid: list[int] = [64, 64, 48]  # voxels of its images
n_boot: int = 2000  # resamples of the patient bootstrap

# %% tags=["hide-input"]
import pandas as pd

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.data.published import published
from radlib.data.sources import open_cohort
from radlib.features.extract import extract_cohort
from radlib.features.fisher import load_mixtures
from radlib.papers.across.idh import planted_traits
from radlib.papers.li2017 import prediction_arms as runs
from radlib.papers.li2017 import prediction_results as results
from radlib.papers.li2017.features import Encoding, FeatureSet, Patients
from radlib.papers.li2017.prediction import Recipe as Classifier
from radlib.papers.li2017.prediction import time_split
from radlib.papers.li2017.prediction_arms import FOLDS, LEAVE_ONE_OUT, arm
from radlib.papers.li2017.prediction_results import estimate
from radlib.papers.li2017.study import tumour_network
from radlib.plots.dots import dot_plot
from radlib.plots.statistics import roc_figure
from radlib.stats.classification import difference
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE, PERMUTED, PUBLISHED_PERMUTED

report = Report.start("idh_prediction", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# The Fisher vectors come from the last chapter. Conventional radiomics are 671 features of intensity, shape, texture
# and wavelets of FLAIR within the same outlines, as in the chapter on hand-crafted features.

# %% tags=["study"]
from radlib.papers.li2017.data import MODALITIES
from radlib.papers.li2017.study import Recipe, Setting, network_jobs
from radlib.study.cohorts import Images, Source

images = Images(
    source=Source("huashan", cohort, profile, seed), modalities=MODALITIES,
    grid=tuple(grid), spacing=spacing, memory_mapped=memory_mapped,
)  # fmt: skip
setting = Setting(images=images, n_train=n_train, seed=seed)
recipe = Recipe(
    filters=tuple(filters), steps=steps, batch_size=batch_size,
    learning_rate=learning_rate, schedule=schedule, threshold=threshold,
)  # fmt: skip
options = {"neurons": neurons, "n_runs": n_runs}
multiple = network_jobs(setting, recipe, arm="multiple", **options)
flair_alone = network_jobs(setting, recipe, arm="conv6_wide", **options)

# %%
patients = open_cohort("huashan", cohort=cohort, profile=profile).complete("flair", "seg", "idh")
arrays = report.directory.parent / "fisher_features" / "arrays"
who = Patients.load(arrays / "patients.json")
both = tumour_network(multiple[0].result())
layers, last = both.network.layers, both.network.conv_names[-1]
extra = [name for name in ("predicted",) if (arrays / f"{name}.npz").is_file()]
sets = {name: FeatureSet.load(arrays / f"{name}.npz") for name in (*layers, "single", *extra)}
mutant = patients.participants["idh"] == "mutant"
first, second = mutant[list(who.first)], mutant[list(who.second)]

# %%
calculated = extract_cohort(patients, preset="li671", out=report.directory / "arrays" / "li671.parquet")
radiomics = calculated.features
volume = radiomics["morphology_volume_voxel_counting"]

# %% tags=["remove-input"]
report.sentence(
    f"First cohort: {len(first)} patients, {int(first.sum())} mutant. Second cohort: {len(second)}, "
    f"{int(second.sum())} mutant. {sets[last].values.shape[1]} deep features of {last}, "
    f"{radiomics.shape[1]} calculated features. " + " ".join(patients.notes)
)

# %% [markdown]
# ## Method
#
# **Selection.** Student's t-test keeps features with $p < 0.05$. The *further selection* ranks them by F-score
# {cite}`chen2006fscore` and keeps the best so many. **Machine**: a linear support vector machine, $C = 1$, on
# standardised features. **As published**, standardisation and selection see all patients and only the machine leaves
# one out; the number of features is the one that turns out best. **Leakage-free**, every step is fitted anew without
# the patient left out, and the number is chosen by inner folds. **Controls**: the majority class, age, age with sex and
# tumour volume, shuffled labels, and the hospital without an effect.
#
# With thousands of features, selecting anew for each patient is nearly all of the work. Sums and sums of squares of
# both classes are taken once, those of the patient left out are taken off, and the machine sees the kernel
# $K = X_S X_S^{\top}$ of the selected columns, so that all folds take seconds.
#
# **Intervals** (95 %): DeLong for the AUC {cite}`delong1988`, Wilson for proportions {cite}`wilson1927`, BCa over
# patients for the rest {cite}`efron1987bca`. All hold the fitted models fixed.

# %%
machine = Classifier(alpha=alpha, C=C)
folding = {"n_folds": n_folds, "n_repeats": n_repeats, "seed": seed}
RADIOMICS, SINGLE, MULTIPLE = "radiomics", "DLR, FLAIR", "DLR, FLAIR + T1c"
SECOND, FIRST = f"{SINGLE} (second cohort)", f"{SINGLE} (first cohort)"
arms = [
    arm(RADIOMICS, "table2.a.radiomics", runs.filled(radiomics.loc[second.index]), second),
    arm(SECOND, "table2.a.dlr", sets["single"].rows(who.second), second),
    arm(FIRST, "table2.b.single", sets["single"].rows(who.first), first),
    arm(f"{RADIOMICS} (first cohort)", "", runs.filled(radiomics.loc[first.index]), first),
    *(arm(f"{MULTIPLE}, own outlines", "", sets[name].rows(who.first), first) for name in extra),
]
depth = [arm(layer, f"table3.{layer}", sets[layer].rows(who.first), first) for layer in layers]
main = arm(MULTIPLE, "table2.b.multiple", sets[last].rows(who.first), first)

# %%
found = {}
for one in (*arms, main, *depth):
    found |= runs.run_arm(one, machine, **folding)
selected, curve, chosen = runs.run_selected(main, machine, feature_numbers, seed=seed)
rules = runs.controls(patients, first, volume)
found |= selected | rules

# %%
test_sizes = [(s, int(published(f"li2017.text.test_by_time.{k}").value))
              for s, k in (("mutant", "mutation"), ("wildtype", "wildtype"))]  # fmt: skip
early, late = time_split(patients.participants.loc[first.index], test=test_sizes, seed=seed)
found |= runs.run_time_split(main, early, late, machine, feature_numbers, seed=seed)
table = results.long_table(found, n_boot=n_boot, seed=seed)

# %% [markdown]
# ## Results
#
# ### Conventional radiomics and deep features

# %% tags=["hide-input"]
SELECTED, BY_TIME = f"{MULTIPLE}, selected", f"{MULTIPLE}, by time"
rows_a = {one.name: one.row for one in arms[:2]}
rows_b = {FIRST: "table2.b.single", MULTIPLE: "table2.b.multiple", SELECTED: "table2.b.selected"}
for letter, rows, caption in (
    ("a", rows_a, "second cohort, leave-one-out"),
    (
        "b",
        rows_b | {**{one.name: "" for one in arms[3:]}, **{name: "" for name, _, _ in rules}},
        "first cohort, leave-one-out",
    ),
    ("c", {BY_TIME: "table2.c.multiple"}, "first cohort, trained on the early patients, tested on the later ones"),
):
    shown = results.wide_table(table, rows, scheme="split" if letter == "c" else LEAVE_ONE_OUT)
    report.table(
        f"table2{letter}", shown, index=False, caption=f"Table 2({letter}): {caption}; value and 95 % interval."
    )

# %% tags=["hide-input"]
predicted = {
    letter: {f"{results.short(name)}, {p}": found[name, LEAVE_ONE_OUT, p] for name in rows for p in runs.PROTOCOLS}
    for letter, rows in (("a", rows_a), ("b", rows_b))
}
for letter, curves in predicted.items():
    names = [name for name in curves if LEAKAGE_FREE in name][-1:]
    report.figure(
        f"roc-{letter}",
        roc_figure(curves, bands=names, seed=seed),
        caption=f"ROC curves of leave-one-out (the counterpart of Figure 3{letter}), "
        f"{'second' if letter == 'a' else 'first'} cohort; a pointwise 95 % band for {names[0]}.",
        alt="ROC curves of every arm under two protocols around the diagonal.",
    )

# %% tags=["hide-input"]
pairs = [
    (SECOND, RADIOMICS),
    (MULTIPLE, FIRST),
    (SELECTED, MULTIPLE),
    *((MULTIPLE, one.name) for one in arms[3:]),
    (MULTIPLE, "age model"),
]
report.table(
    "delong",
    results.delong_table(found, pairs),
    index=False,
    caption="DeLong's test between curves of the same patients, leave-one-out: first minus second.",
)

# %% tags=["hide-input"]
inside = [subject in set(who.unseen) for subject in who.first]
unseen = found[MULTIPLE, LEAVE_ONE_OUT, LEAKAGE_FREE].subset(inside)
kept = results.long_table({("unseen", LEAVE_ONE_OUT, LEAKAGE_FREE): unseen}, n_boot=n_boot, seed=seed)
report.value("unseen_auc", **estimate(kept, "unseen", LEAVE_ONE_OUT, LEAKAGE_FREE, "auc").as_dict())
report.sentence(
    f"Among the {sum(inside)} patients whose images trained neither the network nor the dictionary, the leakage-free "
    f"AUC of {MULTIPLE} is {report.text('unseen_auc')}."
)

# %% tags=["hide-input"]
repeated = table[(table["scheme"] == FOLDS) & table["model"].isin([*rows_a, *rows_b])]
report.figure(
    "folds",
    dot_plot(
        repeated,
        metrics=["auc", "accuracy"],
        colour="protocol",
        references={"auc": [("no skill", 0.5)]},
        row_height=0.5,
    ),
    caption=f"The same by {n_folds} folds, {n_repeats} times: leave-one-out ranks a useless model below one half, "
    "because each model lacks the very patient that it ranks; larger folds do so less.",
    alt="Dots with intervals of AUC and accuracy under two protocols for four arms.",
)

# %% [markdown]
# ### How many features

# %% tags=["hide-input"]
report.figure(
    "number",
    results.number_figure(curve),
    caption=f"AUC over the number of features, {MULTIPLE} (the counterpart of supplementary Figure 3), with DeLong's "
    "intervals. The distance between the curves is what selection on all patients adds.",
    alt="Two curves of AUC over the number of features, one a protocol, with a line at one half.",
)
report.sentence(
    f"In the folds {pd.Series(chosen).mode().iloc[0]} features were chosen most often; the numbers chosen range from "
    f"{chosen.min()} to {chosen.max()}."
)

# %% [markdown]
# ### Layers

# %% tags=["hide-input"]
rows3 = {one.name: one.row for one in depth}
report.table(
    "table3",
    results.wide_table(table, rows3, scheme=LEAVE_ONE_OUT),
    index=False,
    caption="Table 3: the features of each layer, first cohort, leave-one-out.",
)

# %% [markdown]
# On shuffled labels nothing can be predicted. What a protocol then finds is its own doing, and how far chance alone
# carries a result under *this* procedure with *these* patients is seen at once: further than the intervals of an AUC
# say, as these hold the fitted models fixed.

# %%
tables = {one.name: one.table for one in (main, arms[1], arms[0], *depth)}
permutations = runs.shuffled(
    tables, machine, permutations=n_permutations, n_folds=n_folds, one_by_one=n_one_by_one, seed=seed
)
summary = results.shuffled_summary(permutations)

# %% tags=["hide-input"]
report.figure(
    "layers",
    results.layer_figure(table, rows3, scheme=FOLDS, summary=summary),
    caption="AUC by layer under both protocols (repeated folds), with 95 % intervals, and the values of Table 3. Grey: "
    f"central 95 % of {n_permutations} shuffles, leakage-free.",
    alt="Dots with intervals by layer; the published values as crosses; grey bars around one half.",
)
report.table(
    "chance",
    results.chance_table(table, permutations),
    index=False,
    caption=f"Leakage-free AUC by folds beside {n_permutations} shuffles of the labels (central 95 %); p is one-sided.",
)

# %% tags=["hide-input"]
deeper = difference(
    *(found[layer, FOLDS, LEAKAGE_FREE] for layer in (last, layers[0])), "auc", n_boot=n_boot, seed=seed
)
full = difference(*(found[layer, FOLDS, LEAKAGE_FREE] for layer in (layers[-2], last)), "auc", n_boot=n_boot, seed=seed)
report.value("deeper", **deeper.as_dict())
report.value("full", **full.as_dict())
report.sentence(
    f"Leakage-free and by folds, the AUC of {last} minus that of {layers[0]} is {report.text('deeper')}, that of "
    f"{layers[-2]} minus {last} {report.text('full')}."
)

# %% [markdown]
# ### Another split of the same size
#
# The paper tests once more on the 34 patients diagnosed last. In the simulation time does nothing, and other splits of
# the same size show how much one of them can say.

# %% tags=["hide-input"]
n_late = (int(first[late].sum()), int((~first[late]).sum()))
draws = runs.splits_at_random(main, n_test=n_late, recipe=machine, draws=n_splits, seed=seed)
low, high = draws["auc"].quantile([0.025, 0.975])
report.value("splits_auc", draws["auc"].mean(), low=low, high=high, n=n_splits)
report.sentence(
    f"Over {n_splits} random splits with {sum(n_late)} test patients the leakage-free AUC has mean and central 95 % "
    f"{report.text('splits_auc')}."
)

# %% [markdown]
# ## Controls
#
# The same shuffles under both protocols.

# %% tags=["hide-input"]
shown = summary[(summary["scheme"] == "folds") & summary["features"].isin([*rows_a, MULTIPLE, layers[-1]])]
report.figure(
    "shuffled",
    dot_plot(
        shown,
        metrics=["auc", "accuracy"],
        rows="features",
        colour="protocol",
        row_height=0.5,
        references={"auc": [("no skill", 0.5)]},
    ),
    caption=f"Shuffled labels, folds: mean and central 95 % of {n_permutations} shuffles.",
    alt="Dots with intervals of AUC and accuracy on shuffled labels, by arm and protocol.",
)
report.table(
    "shuffled",
    summary[summary["metric"] == "auc"].drop(columns="metric"),
    index=False,
    caption="AUC on shuffled labels; `excess` is the mean minus one half.",
)

# %% [markdown]
# **A hospital without an effect.** The same simulation with every arrow from IDH and grade to the image cut: images
# of mutant and wild-type tumours have one distribution. Network and dictionary stay as they are.

# %%
null = {}
if n_null and report.source == "simulated":
    vectors, status = runs.null_features(
        report.directory / "checkpoints" / "null",
        both,
        load_mixtures(arrays / "mixtures.safetensors")[last],
        layer=last,
        encoding=Encoding.load(arrays / "encoding.json"),
        grid=tuple(null_grid),
        like={"grid": grid, "spacing": spacing},
        n=n_null,
        seed=seed + 1,
    )
    nobody = arm("no effect", "", vectors.values, status)
    null = runs.run_arm(nobody, machine, **folding)

# %% tags=["hide-input"]
if null:
    nothing = results.long_table(null, n_boot=n_boot, seed=seed)
    report.table(
        "null",
        results.wide_table(nothing, {"no effect": ""}, scheme=FOLDS),
        index=False,
        caption=f"No effect of IDH on the image: {len(status)} patients, {int(status.sum())} mutant, folds.",
    )

# %% tags=["hide-input"]
if null:
    for protocol, key in ((AS_PUBLISHED, "null_published"), (LEAKAGE_FREE, "null_clean")):
        report.value(key, **estimate(nothing, "no effect", FOLDS, protocol, "auc").as_dict())
    moved = runs.shuffled({"no effect": nobody.table}, machine, permutations=n_permutations, n_folds=n_folds, seed=seed)
    null_chance = results.chance_table(nothing, moved).iloc[0]
    report.sentence(
        f"Without an effect the AUC is {report.text('null_published')} as published and {report.text('null_clean')} "
        "leakage-free. The interval holds the fitted models fixed and is too narrow: with the labels of these patients "
        f"shuffled as well, the leakage-free AUC is {null_chance['shuffled labels']} (mean and central 95 %; one-sided "
        f"p of the labels as they are {null_chance['p']:.2f})."
    )

# %% [markdown]
# ### The truth of the simulation
#
# The planted traits are what IDH acts on in an image: the best that perfectly measured features could do.

# %% tags=["hide-input"]
if patients.truth is not None:
    traits = planted_traits(patients)
    ideal = arm("planted traits", "", traits.loc[first.index].to_numpy(), first)
    ceiling = results.long_table(runs.run_arm(ideal, machine, **folding), n_boot=n_boot, seed=seed)
    report.value("ceiling", **estimate(ceiling, "planted traits", FOLDS, LEAKAGE_FREE, "auc").as_dict())
    report.table("planted", results.trait_table(traits.loc[first.index], first), index=False,
                 caption="AUC of each planted trait alone for IDH, first cohort (direction ignored).")  # fmt: skip
    report.sentence(f"The SVM on the planted traits has a leakage-free AUC of {report.text('ceiling')}.")
else:
    report.sentence("This cohort is not simulated: no truth is planted in it.")

# %% [markdown]
# ## Agreement with the paper
#
# Every row of Tables 2 and 3 stands beside the paper's in the [ledger](/generated/ledger), under both protocols.

# %% tags=["remove-input"]
note = "leave-one-out; simulated patients of the paper's numbers and classes" if report.source == "simulated" else ""
for name, row in {**rows_a, **rows_b, **rows3}.items():
    results.record_row(report, table, name, row, scheme=LEAVE_ONE_OUT, note=note)
results.record_row(report, table, BY_TIME, "table2.c.multiple", scheme="split", note="random split of the paper's size")
texts = {"auc_radiomics": (RADIOMICS, "auc"), "auc_dlr": (SECOND, "auc"), "auc_multiple": (SELECTED, "auc"),
         "accuracy_radiomics": (RADIOMICS, "accuracy")}  # fmt: skip
results.record_text(report, table, texts, note=note)
for key, change in (("depth_claim", deeper), ("fully_connected_claim", full)):
    report.record(f"li2017.text.{key}", **change.as_dict(), protocol=LEAKAGE_FREE, note="a difference of AUCs, folds")

# %% tags=["remove-input"]
counts = {"patients": len(patients), "first_cohort": len(first), "second_cohort": len(second),
          "training_by_time": len(early), "training_by_time.mutation": int(first[early].sum()),
          "training_by_time.wildtype": int((~first[early]).sum()), "test_by_time": len(late),
          "test_by_time.mutation": n_late[0], "test_by_time.wildtype": n_late[1]}  # fmt: skip
for key, count in counts.items():
    report.record(f"li2017.text.{key}", float(count), n=len(patients))
for protocol in runs.PROTOCOLS:
    one = estimate(table, MULTIPLE, LEAVE_ONE_OUT, protocol, "auc")
    report.record("li2017.figure3", **one.as_dict(), protocol=protocol, note="redrawn; the AUC of two modalities")
results.record_rest(report)

# %% tags=["remove-input", "hide-output"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | is selection inside the leave-one-out | both readings | the text tells it first, of *all* features |
# | how many features the further selection keeps | `feature_numbers`; best one, or chosen inside | not given |
# | "paired" t-test or Student's (the paper says both) | Student's, two samples | different patients make no pairs |
# | scaling before the machine | standardised | a linear SVM needs one scale |
# | threshold | zero of the decision function | the machine's own |
# | the split by time, in a simulation without time | random, published sizes | or a column `diagnosis_year` |
# | which patients the second cohort shares with the first | random, published sizes | counts only are given |
#
# ## Limits
#
# - In the simulation IDH acts on the composition, the border and the place of a tumour, and hardly on the grey values
#   of FLAIR. What real tumours show may suit a network better or worse.
# - Intervals hold the fitted models fixed, and p-values are not corrected for their number. A shuffle runs the folds
#   once and not several times, so shuffles spread slightly more than the results beside them.
# - The network was trained on half of the patients that are predicted, though not on their IDH status.
#
# ## Summary

# %% tags=["remove-input"]
shuffle = summary[(summary["features"] == MULTIPLE) & (summary["scheme"] == "folds") & (summary["metric"] == "auc")]
excess = shuffle.set_index("protocol")["excess"]
said = {}
for name in (RADIOMICS, SECOND, MULTIPLE, SELECTED):
    for protocol, short in ((AS_PUBLISHED, "published"), (LEAKAGE_FREE, "clean")):
        key = f"{name.lower().replace(' ', '_').replace(',', '')}_{short}"
        report.value(key, **estimate(table, name, LEAVE_ONE_OUT, protocol, "auc").as_dict())
        said[name, short] = report.text(key)
report.value("age_auc", **estimate(table, "age model", LEAVE_ONE_OUT, CONTROL, "auc").as_dict())
report.value("leaky_auc", 0.5 + float(excess[PUBLISHED_PERMUTED]))
report.value("clean_auc", 0.5 + float(excess[PERMUTED]))

# %% tags=["remove-input"]
lines = [
    f"- {name}: AUC {said[name, 'published']} as published, {said[name, 'clean']} leakage-free."
    for name in (RADIOMICS, SECOND, MULTIPLE, SELECTED)
]
lines += [f"- Age alone: {report.text('age_auc')}."]
lines += [
    f"- On shuffled labels the published protocol has a mean AUC of {report.text('leaky_auc')}, that is "
    f"{excess[PUBLISHED_PERMUTED]:.3f} above one half; the leakage-free one has {report.text('clean_auc')} "
    f"({n_permutations} shuffles). The paper prints {published('li2017.table2.b.multiple.auc').value:.3f} for the arm.",
    f"- {results.direction(deeper, f'{last} predicts', f'better than {layers[0]}', f'worse than {layers[0]}')} (the "
    f"difference of the AUCs is {report.text('deeper')}; the interval holds the fitted models fixed). The paper says "
    "that deeper layers predict better.",
]
report.sentence("\n".join(lines))

# %% tags=["remove-input"]
report.finish()
