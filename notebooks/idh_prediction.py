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
# **The claim.** {cite:t}`li2017dlr` predict the IDH1 mutation of grade II glioma from the deep features of the
# [previous chapter](fisher_features) ("deep learning-based radiomics", DLR). With FLAIR alone the AUC is 92 %, against
# 86 % for conventional radiomics on the same patients; with two modalities and a further selection of features it is 95
# %. Deeper layers are said to predict better, up to the last convolution.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status idh_prediction
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
alpha: float = 0.05  # level of the t-test (published)
C: float = 1.0  # box constraint of the SVM (published)
feature_numbers: list[int] = [5, 10, 20, 50, 100, 200, 500]  # of the further selection
n_folds: int = 5  # patient-level folds, drawn anew for every network
n_permutations: int = 40  # shuffles of the labels
few: int = 20  # features of the readings that keep a small number
n_one_by_one: int = 10  # shuffles of the labels with leave-one-out
n_splits: int = 100  # random splits of the size of the split by time
n_null: int = 60  # patients of the hospital without an effect; 0 leaves it out
null_grid: list[int] = [128, 128, 40]  # voxels of its images
n_boot: int = 2000  # resamples of the bootstrap
fisher_features: dict = {}  # parameters of that chapter, if not the profile's

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from sklearn.svm import SVC

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.seeds import rng
from radlib.data.published import published
from radlib.papers.li2017 import tables as print_tables
from radlib.papers.li2017 import tables_prediction as tables
from radlib.papers.li2017.features import last_convolution, layers_of
from radlib.papers.li2017.prediction import (
    Scores,
    Table,
    leave_one_out,
    predict,
    readings,
)
from radlib.papers.li2017.study_prediction import (
    FOLDS,
    LEAVE_ONE_OUT,
    PROTOCOLS,
    late_patients,
)
from radlib.papers.li2017.tables_prediction import estimate
from radlib.phantom.planted import planted_traits
from radlib.plots.curves import curve_figure
from radlib.plots.dots import dot_plot
from radlib.plots.statistics import roc_figure
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE
from radlib.stats.roc import auc
from radlib.stats.tables import format_interval
from radlib.study.estimates import class_contrasts, class_estimates

report = Report.start("idh_prediction", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## The study
#
# The Fisher vectors are those of every training of the networks. Conventional radiomics has 671 features of intensity,
# shape, texture and wavelets of FLAIR within the same outlines. The row that the paper prints for radiomics quotes
# {cite:t}`yu2017radiomics`, who selected and classified in their own way; here the features go through the same t-test
# and support vector machine (SVM) as the deep ones.

# %% tags=["study"]
from radlib.book.plan import study_of
from radlib.papers.li2017.study_prediction import radiomics

shared = {"cohort": cohort, "profile": profile, "seed": seed}
encoded = study_of("fisher_features", "features", **shared, overrides=fisher_features)
inputs = encoded.arms["multiple"][0].inputs
setting, n_encoder, trained = inputs["setting"], inputs["n_encoder"], inputs["trained"]
n_runs = len(encoded.arms["multiple"])
calculated = radiomics(setting=setting)

# %% [markdown]
# The arms: every set of features and patients under both protocols; the further selection; the later patients; rules
# that use no image; and every reading of the selection on true and on shuffled labels.

# %% tags=["study"]
from radlib.papers.li2017.prediction import Classifier
from radlib.papers.li2017.study_prediction import (
    Asked,
    by_time,
    controls,
    further_selection,
    planted,
    predictions,
    shuffled,
    without_effect,
)
from radlib.study.cohorts import CohortOptions, Source

machine = Classifier(alpha=alpha, C=C)
last_layer = f"conv{trained.inputs['variant'].convolutions}"
of = {"setting": setting, "n_encoder": n_encoder}
both, single = encoded.arms["multiple"], encoded.arms["single"]
asked = {
    "radiomics": [Asked(**of, features=calculated, cohort="second")] * n_runs,
    "second": [
        Asked(**of, features=job, layer=last_layer, cohort="second") for job in single
    ],
    "single": [Asked(**of, features=job, layer=last_layer) for job in single],
    "multiple": [Asked(**of, features=job, layer=last_layer) for job in both],
    "radiomics_first": [Asked(**of, features=calculated)] * n_runs,
}  # fmt: skip
others = [f"conv{number + 1}" for number in range(int(last_layer[4:]) - 1)]
others += [f"fc{int(last_layer[4:]) + number}" for number in (1, 2)]
for layer in others:
    asked[layer] = [Asked(**of, features=job, layer=layer) for job in both]
if cohort == "simulated":
    asked["planted"] = [Asked(**of, features=planted(setting=setting))] * n_runs
    if n_null:
        own = CohortOptions(n=n_null, grid=tuple(null_grid), preset="null")
        hospital = Source("huashan", profile=profile, seed=seed + 1, own=own)
        asked["no_effect"] = [
            Asked(**of, layer=last_layer, cohort="own",
                  features=without_effect(features=job, layer=last_layer,
                                          hospital=hospital))
            for job in both
        ]  # fmt: skip
titles = {
    "radiomics": "radiomics", "second": "DLR, FLAIR (second cohort)",
    "single": "DLR, FLAIR (first cohort)", "multiple": "DLR, FLAIR + T1c",
    "radiomics_first": "radiomics (first cohort)",
    "selected": "DLR, FLAIR + T1c, selected", "planted": "planted traits",
    "no_effect": "no effect",
}  # fmt: skip
# %% tags=["study"]
from radlib.study.studies import Study

arms = Study(
    "arms",
    {
        arm: [
            predictions(asked=one, classifier=machine, n_folds=n_folds, run=run)
            for run, one in enumerate(runs)
        ]
        for arm, runs in asked.items()
    },
    titles=titles,
)  # fmt: skip
numbers = {"classifier": machine, "numbers": tuple(feature_numbers)}
deep = asked["multiple"]
further = Study(
    "selection",
    {"selected": [further_selection(asked=one, **numbers) for one in deep]},
)
late = Study(
    "split",
    {"selected": [by_time(asked=one, **numbers, n_splits=n_splits) for one in deep]},
)
rules = Study(
    "rules",
    {
        name: [
            controls(asked=asked[arm][0], volumes=calculated, n_folds=n_folds, run=run)
            for run in range(n_runs)
        ]
        for name, arm in (("first", "multiple"), ("second", "second"))
    },
)  # fmt: skip
shuffling = {"permutations": n_permutations, "n_folds": n_folds, "few": few}
chance = Study(
    "shuffled",
    {
        arm: shuffled(
            asked=asked[arm][0], classifier=machine, **shuffling,
            one_by_one=n_one_by_one,
        )
        for arm in ("radiomics", "second", "single", "multiple", *others, "no_effect")
        if arm in asked
    },
    titles=titles,
)  # fmt: skip

# %% tags=["hide-input"]
for study in (arms, further, late, rules, chance):
    report.study(study)
patients, who = setting.known(), setting.patients(n_encoder=n_encoder)
mutant = patients.participants["idh"] == "mutant"
first, second = mutant[list(who.first)], mutant[list(who.second)]
layers, last = layers_of(trained), last_convolution(trained)
rule_scores = rules.scores
in_second = rule_scores["arm"] == "second"
added = in_second.map({True: ", second cohort", False: ""})
rule_scores["arm"] = rule_scores["model"] + added
scores = pd.concat(
    [arms.scores, further.scores, late.scores, rule_scores],
    ignore_index=True,
)
names = list(dict.fromkeys(rule_scores["arm"]))
all_titles = titles | {name: name for name in names}
found = tables.by_protocol(scores, n_boot=n_boot, seed=seed)
permutations = chance.scores


def contrast(first_arm, second_arm, protocol, scheme):
    """A difference of AUCs on the same patients, with its interval."""
    part = scores[(scores["scheme"] == scheme)
                  & scores["protocol"].isin([protocol, CONTROL])]  # fmt: skip
    gap = class_contrasts(part, [(first_arm, second_arm)], n_boot=n_boot, seed=seed)
    return gap.iloc[0]


def spoken(row):
    """An estimate with its interval."""
    return format_interval(row["value"], row["low"], row["high"], digits=2)


# %% tags=["remove-input"]
for arm in ("radiomics", "second", "multiple", "selected"):
    for protocol, short in ((AS_PUBLISHED, "published"), (LEAKAGE_FREE, "clean")):
        one = estimate(found, arm, LEAVE_ONE_OUT, protocol)
        report.value(f"{arm}_{short}", **one.as_dict(), digits=2)
age = estimate(found, "age", LEAVE_ONE_OUT, CONTROL)
report.value("age_auc", **age.as_dict(), digits=2)
ahead = contrast("second", "radiomics", LEAKAGE_FREE, LEAVE_ONE_OUT)
leaky = permutations[
    (permutations["arm"] == "multiple") & (permutations["scheme"] == LEAVE_ONE_OUT)
    & (permutations["metric"] == "auc") & (permutations["permutation"] >= 0)
].groupby("protocol")["value"].mean()  # fmt: skip
report.value("leaky_auc", float(leaky[AS_PUBLISHED]), digits=2)
report.value("clean_auc", float(leaky[LEAKAGE_FREE]), digits=2)
answer = (
    "With the selection inside the folds, features of both modalities predict IDH1 with "
    f"an AUC of {report.text('multiple_clean')}, age alone with "
    f"{report.text('age_auc')}; the AUC of deep features of FLAIR minus that of "
    f"conventional radiomics is {spoken(ahead)} on the same {len(second)} {report.source} patients. With the "
    "selection on all patients the first AUC becomes "
    f"{report.text('multiple_published')}, and {report.text('leaky_auc')} on labels "
    "shuffled at random."
)

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
report.sentence(answer)

# %% [markdown]
# ## Data

# %% tags=["remove-input"]
report.sentence(
    f"First cohort: {len(first)} patients, {int(first.sum())} mutant. Second cohort: "
    f"{len(second)}, {int(second.sum())} mutant. " + " ".join(patients.notes)
)

# %% [markdown]
# ## Method
#
# ### Selection
#
# Student's t-test keeps the features with $p < 0.05$ {cite}`li2017dlr`. The *further selection* ranks them by F-score
# {cite}`chen2006fscore`,
#
# $$ F = \frac{(\bar x_{+} - \bar x)^2 + (\bar x_{-} - \bar x)^2}{s_{+}^2 + s_{-}^2} , $$
#
# with the means $\bar x$ and variances $s^2$ of mutant (+) and wild-type (−) patients, and keeps a number of the best.

# %%
show_code(Scores, Table.scores)

# %% [markdown]
# ### The SVM and the two protocols
#
# A linear SVM, $C = 1$, on standardised features. **As published**, standardisation and selection use all patients and
# only the SVM leaves one out; the number of features is the one with the best result. **Leakage-free**, every step is
# fitted anew without the patient left out, and the number is chosen by inner folds.
#
# Nearly all of the computing time goes into selecting anew for each patient. Sums over both classes are therefore
# computed once, the patient left out is subtracted, and the SVM gets the kernel $K = X_S X_S^{\top}$ of the selected
# columns $S$.

# %%
show_code(predict, readings)

# %% [markdown]
# ### One patient by hand
#
# The first patient is left out: what the t-test keeps, the SVM, and its decision on that patient.

# %%
wide = asked["multiple"][0].table()
train, test = leave_one_out(len(wide.truth))[0]
seen = wide.scores(left_out=test)
chosen = seen.select(machine)
scaled = (wide.values[:, chosen] - seen.mean[chosen]) / seen.scale[chosen]
svm = SVC(kernel="linear", C=C).fit(scaled[train], wide.truth[train])
value = svm.decision_function(scaled[test])[0]
print(f"table    {wide.values.shape}: patients, features")
print(f"kept     {len(chosen)} features with p < {alpha:g}, without the first patient")
print(f"machine  {len(svm.support_)} support vectors of {len(train)} patients")
print(f"decision {value:+.2f}; mutant: {bool(wide.truth[0])}")

# %% [markdown]
# ## Results
#
# ### Deep features, conventional radiomics, one and two modalities (Table 2)
#
# A run is one training of the network, its features, and its own folds. Intervals (95 %) resample runs and, within the
# classes, patients; the fitted SVMs are held fixed.

# %% tags=["hide-input"]
rows_a = {"radiomics": "table2.a.radiomics", "second": "table2.a.dlr"}
rows_b = {"single": "table2.b.single", "multiple": "table2.b.multiple",
          "selected": "table2.b.selected"}  # fmt: skip
without = [name for name in names if not name.endswith("second cohort")]
shown = found[
    (found["scheme"] == LEAVE_ONE_OUT) & found["arm"].isin([*rows_a, *rows_b, *without])
    & (found["metric"] == "auc")
].assign(model=lambda t: t["arm"].map(all_titles))  # fmt: skip
printed_rows = rows_a | rows_b
prints = {
    arm: published(f"li2017.{row}.auc").value for arm, row in printed_rows.items()
}  # fmt: skip
shown = shown.assign(printed=shown["arm"].map(prints))
report.figure(
    "table2",
    dot_plot(
        shown, metrics={"auc": "AUC, leave-one-out"}, colour="protocol",
        marks={"printed": "Li 2017, printed"}, references=[("no skill", 0.5)],
        row_height=0.5,
    ),
    caption="AUC of every arm under both protocols, and of rules that see no image, "
    "with 95 % intervals; ticks: the values of Table 2.",
    alt="Dots with intervals, one line per arm, two colours for the protocols.",
)  # fmt: skip
pairs = [("second", "radiomics"), ("multiple", "single"), ("selected", "multiple"),
         ("multiple", "radiomics_first"), ("multiple", "age")]  # fmt: skip
lines = []
for one, two in pairs:
    cells = {"first": all_titles[one], "minus": all_titles[two]}
    for protocol in PROTOCOLS:
        cells[protocol] = spoken(contrast(one, two, protocol, LEAVE_ONE_OUT))
    lines.append(cells)
report.table("contrasts", pd.DataFrame(lines), index=False,
             caption="Differences of the AUC on the same patients in the same runs, "
             "leave-one-out.")  # fmt: skip

# %% tags=["remove-input", "hide-output"]
for letter, rows, scheme in (
    ("a", rows_a, LEAVE_ONE_OUT),
    ("b", rows_b | {"radiomics_first": ""} | dict.fromkeys(names, ""), LEAVE_ONE_OUT),
    ("c", {"selected": "table2.c.multiple"}, "split"),
):
    report.table(
        f"table2{letter}", tables.printed_table(found, rows, titles, scheme=scheme),
        index=False,
        caption=f"Table 2({letter}) with every metric; mean of {n_runs} runs and 95 % "
        "interval.",
    )  # fmt: skip

# %% tags=["remove-input", "hide-output"]
for letter, rows in (("a", rows_a), ("b", rows_b)):
    curves = {}
    for arm in rows:
        for protocol in PROTOCOLS:
            part = scores[
                (scores["arm"] == arm) & (scores["scheme"] == LEAVE_ONE_OUT)
                & (scores["protocol"] == protocol)
            ]  # fmt: skip
            curves[f"{titles[arm]}, {protocol}"] = tables.runs_of(part)
    band = list(curves)[-1]
    report.figure(
        f"roc-{letter}",
        roc_figure(curves, bands=[band], seed=seed),
        caption=f"ROC curves of leave-one-out (counterpart of Figure 3{letter}), mean "
        f"of {n_runs} runs; a pointwise 95 % band for {band}.",
        alt="ROC curves of every arm under two protocols, with the diagonal.",
    )

# %% [markdown]
# ### How many features

# %% tags=["hide-input"]
curve = further.table("curve").query("run == 0")
report.figure(
    "number",
    curve_figure(curve, x="features", colour="protocol", logarithmic=True,
                 xlabel="features kept, at most", ylabel="AUC, leave-one-out",
                 references=[("no skill", 0.5)]),
    caption=f"AUC over the number of features, {titles['multiple']}, first run "
    "(counterpart of supplementary Figure 3), with DeLong's intervals. The distance "
    "between the curves is what selection on all patients adds.",
    alt="Two curves of AUC over the number of features, one per protocol.",
)  # fmt: skip
number = further.table("chosen")["features"]
report.sentence(
    f"In the folds {number.mode().iloc[0]} features were chosen most often; the numbers "
    f"range from {number.min()} to {number.max()}."
)

# %% tags=["remove-input", "hide-output"]
depth = {layer: "multiple" if layer == last else layer for layer in layers}
named = titles | {arm: layer for layer, arm in depth.items()}
counted = arms.table("kept")
kept = counted[counted["scheme"] == LEAVE_ONE_OUT].replace({"arm": named})
kept = kept.groupby(["arm", "protocol"], sort=False)["features"]
report.table(
    "kept",
    kept.agg(["min", "median", "max"]).reset_index(),
    index=False,
    digits=0,
    caption="Features kept by the t-test (counterpart of supplementary Table 2).",
)

# %% [markdown]
# ### Layers, and which reading of the selection fits the print (Table 3)
#
# The paper does not say whether features are selected anew for each patient left out. If they were selected on all
# patients, every layer should give a high AUC, on shuffled labels too. Here each reading is tried on each layer.

# %% tags=["hide-input"]
rows3 = {arm: f"table3.{layer}" for layer, arm in depth.items()}
prints3 = {arm: published(f"li2017.{row}.auc").value for arm, row in rows3.items()}
alone = permutations[
    (permutations["scheme"] == LEAVE_ONE_OUT)
    & (permutations["metric"] == "auc")
    & permutations["arm"].isin(list(rows3))
]
alone["labels"] = np.where(alone["permutation"] < 0, "true", "shuffled")
mean = alone.groupby(["arm", "protocol", "labels"], sort=False)["value"].mean()
mean = mean.reset_index()
mean = mean[mean["protocol"].isin([AS_PUBLISHED, LEAKAGE_FREE, "no selection"])]
mean = pd.concat([mean[mean["arm"] == arm] for arm in rows3]).assign(
    layer=lambda t: t["arm"].map(named),
    printed=lambda t: t["arm"].map(prints3),
    reading=lambda t: t["protocol"] + ", " + t["labels"] + " labels",
)
report.figure(
    "layers",
    dot_plot(
        mean, panel="labels",
        metrics={"true": "AUC", "shuffled": "AUC, shuffled labels"},
        rows="layer", colour="protocol", marks={"printed": "Li 2017, printed"},
        references=[("no skill", 0.5)], row_height=0.45,
    ),
    caption="AUC by layer, leave-one-out, first run, by three readings of the "
    f"selection: on true labels (left) and shuffled ones (right, mean of {n_one_by_one}); "
    "ticks: "
    "Table 3.",
    alt="Two panels of dots by layer, one colour per reading, with ticks for the printed values.",
)  # fmt: skip
every = prints | prints3
del every["selected"]
left_out = permutations["scheme"] == LEAVE_ONE_OUT
fits = tables.reading_table(permutations[left_out], every)
report.table(
    "readings", fits, index=False, digits=2,
    caption=f"Readings against the {len(every)} AUCs of Tables 2 and 3 that need no "
    "further selection. A reading is ruled out if shuffled labels alone give every arm "
    "more than the lowest printed AUC.",
)  # fmt: skip
near = fits.sort_values("distance from print").iloc[0]
out = fits.loc[fits["ruled out"] == "yes", "reading"].tolist()
report.sentence(
    f"The paper prints {min(every.values()):.3f} to {max(every.values()):.3f}. The "
    f"nearest reading is *{near['reading']}*, at a mean distance of {near['distance from print']:.2f}. "
    + (f"The printed values rule out: {', '.join(out)}." if out else "No reading is ruled out.")
)

# %% tags=["hide-input"]
clean = {}
for key, one, two in (("deeper", "multiple", depth[layers[0]]),
                      ("full", layers[-2], "multiple"),
                      ("fc8", layers[-1], "multiple")):  # fmt: skip
    clean[key] = contrast(one, two, LEAKAGE_FREE, FOLDS)
    kept_value = {name: clean[key][name] for name in ("value", "low", "high")}
    report.value(key, **kept_value, n=int(clean[key]["n"]), digits=2)
report.sentence(
    f"Leakage-free and by folds, the AUC of {last} minus that of {layers[0]} is "
    f"{report.text('deeper')}, that of {layers[-2]} minus {last} "
    f"{report.text('full')}, "
    f"that of {layers[-1]} minus {last} {report.text('fc8')}."
)

# %% tags=["remove-input", "hide-output"]
report.table(
    "table3",
    tables.auc_table(found, rows3, named, scheme=LEAVE_ONE_OUT, chance=permutations),
    index=False,
    caption=f"Table 3: AUC of each layer, leave-one-out, mean of {n_runs} runs.",
)

# %% [markdown]
# ### Later patients (Table 2c)
#
# The paper also tests on the 34 patients diagnosed last. Random splits of the same size show how much a single split
# can say.

# %% tags=["hide-input"]
early, later = late_patients(asked["multiple"][0])
draws = late.table("draws")["auc"]
low, high = draws.quantile([0.025, 0.975])
report.value("splits_auc", draws.mean(), low=low, high=high, n=len(draws), digits=2)
on_time = [spoken(found[(found["arm"] == "selected") & (found["scheme"] == "split")
                        & (found["protocol"] == protocol)
                        & (found["metric"] == "auc")].iloc[0])
           for protocol in PROTOCOLS]  # fmt: skip
report.sentence(
    f"On {len(later)} patients the AUC is {on_time[0]} as published and {on_time[1]} "
    f"leakage-free; over {n_splits} random splits of that size, in each of {n_runs} "
    "runs, "
    f"mean and central 95 % are {report.text('splits_auc')}."
)

# %% [markdown]
# ## Controls
#
# On shuffled labels nothing can be predicted; whatever a protocol finds there is made by the protocol. In the hospital
# *without an effect* every arrow from IDH to the image is cut. The *planted traits* are what IDH acts on in a simulated
# image: the best that perfectly measured features could do.

# %% tags=["hide-input"]
by_chance = tables.chance_table(found, permutations, named)
report.table(
    "chance",
    by_chance,
    index=False,
    caption=f"Leakage-free AUC by folds beside {n_permutations} shuffles of the labels "
    "(central 95 %, first run); p is one-sided.",
)
if "planted" in asked:
    for arm, key in (("planted", "ceiling"), ("no_effect", "null")):
        if arm in asked:
            one = estimate(found, arm, FOLDS, LEAKAGE_FREE)
            report.value(key, **one.as_dict(), digits=2)
    line = f"The SVM on the planted traits has an AUC of {report.text('ceiling')}"
    if "no_effect" in asked:
        leak = estimate(found, "no_effect", FOLDS, AS_PUBLISHED)
        report.value("null_published", **leak.as_dict(), digits=2)
        line += (
            f"; without an effect the AUC is {report.text('null')} leakage-free and "
            f"{report.text('null_published')} as published"
        )
    report.sentence(line + ".")

# %% tags=["remove-input", "hide-output"]
if "planted" in asked:
    traits = planted_traits(patients).loc[first.index]
    report.table("planted", tables.trait_table(traits, first), index=False,
                 caption="AUC of each planted trait alone for IDH, first cohort "
                 "(direction ignored).")  # fmt: skip
unseen = scores[
    (scores["arm"] == "multiple") & (scores["scheme"] == LEAVE_ONE_OUT)
    & (scores["protocol"] == LEAKAGE_FREE) & scores["subject"].isin(who.unseen)
]  # fmt: skip
one = class_estimates(unseen, metrics=["auc"], n_boot=n_boot, seed=seed).iloc[0]
report.sentence(
    f"Among the {len(who.unseen)} patients whose images trained neither network nor "
    f"dictionary, the leakage-free AUC of {titles['multiple']} is {spoken(one)}."
)

# %% [markdown]
# ## What the printed numbers say
#
# With 76 + 34 and 89 + 30 patients, how certain are the differences that the paper claims? Standard errors of
# {cite:t}`hanley1982auc` and a correlation of one half between two AUCs on the same patients give tests of the printed
# numbers. They also give the power: the chance that a study of this size finds a difference as large as the printed
# one.

# %% tags=["hide-input"]
report.table(
    "printed",
    print_tables.printed_differences(),
    index=False,
    digits={"from": 4, "to": 4, "difference": 3, "p": 4, "power": 2},
    caption="Printed differences of the AUC as two-sided tests, and their power.",
)
ages = print_tables.printed_age().set_index("cohort")
report.sentence(
    "Ages of Table 1, taken as normal, make age alone a predictor with an AUC of "
    f"{ages.at['first', 'AUC of age']:.2f} in the first and "
    f"{ages.at['second', 'AUC of age']:.2f} in the second cohort; the paper does not "
    "compare with such a rule."
)

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
known = found.dropna(subset=["value"])
known = known[known["arm"].isin([*rows_a, *rows_b, *rows3]) & (known["n"] > 0)]
for scheme, part in known.groupby("scheme"):
    report.measured(str(scheme), part.drop(columns="scheme"))
report.measured(FOLDS, pd.DataFrame(clean.values()).rename(
    columns={"first": "arm", "second": "minus"}), protocol=LEAKAGE_FREE)  # fmt: skip
groups = {
    "all": patients.ids, "first": who.first, "second": who.second, "early": early,
    "early-mutation": [s for s in early if first[s]],
    "early-wildtype": [s for s in early if not first[s]], "late": later,
    "late-mutation": [s for s in later if first[s]],
    "late-wildtype": [s for s in later if not first[s]],
}  # fmt: skip
report.measured("patients", pd.DataFrame(
    {"arm": arm, "metric": "patients", "group": "all", "value": len(ids), "n": len(ids)}
    for arm, ids in groups.items()
).assign(low=None, high=None))  # fmt: skip
controls_found = found[found["arm"].isin(["age", "age, grade", "grade"])]
controls_found = controls_found[controls_found["scheme"] == LEAVE_ONE_OUT]
known = controls_found.drop(columns="scheme").dropna(subset="value")
report.measured("controls", known)

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | is selection inside the leave-one-out | both readings | the text describes it first, for *all* features |
# | how many features the further selection keeps | `feature_numbers`; best one, or chosen inside | not given |
# | "paired" t-test or Student's (the paper says both) | Student's, two samples | different patients make no pairs |
# | scaling before the SVM | standardised | a linear SVM needs one scale |
# | threshold | zero of the decision function | the SVM's own |
# | the radiomics arm | the same t-test and SVM | the printed row is that of {cite:t}`yu2017radiomics` |
# | the split by time, where no time is known | random, published sizes | or a column `diagnosis_year` |
# | which patients the second cohort shares with the first | random, published sizes | counts only are given |
#
# ## Limits
#
# - In the simulation IDH acts on what its authors planted. What real tumours show may suit a network better or worse.
# - Intervals hold the fitted SVMs fixed, and p-values are not corrected for their number. Shuffles use the first run's
#   features and folds, so they vary slightly more than the means over runs beside them.
# - Leave-one-out gives a useless model an AUC below one half, because each model is fitted without the very patient
#   that it ranks; with folds this effect is smaller.
# - The network was trained on half of the patients that are predicted, though not on their IDH status.
# - Real patients are those of TCGA, of grades II and III and several hospitals.
#
# ## Try it
#
# 1. *What does selection on noise find?* The features are noise, the labels are those of the patients. Change `n_noise`
#    to 100 or 16,384.

# %%
n_noise = 2000
noise = rng(seed, "try noise").normal(size=(len(first), n_noise))
for reading in ("outside", "inside"):
    (one,), _ = predict(
        Table(noise, first),
        leave_one_out(len(first)),
        machine,
        selection=reading,
    )
    print(f"selection {reading:8} AUC {auc(one.truth, one.score[0]):.2f}")

# %% [markdown]
# 2. *How does the level of the t-test change a layer?* Change `level`.

# %%
level = 0.01
stricter = Classifier(alpha=level, C=C)
folds = leave_one_out(len(wide.truth))
for reading in ("outside", "inside"):
    (one,), counts = predict(wide, folds, stricter, selection=reading)
    area = auc(one.truth, one.score[0])
    print(f"selection {reading:8} AUC {area:.2f}, {np.median(counts):.0f} features")

# %% [markdown]
# ## Summary

# %% tags=["remove-input"]
report.sentence(
    f"{answer} The AUC of {last} minus that of {layers[0]} is {report.text('deeper')}, "
    "leakage-free; the paper says that deeper layers predict better."
)

# %% tags=["remove-input"]
report.finish()
