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
# # IDH from radiomic tables
#
# **The claims.** {cite:t}`li2017dlr` report that conventional radiomics separates IDH1-mutant from wild-type grade II
# glioma with an AUC of 86 %, and that deep features do better. Conventional radiomics means hand-crafted features, a
# t-test, a ranking by F-score and a linear support vector machine (SVM). {cite:t}`ge2020pairwise` report 88.82 %
# accuracy for IDH1 on 167 patients of TCGA with a network trained on synthesised images.
#
# **What this chapter does.** It applies the conventional arm of Li 2017 to the cohort of Ge 2020, for which a public
# table of radiomic features exists {cite}`bakas2017tcga`, under the [three protocols](three-protocols). *Every* model
# is compared with two baselines that use no image: the rule "the collection is LGG, so the tumour is mutant", and the
# patient's age. Then it asks three questions that neither paper asks. What is left within one collection? What does
# selection outside the cross-validation add? How far can wrong labels move the result?

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status idh_tables
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
alpha: float = 0.05  # level of the t-test (Li 2017)
n_selected: int = 100  # features kept by the F-score ranking, at most
C: float = 1.0  # box constraint of the linear SVM (Li 2017)
n_folds: int = 5  # patient-level folds of the repeated cross-validation
n_repeats: int = 10  # repeats of these folds
feature_numbers: list[int] = [1, 2, 5, 10, 20, 50, 100, 200]  # of the curve
n_permutations: int = 40  # shuffles of the labels
n_boot: int = 2000  # resamples of the patient bootstrap
n_cohorts: int = 200  # small cohorts drawn to see whether intervals hold the truth
n_noise: int = 20  # draws of noisy labels on which the models are trained again
unknown_share: float = 0.114  # lose their status: 19 of 167, as in reality
missed_share: float = 0.035  # mutants who are overlooked: 2 of 57, as in reality

# %% tags=["hide-input"]

import pandas as pd

from radlib.book.agreement import show_agreement
from radlib.book.kept import kept_run
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.files import atomic_path
from radlib.core.titles import METRIC_TITLES
from radlib.data.published import published
from radlib.papers.across import idh
from radlib.papers.across import idh_display as show
from radlib.papers.across.study import from_rows
from radlib.phantom.planted import planted_traits
from radlib.plots.curves import curve_figure
from radlib.plots.dots import dot_plot
from radlib.plots.statistics import calibration_figure, roc_figure
from radlib.stats.binary import SVM, permutation_summary, protocol_gaps, results_table
from radlib.stats.classification import Confusion, evaluate
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE, PUBLISHED_PERMUTED
from radlib.stats.roc import auc
from radlib.stats.stability import nogueira_stability, selection_matrix

report = Report.start("idh_tables", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Study
#
# Every cross-validation is a job: two schemes of folds on all patients and in each group,
# every number of features, shuffled labels, and noisy ones.

# %% tags=["study"]
from dataclasses import replace

from radlib.papers.across import study as jobs
from radlib.papers.across import study_cover
from radlib.stats.binary import Recipe
from radlib.study.cohorts import Source
from radlib.study.studies import Study

asked = jobs.Asked(
    source=Source("tcga-idh", cohort, profile), unknown_share=unknown_share,
    missed_share=missed_share, seed=seed,
)  # fmt: skip
recipe = Recipe(alpha=alpha, n_selected=n_selected, C=C, seed=seed)
in_folds = jobs.Folds(n_folds=n_folds, n_repeats=n_repeats, seed=seed)
one_by_one = jobs.Folds(scheme="leave-one-out")
common = {"asked": asked, "folds": in_folds, "recipe": recipe}
questions = asked.open()[2]
protocols = Study("protocols", {
    scheme.scheme: jobs.protocols(asked=asked, group="all", folds=scheme, recipe=recipe)
    for scheme in (one_by_one, in_folds)
})  # fmt: skip
by_group_arms = {
    f"{group}, {scheme.scheme}": jobs.protocols(
        asked=asked, group=group, folds=scheme, recipe=recipe, probabilities=False
    )
    for group in ("known", "LGG", "GBM")
    for scheme in (one_by_one, in_folds)
    if group in questions and not questions[group].obstacle
}
fewer = replace(in_folds, n_repeats=max(1, n_repeats // 2))
tried = tuple(feature_numbers)
further = {
    "numbers": jobs.numbers(**common | {"folds": fewer}, tried=tried),
    "chosen": jobs.chosen_number(**common, tried=tried[::2]),
    "permutations": jobs.permutations(**common, n=n_permutations),
    "noise": jobs.noisy_labels(**common | {"folds": replace(in_folds, n_repeats=1)}, draws=n_noise, seed=seed),
}
if cohort == "simulated":
    plain = Recipe(alpha=alpha, C=C, seed=seed)
    further["ceiling"] = jobs.ceiling(**common | {"recipe": plain})
by_group_study = Study("groups", by_group_arms) if by_group_arms else None
more = Study("further", further)
cover = Study("intervals", {
    "coverage": study_cover.coverage(n_cohorts=n_cohorts, n_boot=n_boot // 2, seed=seed)
})  # fmt: skip

# %%
for one in (protocols, by_group_study, more, cover):
    if one is not None:
        report.study(one)

# %% [markdown]
# ## Data
#
# The role is `tcga-idh`: the patients of BraTS-TCGA, 102 of the GBM and 65 of the LGG collection, with the radiomic
# features of their expert segmentations. The features are used as published; values that are not finite numbers count
# as missing. Ge 2020's 55 mutant and 112 wild-type patients follow from a table of mutations if *everyone without an
# IDH1 mutation on record counts as wild-type*. By the molecular table of {cite:t}`ceccarelli2016molecular` the status
# of 19 of these 112 is not known and two are mutant. Labels "as counted" and "known status" are kept apart throughout.
# The simulated cohort has the same composition; its features are measured on simulated images, and the same share of
# patients loses its status.

# %% tags=["hide-input"]
data, labels, questions = asked.open()
everyone = questions["all"]
report.table(
    "patients",
    show.composition(data, labels),
    index=False,
    caption="Patients by collection: how they are counted, and what is known of their IDH status.",
)

# %% tags=["remove-input"]
positives, negatives = everyone.counts
gaps = everyone.features.isna()
report.sentence(
    f"{len(everyone)} patients, {positives} counted as mutant and {negatives} as wild-type; "
    f"the status of {labels.uncertain.sum()} is not known. {everyone.features.shape[1]} features, "
    f"{100 * gaps.to_numpy().mean():.1f} % of the values missing, in {int(gaps.any().sum())} features. "
    + " ".join(data.notes)
)

# %% [markdown]
# ## Method
#
# **Selection** (Li 2017). Student's t-test keeps features with $p < \alpha$; those are ranked by the F-score
# {cite}`chen2006fscore`
#
# $$ F_j = \frac{(\bar x_j^{+} - \bar x_j)^2 + (\bar x_j^{-} - \bar x_j)^2}{s_{j+}^2 + s_{j-}^2}, $$
#
# where $\bar x_j^{\pm}$ and $s_{j\pm}^2$ are mean and variance of feature $j$ among mutant and wild-type patients.
# **Classifier**: a linear support vector machine, $\min_w \tfrac12 \lVert w\rVert^2 + C\sum_i \xi_i$, with $C = 1$.
# Missing values become the training median, constant features are dropped, and the rest is standardised.
#
# **As published**: all of this preparation sees all patients and their labels, and only the machine is cross-validated.
# **Leakage-free**: every step is fitted anew in each training fold. **Controls**: the majority class, the collection
# rule, a logistic regression on age, one on age and collection, and the procedure on permuted labels. Li 2017 leave one
# patient out; repeated stratified folds are added, because each leave-one-out score comes from a model without the very
# patient it judges. This shifts the class balance against that patient and pushes the pooled AUC of a useless model
# *below* one half.
#
# **Probabilities** come from Platt's sigmoid {cite}`platt1999`, fitted on inner folds of the training set.
# **Intervals** (95 %): DeLong for the AUC {cite}`delong1988`, Wilson for proportions {cite}`wilson1927`, BCa
# bootstrap over patients within classes for the rest {cite}`efron1987bca`; for repeated folds BCa throughout, with all
# predictions of a patient resampled together. All hold the fitted models fixed. A metric without a
# denominator is shown as a dash.

# %%
left_out = from_rows(protocols.result(one_by_one.scheme).scores)
repeated = from_rows(protocols.result(in_folds.scheme).scores)
tables = {
    "leave-one-out": results_table(left_out, n_boot=n_boot, seed=seed),
    "repeated folds": results_table(repeated, n_boot=n_boot, seed=seed),
}

# %% [markdown]
# ## Results on all patients

# %% tags=["hide-input"]
MAIN, REST = ("auc", "accuracy", "sensitivity", "specificity"), ("ppv", "npv", "mcc", "balanced_accuracy", "brier")
for scheme, table in tables.items():
    slug = scheme.replace(" ", "-")
    report.table(
        slug,
        show.display_table(table, MAIN, names=METRIC_TITLES),
        index=False,
        caption=f"All {len(everyone)} patients, labels as counted, {scheme}: value and 95 % interval.",
    )
    report.table(
        f"{slug}-more",
        show.display_table(table, REST, names=METRIC_TITLES),
        index=False,
        caption=f"The other metrics of the same predictions, {scheme}.",
    )

# %% tags=["hide-input"]
shown = pd.concat([table.assign(scheme=scheme) for scheme, table in tables.items()])
shown["line"] = show.model_lines(shown)
with atomic_path(report.directory / "tables" / "metrics.csv") as file:
    shown.to_csv(file, index=False)  # all of the above at full precision, one row a metric
ge = float(published("ge2020.table2.prop_a.accuracy").number) / 100
figure = dot_plot(
    shown,
    metrics=["auc", "accuracy", "mcc"],
    rows="line",
    colour="scheme",
    references={"accuracy": [("accuracy of Ge 2020's network", ge)]},
)
report.figure(
    "models",
    figure,
    caption=f"All models on all {len(everyone)} patients, with 95 % intervals. "
    "The dotted line is the accuracy that Ge 2020 prints, a mean over five test sets of 34 patients.",
    alt="Dots with intervals for AUC, accuracy and MCC of the radiomics SVM under two protocols and of four baselines.",
)

# %% tags=["remove-input"]
report.sentence(
    "Every metric of both schemes at full precision, one row per metric: "
    "{download}`metrics.csv <idh_tables/tables/metrics.csv>`."
)

# %% tags=["hide-input"]
rules = {name: p for (_, name), p in left_out.items() if name == "collection rule"}
points = {
    name: (1 - float(c.metric("specificity")), float(c.metric("sensitivity")))
    for name, p in rules.items()
    for c in [Confusion.count(p.truth, p.predicted[0])]
}
curves = {
    f"{model}, {protocol}" if model == SVM else model: p
    for (protocol, model), p in left_out.items()
    if model not in ("majority class", "collection rule")
}
figure = roc_figure(curves, bands=[f"{SVM}, {LEAKAGE_FREE}"], rules=points, seed=seed)
report.figure(
    "roc",
    figure,
    caption="ROC curves of leave-one-out predictions, with a pointwise 95 % band for the "
    "leakage-free SVM. The collection rule has one operating point.",
    alt="ROC curves of the SVM under two protocols and of age models, with the collection rule as a point.",
)

# %% tags=["hide-input"]
figure = calibration_figure(
    {(f"{m},\n{p}" if m == SVM else m): v for (p, m), v in repeated.items() if m != "majority class"}
)
report.figure(
    "calibration",
    figure,
    caption="Calibration of the probabilities, averaged over repeated folds: observed "
    "frequency in groups of similar probability with Wilson's interval; grey bars count patients. "
    "The collection rule has two predictions; its four groups come from training frequencies without the patient "
    "judged, so that a mutant patient is given slightly less.",
    alt="One panel per model with observed against predicted frequency of mutation around the diagonal.",
)

# %% tags=["hide-input"]
reference = left_out[LEAKAGE_FREE, SVM]
comparison = show.paired_comparisons(left_out, reference, n_boot=n_boot, seed=seed)
report.table(
    "paired",
    comparison,
    index=False,
    caption="The leakage-free SVM minus each other model, leave-one-out, on the same patients.",
)

# %% [markdown]
# ## How many features, and what choosing them on all patients adds
#
# Neither the text nor the tables of Li 2017 say how many features remained. Several numbers are therefore tried, on all
# patients and within LGG, the group closest to the cohort of Li 2017. The value of `n_selected` that the rest of the
# chapter uses was set **after results for several numbers had been seen**. It is a choice, not a finding, and the
# difference between the two protocols depends on it. The honest summary is the range over all numbers tried.

# %%
by_number = more.result("numbers").table("numbers")
gaps = protocol_gaps(by_number)

# %% tags=["hide-input"]
lines = [("no skill", 0.5), ("radiomics of Li 2017", float(published("li2017.table2.a.radiomics.auc").number))]
lines += [(f"{name}, all patients", auc(p.truth, p.score)) for name, p in rules.items()]
figure = curve_figure(
    by_number[by_number["metric"] == "auc"],
    x="features",
    colour="line",
    logarithmic=True,
    xlabel="Features kept, at most",
    ylabel="AUC",
    references=lines,
)
report.figure(
    "number",
    figure,
    caption="AUC against the number of features, repeated folds, with 95 % percentile bands. "
    "The distance between the two protocols of a group is what selection on all patients adds.",
    alt="Curves of AUC over the number of features, for each group of patients as published and leakage-free.",
)

# %% tags=["hide-input"]
report.table(
    "number",
    gaps,
    index=False,
    caption="The AUC behind these curves and the gap between the protocols; half as many repeats as elsewhere.",
)
ranges = {}
for group, part in gaps.dropna(subset="gap").groupby("group", sort=False):
    least, most = (part.loc[row] for row in (part["gap"].idxmin(), part["gap"].idxmax()))
    ranges[group] = (
        f"In the group *{group}* the AUC as published exceeds the leakage-free one by {least['gap']:.3f} "
        f"({least['features']:.0f} features kept) to {most['gap']:.3f} ({most['features']:.0f} kept), "
        f"over the {len(part)} numbers tried."
    )
report.sentence(" ".join(ranges.values()))

# %% tags=["hide-input"]
inner = from_rows(more.result("chosen").scores)[LEAKAGE_FREE, SVM]
chosen = evaluate(inner, n_boot=n_boot, seed=seed)
report.value("chosen_auc", **chosen["auc"].as_dict())
report.value("chosen_accuracy", **chosen["accuracy"].as_dict())
picked = more.result("chosen").table("selected")
matrix = selection_matrix(picked, list(everyone.features.columns))
stability = nogueira_stability(matrix)
report.sentence(
    f"With the number of features chosen inside the folds, the SVM has an AUC of {report.text('chosen_auc')} and an "
    f"accuracy of {report.text('chosen_accuracy')} on all patients. "
    f"The selection of at most {n_selected} features has a "
    f"stability of {stability.value:.2f} (Nogueira; 1 is the same features in every training fold, 0 is chance)."
)

# %% [markdown]
# ## Permuted labels
#
# On shuffled labels nothing can be predicted, so whatever a protocol finds there is made by the protocol. *Within
# collections* labels are shuffled only between patients of the same collection. The label then depends on nothing but
# the collection, and the AUC shows how well the features reveal the collection.

# %%
permutations = more.result("permutations").table("permutations")
summary = permutation_summary(permutations)

# %% tags=["hide-input"]
figure = dot_plot(
    summary,
    metrics=["auc", "accuracy"],
    rows="group",
    colour="protocol",
    references={"auc": [("no skill", 0.5)]},
    row_height=0.6,
)
report.figure(
    "permuted",
    figure,
    caption=f"What each protocol finds on shuffled labels: mean and central 95 % of {n_permutations} shuffles.",
    alt="Dots with intervals of AUC and accuracy on shuffled labels, by group of patients and protocol.",
)

# %% tags=["hide-input"]
report.table("permuted", summary, index=False, caption="The same as numbers.")
observed = show.estimate_of(tables["repeated folds"], LEAKAGE_FREE, SVM, "auc").value
shuffled = permutations[permutations["group"].str.endswith(idh.WITHIN)].query("metric == 'auc'")["value"].dropna()
if len(shuffled):
    # One-sided, with the observed labels counted among the shuffles.
    p, least_p = (1 + (shuffled >= observed).sum()) / (1 + len(shuffled)), 1 / (1 + len(shuffled))
    report.sentence(
        f"With only what the features reveal of the collection, the SVM reaches an AUC of {shuffled.mean():.3f} "
        f"({shuffled.quantile(0.025):.3f} to {shuffled.quantile(0.975):.3f}); on the labels as counted it reaches "
        f"{observed:.3f} (p = {p:.3f}, one-sided; {len(shuffled)} shuffles allow no p below {least_p:.3f})."
    )

# %% [markdown]
# ## Known status, LGG alone, GBM alone
#
# Within one collection the collection rule carries no information: it calls everyone in LGG mutant and everyone in GBM
# wild-type, the majority class of each. What is left there is what the images add.

# %%
names = [name for name in ("known", "LGG", "GBM") if name in questions]
asked_of = [name for name in names if f"{name}, leave-one-out" in by_group_arms]
reasons = [questions[name].obstacle for name in names if questions[name].obstacle]


def of_groups(scheme):
    tables_of = [
        results_table(
            from_rows(by_group_study.result(f"{name}, {scheme}").scores),
            n_boot=n_boot, seed=seed,
        ).assign(group=questions[name].name)
        for name in asked_of
    ]  # fmt: skip
    return pd.concat(tables_of, ignore_index=True) if tables_of else pd.DataFrame()


by_group_loo, by_group = of_groups("leave-one-out"), of_groups("repeated folds")

# %% tags=["hide-input"]
with atomic_path(report.directory / "tables" / "metrics-by-group.csv") as file:
    pd.concat(
        [by_group.assign(scheme="repeated folds"), by_group_loo.assign(scheme="leave-one-out")], ignore_index=True
    ).to_csv(file, index=False)
report.sentence(
    "Every metric of every group at full precision: "
    "{download}`metrics-by-group.csv <idh_tables/tables/metrics-by-group.csv>`."
)

# %% tags=["hide-input"]
for reason in reasons:
    report.note(f"Not cross-validated: {reason}.")
for name in asked_of:
    part = by_group[by_group["group"] == questions[name].name]
    report.table(
        f"group-{name.lower()}",
        show.display_table(part, ("auc", "accuracy", "sensitivity", "specificity", "mcc"), names=METRIC_TITLES),
        index=False,
        caption="{}: {} mutant, {} wild-type, repeated folds.".format(questions[name].name, *questions[name].counts),
    )
    alone = by_group_loo[by_group_loo["group"] == questions[name].name]
    report.table(
        f"group-{name.lower()}-loo",
        show.display_table(alone, MAIN, names=METRIC_TITLES),
        index=False,
        caption=f"{questions[name].name}, leave-one-out.",
    )

# %% tags=["hide-input"]
if len(by_group):
    lines = by_group[by_group["model"] != "majority class"].copy()
    lines["line"] = lines["group"] + ": " + lines["model"]
    lines["line"] = lines["line"].str.replace(" only", "")
    figure = dot_plot(
        lines, metrics=["auc", "accuracy"], rows="line", colour="protocol", references={"auc": [("no skill", 0.5)]}
    )
    report.figure(
        "groups",
        figure,
        caption="AUC and accuracy among patients of known status, and within each collection "
        "(repeated folds). Intervals within GBM rest on very few mutant patients.",
        alt="Dots with intervals by group of patients, model and protocol.",
    )

# %% [markdown]
# ## What wrong labels can do
#
# The predictions stay as they are (leave-one-out) and the labels of the patients of unknown status vary: over *all*
# labellings (bounds, exact), and at random with the share of mutants among known patients of the same collection
# (plausible).

# %%
rates = idh.rate_by_collection(data, labels)
doubts = idh.doubt_table(left_out, labels, rates, seed=seed)

# %% tags=["hide-input"]
report.table(
    "doubt",
    doubts,
    index=False,
    caption=f"Accuracy and AUC as counted; their bounds over every labelling of the "
    f"{labels.uncertain.sum()} patients of unknown status; mean and central 95 % under plausible labels.",
)

# %% tags=["hide-input"]
figure = dot_plot(
    show.doubt_lines(doubts),
    metrics=["accuracy", "auc"],
    rows="line",
    colour="kind",
    references={"accuracy": [("accuracy of Ge 2020's network", ge)]},
    row_height=0.45,
)
report.figure(
    "doubt",
    figure,
    caption="How far the labels in doubt can move each model: dots of the bounds are the values as "
    "counted, dots of the plausible labels their mean.",
    alt="Intervals of accuracy and AUC under other labels of the uncertain patients, by model.",
)

# %% [markdown]
# The same noise also affects the *training*. Among patients of known status the truth is available. The status of as
# many of them is hidden, at random and by collection, and a share of mutants is overlooked; all of these count as
# wild-type. The models are trained and judged on these labels, and then judged by the truth.

# %%
refit = more.result("noise").table("refit")

# %% tags=["hide-input"]
report.table(
    "refit",
    refit,
    index=False,
    caption=f"Means over {n_noise} draws of noisy labels on the patients of "
    "known status: patients with a wrong label, and metrics by the noisy labels and by the truth.",
)

# %% [markdown]
# ## Do the intervals hold the truth?
#
# An interval of 95 % should hold the true value in 95 of 100 studies. One study cannot show this, so small cohorts of
# 100 patients are drawn again and again. Their 20 features are normal and independent; the first 12 separate the
# classes. A linear score with weights $w$ then has a known AUC, with $m$ the differences of means:
#
# $$\mathrm{AUC}(w) = \Phi\left(\frac{w \cdot m}{\sqrt{2}\,|w|}\right)$$

# %%
show_code(study_cover.true_auc, study_cover.train)

# %% [markdown]
# A *training* draws its patients with replacement, so two trainings end differently, as two seeds of a network do. In
# each cohort one model is trained on all features, one on half of them, and a third again on all features, which truly
# differs from the first by nothing. Two designs are common in the papers. With patients *held out*, one training is
# tested on 40 patients, or five trainings are; with *folds*, the AUC of each of five folds is one of five values, or
# the folds are repeated five times.

# %%
held = study_cover.coverage_table(cover.result("coverage").table("intervals"))

# %% tags=["hide-input"]
shown = held[held["target"] == "these training patients"]
report.figure(
    "coverage",
    dot_plot(
        shown.rename(columns={"covers": "value"}), metrics={name: name for name in shown["quantity"]},
        panel="quantity", rows="interval", references=[("wanted", 0.95)], limits=(0.8, 1.01),
    ),
    caption=f"Share of {n_cohorts} cohorts whose interval of 95 % holds the truth: for the AUC, for the difference of "
    "two models, and for the difference of two equal models. The lines are Wilson's intervals of the shares.",
    alt="Dots with intervals for five kinds of intervals, in three panels, with a line at 0.95.",
)  # fmt: skip
report.table(
    "coverage", held, index=False,
    caption="Share of cohorts whose interval holds the true value, for the given training patients and for any; "
    "mean width.",
)  # fmt: skip
for row in shown.to_dict("records"):
    slug = f"{study_cover.SLUGS[row['interval']]}_{study_cover.SLUGS[row['quantity']]}"
    report.value(f"covers_{slug}", value=row["covers"], low=row["low"], high=row["high"], n=row["n"])
    report.value(f"width_{slug}", value=row["width"], n=row["n"])
report.sentence(
    f"Over trainings and patients an interval holds the true AUC in {report.text('covers_crossed_auc')} of the "
    f"cohorts and the true difference in {report.text('covers_crossed_difference')}; over the patients of one "
    f"training in {report.text('covers_one_auc')} and {report.text('covers_one_difference')}, and the difference of "
    f"two equal models in {report.text('covers_one_nothing')}. **The book's intervals are therefore over trainings and "
    "patients**, or over repeats of the folds and patients."
)

# %% [markdown]
# ## The truth of the simulation
#
# In a simulated cohort the traits that an image had to show are known. An SVM on these traits is the best that
# perfectly measured features of this kind could do. The strengths of the arrows from IDH to the image are planted.

# %% tags=["hide-input"]
if data.truth is not None and labels.truth is not None:
    traits = planted_traits(data)
    report.table(
        "planted",
        idh.planted_table(traits, labels.truth, data.participants["collection"]),
        index=False,
        caption="AUC of each planted trait alone for the true IDH status (direction ignored).",
    )
else:
    report.sentence("This cohort is not simulated: no truth is planted in it.")

# %% tags=["hide-input"]
if data.truth is not None and labels.truth is not None:
    ideal = from_rows(more.result("ceiling").scores)[LEAKAGE_FREE, SVM]
    ceiling = evaluate(ideal, n_boot=n_boot, seed=seed)
    by_truth = evaluate(
        repeated[LEAKAGE_FREE, SVM].relabelled(labels.truth.to_numpy(dtype=bool)), n_boot=n_boot, seed=seed
    )
    report.value("ceiling_auc", **ceiling["auc"].as_dict())
    report.value("by_truth_auc", **by_truth["auc"].as_dict())
    report.sentence(
        f"On the planted traits the SVM reaches an AUC of {report.text('ceiling_auc')}; on measured features, "
        f"trained on the labels as counted and judged by the truth, {report.text('by_truth_auc')}."
    )

# %% [markdown]
# ## The same on real patients
#
# The result of this chapter on the 167 patients of BraTS-TCGA, kept with its provenance, so that a reader without the
# data sees it; `radlib chapter run idh_tables --cohort real` repeats it.

# %% tags=["remove-input"]
kept = kept_run("idh_tables") if report.source != "real" else None
if kept is not None:
    report.sentence(kept.origin())
    figure = dot_plot(
        kept.table("metrics"),
        metrics=["auc", "accuracy", "mcc"],
        rows="line",
        colour="scheme",
        references={"accuracy": [("accuracy of Ge 2020's network", ge)]},
    )
    report.figure(
        "models-real",
        figure,
        caption="All models on the 167 real patients, with 95 % intervals, from the kept run.",
        alt="Dots with intervals for AUC, accuracy and MCC of the radiomics SVM and of the baselines.",
    )
elif report.source != "real":
    report.note("No run on real patients is kept. Make one: `radlib chapter keep idh_tables --cohort real`.")

# %% tags=["remove-input"]
if kept is not None:
    for slug in [slug for slug in ("group-known", "group-lgg", "group-gbm") if slug in kept.results.tables]:
        caption = kept.results.tables[slug]["caption"]
        report.table(f"{slug}-real", kept.table(slug), index=False, caption=f"{caption} Kept run on real patients.")
    report.table("number-real", kept.table("number"), index=False, caption="AUC by number of features, kept run.")
    report.table("permuted-real", kept.table("permuted"), index=False, caption="Shuffled labels, kept run.")

# %% tags=["remove-input"]
if kept is not None:
    of = {name: kept.text(name) for name in kept.results.values}
    one_out = {
        one.protocol: one.value for one in kept.results.measured
        if (one.study, one.metric) == ("lgg", "auc")
    }  # fmt: skip
    report.sentence(
        f"On the kept patients the radiomics SVM has an AUC of {of['svm_auc_published']} as published and "
        f"{of['svm_auc']} leakage-free, and a leakage-free accuracy of {of['svm_accuracy']}. Without any image the "
        f"collection rule has an AUC of {of['collection_rule_auc']} and an accuracy of "
        f"{of['collection_rule_accuracy']}, age alone {of['age_model_auc']} and {of['age_model_accuracy']}, age with "
        f"collection {of['age_collection_auc']} and {of['age_collection_accuracy']}. Within LGG the SVM's AUC is "
        f"{of['LGG_published']} as published and {of['LGG_clean']} leakage-free, within GBM {of['GBM_published']} and "
        f"{of['GBM_clean']}. These come from repeated folds. By leave-one-out, the paper's scheme, which the front "
        f"page and the ledger quote, the patients of LGG give {one_out[AS_PUBLISHED]:.3f} and "
        f"{one_out[LEAKAGE_FREE]:.3f}: every SVM then learns from all patients but one, each judged once."
    )

# %% [markdown]
# ## Agreement with the papers
#
# Nothing here repeats Ge 2020's network. The comparison is with what a rule and conventional radiomics reach on the
# *same patients and labels*. Li 2017's patients are private, all of grade II, from one scanner; the closest available
# group is LGG (grades II and III, many sites).

# %% tags=["hide-input"]
# Controls: other methods on the paper's patients do not decide what its network can do.
told = {"collection_rule": tables["leave-one-out"].query("model == 'collection rule'"),
        "svm": tables["repeated folds"].query("protocol == @LEAKAGE_FREE and model == @SVM")}  # fmt: skip
for arm, found in told.items():
    report.measured("all", show.measured_of(found, arm=arm), protocol=CONTROL)
if "LGG" in asked_of:
    lgg = by_group_loo[by_group_loo["group"] == questions["LGG"].name].query("model == @SVM")
    for protocol in (AS_PUBLISHED, LEAKAGE_FREE):
        report.measured("lgg", show.measured_of(lgg.query("protocol == @protocol"), arm="svm"), protocol=protocol)

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the papers leave open
#
# | open | chosen | why |
# |---|---|---|
# | how many features the ranking keeps (Li 2017) | `n_selected`, a curve | not given; set after seeing several |
# | is selection inside the leave-one-out (Li 2017) | both readings | the text describes it first, for "all" features |
# | "paired" t-test or Student's (Li 2017 says both) | Student's, two samples | different patients make no pairs |
# | scaling and missing values | standardised, training median | a linear SVM needs one scale and no gaps |
# | the threshold of the classifier | zero of the decision function | the SVM's own |
# | what "wild-type" contains (Ge 2020) | all without a mutation on record | it gives Table 1(a); known status apart |
# | probabilities | Platt's sigmoid on inner folds | neither paper gives any; calibration needs them |
#
# ## Limits
#
# - The collections differ in more than IDH status: years, sites, scanners, and who was recruited. A classifier trained
#   on both can recognise the collection instead of the mutation. For the same reason **an external validation across
#   collections is not meaningful**: training on LGG and testing on GBM would go from a mostly mutant cohort to one with
#   four mutant patients, and the accuracy would measure the shift in prevalence.
# - Within GBM there are very few mutant patients. The intervals there show it, and no conclusion rests on them.
# - Intervals hold the fitted models fixed: they describe other patients under these models, not other training sets.
# - Several comparisons are made; p-values are not corrected for their number.
# - The features come from expert segmentations. A segmentation that errs differently in the two classes is not
#   studied.
#
# ## Summary

# %% tags=["remove-input"]
svm_loo, svm_cv = (show.estimate_of(tables[s], LEAKAGE_FREE, SVM, "auc") for s in ("leave-one-out", "repeated folds"))
leaky = show.estimate_of(tables["repeated folds"], AS_PUBLISHED, SVM, "auc")
report.value("svm_accuracy", **show.estimate_of(tables["repeated folds"], LEAKAGE_FREE, SVM, "accuracy").as_dict())
report.value("svm_auc", **svm_cv.as_dict())
report.value("svm_auc_published", **leaky.as_dict())
sentences = [
    f"On all {len(everyone)} {'simulated ' if report.source == 'simulated' else ''}patients "
    "the radiomics SVM has an AUC of "
    f"{report.text('svm_auc_published')} as published and "
    f"{report.text('svm_auc')} leakage-free (repeated folds), "
    f"and a leakage-free accuracy of {report.text('svm_accuracy')}."
]
for name in [n for n in ("collection rule", "age model", "age + collection") if (CONTROL, n) in left_out]:
    slug = name.replace(" + ", "_").replace(" ", "_")
    for metric in ("auc", "accuracy"):
        report.value(f"{slug}_{metric}", **show.estimate_of(tables["leave-one-out"], CONTROL, name, metric).as_dict())
    sentences.append(
        f"Without any image, *{name}* has an AUC of {report.text(f'{slug}_auc')} and an accuracy of "
        f"{report.text(f'{slug}_accuracy')}."
    )

# %% tags=["remove-input"]
for name in [n for n in ("LGG", "GBM") if n in asked_of]:
    part = by_group[by_group["group"] == questions[name].name]
    for protocol, tag in ((AS_PUBLISHED, "published"), (LEAKAGE_FREE, "clean")):
        report.value(f"{name}_{tag}", **show.estimate_of(part, protocol, SVM, "auc").as_dict())
    sentences.append(
        f"Within {name} the SVM's AUC is {report.text(f'{name}_published')} as published and "
        f"{report.text(f'{name}_clean')} leakage-free (repeated folds)."
    )
sentences += [text for group, text in ranges.items() if "LGG" in group]

# %% tags=["remove-input"]
null = summary[(summary["metric"] == "auc") & (summary["protocol"] == PUBLISHED_PERMUTED)]
sentences += [
    f"On shuffled labels ({row.group}) the published protocol finds an AUC of {row.value:.3f}."
    for row in null.itertuples()
]
worst = doubts[(doubts["model"] == SVM) & (doubts["protocol"] == LEAKAGE_FREE) & (doubts["metric"] == "accuracy")].iloc[
    0
]
sentences.append(
    f"The patients of unknown status alone could move the SVM's leave-one-out accuracy between {worst['low']:.3f} and "
    f"{worst['high']:.3f}; plausible labels between {worst['plausible low']:.3f} and {worst['plausible high']:.3f}."
)

# %% tags=["remove-input"]
report.sentence(" ".join(sentences))

# %% tags=["remove-input"]
report.finish()
