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
# # Real patients, in tables
#
# **The claims.** Images predict IDH status: {cite:t}`li2017dlr` use conventional radiomics and 119 patients,
# {cite:t}`ge2020pairwise` a network and 167 patients. Images and genes predict survival:
# {cite:t}`islam2020radiogenomic` select features before they divide the patients.
#
# **What this chapter does.** It asks on real patients what these sizes and protocols can show. The IDH question is put
# to 495 adults with a public table of radiomic features {cite}`calabrese2022ucsf`; patients are then removed until as
# few are left as in the papers. A model of age and tumour volume is transferred from one hospital's patients to
# another's. The survival protocol runs on the survival of 58 patients, shuffled many times. All of this is *real,
# analogous* evidence: the adults have glioma of all grades, where Li 2017's patients have grade II and Ge 2020's
# features are learnt by a network; for Islam 2020's survival the patients are of the same kind (GBM of TCGA), but
# published features replace the paper's.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status real_tables
cohort: str = "simulated"  # only `real` computes here; else the kept run is shown
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
n_folds: int = 5  # patient-level folds
n_repeats: int = 10  # repeats of these folds
grades: list[float] = [2.0, 3.0, 4.0]  # WHO grades, each analysed separately
n_patients: list[int] = [60, 80, 119, 167, 250, 350, 495]  # sizes of cohorts drawn
n_draws: int = 20  # draws of each size
n_selected: int = 20  # features kept by the F-score ranking, at most
shuffled_columns: int = 571  # columns without information: as wide as Li 2017's
n_shuffles: int = 200  # shuffles of the survival
n_portion: int = 25  # shuffles per job
n_prognosis: int = 5  # repeats of the folds for the survival measures
n_local: list[int] = [20, 50, 100]  # local patients used for recalibration
n_boot: int = 1000  # resamples of the patient bootstrap

# %% tags=["hide-input"]
import pandas as pd

from radlib.book.kept import kept_run
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.errors import MissingDataError
from radlib.papers.across import study_large as large
from radlib.papers.across import tables_large as tables
from radlib.plots.curves import curve_figure
from radlib.plots.dots import dot_plot
from radlib.stats.decision import EVERYBODY
from radlib.stats.prognosis import NOBODY_KNOWN, summary
from radlib.stats.protocols import (
    AS_PUBLISHED,
    LEAKAGE_FREE,
    PERMUTED,
    PUBLISHED_PERMUTED,
)
from radlib.stats.recalibration import recalibrated

report = Report.start("real_tables", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Study

# %% tags=["study"]
from radlib.papers.across.study import Folds
from radlib.papers.across.study_large import answers, fewer_patients, transported
from radlib.papers.islam2020.study_prognosis import as_published, prognosis, shuffled
from radlib.papers.islam2020.study_survival import Machines, Repeats
from radlib.stats.binary import Recipe
from radlib.study.cohorts import Source
from radlib.study.studies import Study

studies = {}
if cohort == "real":
    hospital, tcga = Source("ucsf", cohort, profile), Source("tcga-idh", cohort, profile)
    folds = Folds(n_folds=n_folds, n_repeats=n_repeats, seed=seed)
    studies["idh"] = Study("idh", {"models": answers(source=hospital, folds=folds, grades=tuple(grades))})
    recipe = Recipe(n_selected=n_selected, seed=seed)
    studies["sizes"] = Study("sizes", {
        f"{width} columns more": fewer_patients(
            source=hospital, sizes=tuple(n_patients), draws=n_draws, recipe=recipe,
            shuffled_columns=width, seed=seed,
        )
        for width in (0, shuffled_columns)
    })  # fmt: skip
    studies["carried"] = Study("carried", {
        "age and volume": transported(
            source=tcga, other=hospital, volume=("VOLUME_WT", "shape_VoxelVolume")
        )
    })  # fmt: skip
    asked = {"patients": Source("tcga-gbm", cohort, profile), "machines": Machines()}
    repeats = Repeats(seed=seed)
    studies["shuffles"] = Study("shuffles", {
        f"{reading}, {first}": shuffled(
            **asked, repeats=repeats, reading=reading, first=first, n=n_portion
        )
        for reading in ("days", "classes")
        for first in range(0, n_shuffles, n_portion)
    } | {
        reading: as_published(**asked, repeats=repeats, reading=reading)
        for reading in ("days", "classes")
    })  # fmt: skip
    often = Repeats(n_repeats=n_prognosis, seed=seed)
    studies["prognosis"] = Study("prognosis", {"measures": prognosis(**asked, repeats=often)})

# %%
lacking = {}
for name, study in studies.items():
    try:
        report.study(study)
    except MissingDataError as error:
        lacking[name] = error.problem
for name, why in lacking.items():
    report.note(f"Not done ({name}): {why}.", kind="warning")
done = {name: study for name, study in studies.items() if name not in lacking}
kept = kept_run("real_tables") if cohort != "real" else None
if kept is not None:
    report.sentence(kept.origin())
elif cohort != "real":
    report.note(
        "No run is kept. Make one: `radlib chapter keep real_tables --cohort real`."
    )  # fmt: skip


# %% tags=["hide-input"]
def shown(name, study, make, *, caption, **how):
    """A table of this run, or of the kept one; None where there is neither."""
    if study in done:
        frame = make()
    elif kept is not None and name in kept.results.tables:
        frame = kept.table(name)
    else:
        return None
    report.table(name, frame, index=False, caption=caption, **how)
    return frame


# %% [markdown]
# ## Data
#
# *UCSF-PDGM* {cite}`calabrese2022ucsf`: adults with diffuse glioma of grades 2 to 4 of one hospital. IDH status is free
# text; any mutation of IDH1 or IDH2 counts as mutant. Six persons were examined twice, recognised by equal sex, age,
# diagnosis and survival; each person is used once. The features are those of PyRadiomics for the whole tumour on
# post-contrast T1 {cite}`vangriethuysen2017pyradiomics`. **The grade is that of WHO 2021, which depends on IDH**: a
# glioblastoma is wild-type by definition. Grade is therefore not a fair control; it is shown, and marked.


# %% tags=["hide-input"]
def patients():
    return tables.patients_table(hospital.open().participants)


counts = shown("patients", "idh", patients, digits=1,
               caption="Patients of UCSF-PDGM by WHO 2021 grade and IDH, each person once.")  # fmt: skip

# %% [markdown]
# ## Method
#
# **Models.** Ridge logistic regression on standardised features, on age, and on both, fitted anew in every training
# fold. **Few patients.** From the cohort $n$ patients are drawn with its share of mutants. On them Li 2017's
# conventional radiomics runs *as published* (t-test and F-score see all $n$) and *leakage-free*, on true and on
# shuffled labels; and the model of all $n$ is judged on the patients who were **left out**, whom no protocol has seen.
# What a protocol reports above that is its optimism. The same is repeated with added columns, features shuffled between
# patients: they carry no information, and make the table as wide as Li 2017's.
#
# **Decision curves** {cite}`vickers2006decision`. Acting on every probability of at least $t$ has the net benefit per
# patient
#
# $$ \mathrm{NB}(t) = \frac{\mathrm{TP}}{n} - \frac{\mathrm{FP}}{n}\,\frac{t}{1 - t}. $$
#
# **Survival.** Concordance weighted by the inverse probability of censoring {cite}`uno2011cindex`, the Brier score
# over time {cite}`graf1999brier` and the AUC over time, from scikit-survival {cite}`polsterl2020sksurv`. A machine
# that predicts days becomes a prognosis through a Cox regression on its own inner out-of-fold predictions.

# %% [markdown]
# ## What images add to age

# %%
scores = done["idh"].scores if "idh" in done else None
resampled = {"n_boot": n_boot, "seed": seed}
measured = shown(
    "models", "idh", lambda: tables.models_table(scores, **resampled), digits=3,
    caption="Every model on everybody and within each grade: AUC, accuracy, Brier "
    "score, slope and intercept of the calibration, with 95 % intervals. Grade "
    "depends on IDH and is not a fair control.",
)  # fmt: skip
apart = shown(
    "differences", "idh", lambda: tables.differences_table(scores, **resampled),
    digits=3,
    caption="Paired differences of AUC on the same patients, with 95 % intervals.",
)  # fmt: skip

# %% tags=["hide-input"]
if measured is not None:
    aucs = measured[measured["metric"] == "auc"]
    report.figure(
        "auc", dot_plot(aucs, metrics={"auc": "AUC"}, rows="model", colour="group",
                        references={"auc": [("no skill", 0.5)]}),
        caption="AUC for IDH on everybody and within each grade, leakage-free (grade: a control that depends on IDH).",
        alt="Dots with intervals by model; colours are groups of patients.",
    )  # fmt: skip
    value = aucs.set_index(["group", "model"])["value"]
    gain = apart.set_index(["group", "difference"])
    both = gain.loc[("all", f"{large.BOTH} - {large.AGE}")]
    report.value("auc-features", value["all", large.FEATURES])
    report.value("auc-age", value["all", large.AGE])
    report.value("auc-both", value["all", large.BOTH])
    report.sentence(
        f"On all patients the features reach an AUC of {value['all', large.FEATURES]:.3f}, age alone "
        f"{value['all', large.AGE]:.3f}, both {value['all', large.BOTH]:.3f}: images add {both['value']:+.3f} "
        f"({both['low']:+.3f} to {both['high']:+.3f}) to age. Within grades they add "
        + ", ".join(
            f"{row['value']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f}, {group})"
            for (group, name), row in gain.iterrows()
            if name == f"{large.BOTH} - {large.AGE}" and group != "all"
        )
        + "."
    )

# %% tags=["hide-input"]
calibrated = shown("calibration", "idh", lambda: tables.calibration_table(scores), digits=3,
                   caption="Observed frequency of mutation in groups of similar predicted probability, with Wilson's "
                   "interval; all patients.")  # fmt: skip
if calibrated is not None:
    report.figure(
        "calibration",
        curve_figure(calibrated.rename(columns={"observed": "value"}), x="predicted", panel="model",
                     xlabel="predicted", ylabel="observed", ylim=(0, 1.02)),
        caption="Calibration of every model on all patients.",
        alt="One panel per model: observed against predicted frequency, with a band.",
    )  # fmt: skip
worth = shown("decision", "idh", lambda: tables.decision_table(scores, n_boot=n_boot, seed=seed), digits=3,
              caption="Net benefit over thresholds; acting on nobody has 0.")  # fmt: skip
if worth is not None:
    report.figure(
        "decision",
        curve_figure(worth[worth["value"] > -0.1], x="threshold", colour="model", xlabel="threshold probability",
                     ylabel="net benefit", references=[("nobody", 0.0)]),
        caption="Decision curves: what acting on each model is worth, beside acting on everybody or on nobody.",
        alt="Lines of net benefit falling over the threshold.",
    )  # fmt: skip
    middle = worth.pivot_table(index="threshold", columns="model", values="value")
    better = middle.index[middle[large.BOTH] > middle[[large.AGE, EVERYBODY]].max(axis=1).clip(lower=0)]
    report.sentence(
        f"Features with age have a higher net benefit than age, everybody and nobody at {len(better)} of {len(middle)} "
        f"thresholds ({better.min():.2f} to {better.max():.2f})."
        if len(better)
        else "Features with age are not worth most at any threshold."
    )

# %% [markdown]
# ## What a small cohort would have reported

# %%
frames = {}
if "sizes" in done:
    padding = f"with {shuffled_columns} columns that know nothing"
    widths = {"table as it is": 0, padding: shuffled_columns}
    frames = {
        title: done["sizes"].result(f"{width} columns more").table("sizes")
        for title, width in widths.items()
    }  # fmt: skip
sizes = shown("sizes", "sizes", lambda: tables.sizes_table(frames), digits=3,
              caption="AUC by number of patients and protocol: mean and central 95 % "
              "of the draws.")  # fmt: skip
gaps = shown("gaps", "sizes", lambda: tables.gaps_table(frames), digits=3,
             caption="What each protocol reports beyond what the same model reaches "
             "on the patients left out, draw by draw.")  # fmt: skip

# %% tags=["hide-input"]
if sizes is not None:
    report.figure(
        "sizes",
        curve_figure(sizes, x="n", colour="protocol", panel="columns", xlabel="patients", ylabel="AUC",
                     logarithmic=True, references=[("no skill", 0.5)]),
        caption="AUC against the number of patients, by protocol; bands hold 95 % of the draws. Shuffled "
        "labels carry no information: an AUC above one half there is made by the protocol.",
        alt="Two panels of lines over the number of patients, one line per protocol.",
    )  # fmt: skip
    wide = sizes.set_index(["columns", "protocol", "n"])["value"].sort_index()
    plain, padded = list(dict.fromkeys(sizes["columns"]))
    few, many = sizes["n"].min(), sizes["n"].max()
    report.value("null-few", wide[padded, PUBLISHED_PERMUTED, few])
    report.value("null-many", wide[padded, PUBLISHED_PERMUTED, many])
    beyond = gaps.set_index(["columns", "protocol", "n"])["value"].sort_index()
    report.sentence(
        "On **shuffled** labels, in a table as wide as Li 2017's, the published protocol reports an AUC of "
        + ", ".join(f"{value:.2f} ({n} patients)" for n, value in wide[padded, PUBLISHED_PERMUTED].items())
        + f", and leakage-free folds {wide[padded, PERMUTED, few]:.2f} to {wide[padded, PERMUTED, many]:.2f}. In the "
        f"table as it is, which is narrower, it reports {wide[plain, PUBLISHED_PERMUTED, few]:.2f} with {few} and "
        f"{wide[plain, PUBLISHED_PERMUTED, many]:.2f} with {many}. "
        f"On **true** labels it exceeds the truth by {beyond[padded, AS_PUBLISHED, few]:+.3f} with {few} patients "
        f"({beyond[plain, AS_PUBLISHED, few]:+.3f} in the narrow table), the leakage-free protocol by "
        f"{beyond[padded, LEAKAGE_FREE, few]:+.3f} ({beyond[plain, LEAKAGE_FREE, few]:+.3f})."
    )

# %% [markdown]
# ## From one hospital to another
#
# Only one feature has the same definition in the table of {cite:t}`bakas2017tcga` and in PyRadiomics: the volume of the
# whole tumour. A model of volume and age is transferred from the 147 patients of BraTS-TCGA with known status to UCSF,
# and back. Nobody is in both cohorts; every public id is compared. *Recalibration* learns from some patients of the
# other place and is judged on the rest of them.

# %%
show_code(recalibrated)

# %%
moved = done["carried"].scores if "carried" in done else None
carried = shown(
    "carried", "carried", lambda: tables.models_table(moved, **resampled), digits=3,
    caption="Models of one cohort on the other (the group is where they were tested).",
)  # fmt: skip
divisions = {"sizes": n_local, "draws": 200, "seed": seed}
again = shown(
    "recalibrated", "carried",
    lambda: tables.moved_table(moved, model=large.AGE, **divisions), digits=3,
    caption="The age model as it comes, and after a recalibration on some local "
    "patients: means and central 95 % over 200 divisions, on the local patients not "
    "used for it.",
)  # fmt: skip

# %% tags=["hide-input"]
if carried is not None:
    auc = carried[carried["metric"] == "auc"].set_index(["group", "model"])
    report.figure(
        "carried", dot_plot(carried[carried["metric"] == "auc"], metrics={"auc": "AUC"}, rows="model", colour="group",
                            references={"auc": [("no skill", 0.5)]}),
        caption="AUC for IDH of models of the other cohort.", alt="Dots with intervals by model and cohort.",
    )  # fmt: skip
    report.sentence(
        "Transferred to another place, "
        + "; ".join(
            f"*{model}* has an AUC of {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}) on {group}"
            for (group, model), row in auc.iterrows()
        )
        + ". An AUC below one half means that a feature points the other way in the other cohort."
    )
    off = again[again["metric"] == "observed - predicted"].set_index(["group", "how", "local"])
    most = again["local"].max()
    report.sentence(
        "The age model's mean probability differs from the share of mutants by "
        + "; ".join(
            f"{100 * off.loc[(group, 'as it comes', 0), 'value']:+.1f} points on {group} as it comes, "
            f"{100 * off.loc[(group, 'in the large', most), 'value']:+.1f} after {most} local patients"
            for group in dict.fromkeys(again["group"])
        )
        + "."
    )

# %% [markdown]
# ## Survival: the published protocol on shuffled survival
#
# The 58 patients and both readings of *Radiogenomic survival on TCGA*. Days and death of a patient are moved together
# to another patient; then the fused support vector machine runs as published.


# %%
def against_shuffles():
    portions = [one.result().table("accuracy") for one in done["shuffles"].jobs()]
    return tables.shuffles_table(pd.concat(portions, ignore_index=True))


nulls = shown(
    "shuffles", "shuffles",
    against_shuffles, digits=3,
    caption="Accuracy of the fused SVM as published, on the survival of these patients "
    "and on shuffled survival: mean, central 95 %, number of shuffles, and the "
    "one-sided permutation p-value.",
)  # fmt: skip


def measures():
    found = done["prognosis"].result("measures").table("prognosis")
    return summary(found, folds=often.n_folds)


prognoses = shown(
    "prognosis", "prognosis", measures, digits=3,
    caption="Leakage-free measures that respect censoring: mean over folds with the "
    "interval of Nadeau and Bengio; n counts folds.",
)  # fmt: skip

# %% tags=["hide-input"]
if nulls is not None:
    report.sentence(
        " ".join(
            f"In the reading *{row.reading}* the published protocol is right for {100 * row.observed:.1f} % of the "
            f"patients, and on shuffled survival for {100 * row.value:.1f} % on average ({100 * row.low:.1f} to "
            f"{100 * row.high:.1f}, {row.shuffles} shuffles; p = {row.p:.3f})."
            for row in nulls.itertuples()
        )
    )
if prognoses is not None:
    report.figure(
        "prognosis", dot_plot(prognoses, metrics=list(dict.fromkeys(prognoses["metric"])), rows="model"),
        caption="Concordance by IPCW and AUC over time (one half is a random order), and the integrated Brier score "
        "(lower is better), leakage-free.",
        alt="Three panels of dots with intervals by model.",
    )  # fmt: skip
    by = prognoses.set_index(["model", "metric"])["value"]
    brier = by.xs("integrated Brier score", level="metric")
    report.sentence(
        f"The integrated Brier score is {brier[NOBODY_KNOWN]:.3f} where nothing is known about a patient, "
        + ", ".join(f"{v:.3f} ({m})" for m, v in brier.items() if m != NOBODY_KNOWN)
        + ". The concordance by IPCW is "
        + ", ".join(f"{v:.2f} ({m})" for m, v in by.xs("concordance (IPCW)", level="metric").items())
        + "."
    )

# %% [markdown]
# ## Choices the papers leave open
#
# | open | chosen | why |
# |---|---|---|
# | how many features the ranking keeps | `n_selected` | Li 2017 does not say |
# | the classifier of the large table | ridge logistic regression | probabilities are needed; fixed before any result |
# | how a regression of days becomes a survival curve | Cox on inner out-of-fold predictions | the paper gives none |
# | which IDH status TCGA patients have | that of Ceccarelli et al.; unknown: left out | it was determined |
#
# ## Limits
#
# UCSF-PDGM is one hospital, and most of its patients have grade 4 and are wild-type; age divides them well for that
# reason alone. Within grades 2 and 3 there are few patients, and intervals are wide. Features of other software and of
# other regions are not the papers' features. The shuffled columns carry no information, whereas further real features
# would be correlated with the present ones, so the wide table is an upper bound and not a copy of Li 2017's. The
# patients left out are from the same hospital: what is called the truth here is not an external validation. Fifty-eight
# patients cannot distinguish a weak prognosis from none.
#
# ## Summary

# %% tags=["remove-input"]
if measured is not None and sizes is not None:
    report.sentence(
        f"With {int(both['n'])} patients images added to age change its AUC by {both['value']:+.3f} "
        f"({both['low']:+.3f} to {both['high']:+.3f}). A protocol that selects features on all patients reports an "
        f"AUC of {report.text('null-few')} for labels that mean nothing where {few} patients have a table as wide as "
        f"the paper's, and {report.text('null-many')} with {many}; leakage-free folds report "
        f"{wide[padded, PERMUTED, few]:.2f} and {wide[padded, PERMUTED, many]:.2f}. Numbers from cohorts of the "
        "papers' sizes can be read only together with their protocol."
    )

# %% tags=["remove-input"]
report.finish()
