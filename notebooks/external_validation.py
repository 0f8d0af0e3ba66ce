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
# # External validation
#
# **The question.** Every paper of this book tests on patients of the cohort that it trains on. In use, a model meets
# other patients from other scanners. How much of the cross-validated performance is left there?
#
# **What this chapter does.** It fits every table-based model on some patients and tests it on a group that it has not
# seen: another site, another collection, another hospital. Each result is compared with the leakage-free
# cross-validation of all patients, whose training folds contain patients of the group. The chapter also describes the
# *shift*: how differently the groups' features are distributed, how their classes are balanced, and whether the
# predicted probabilities are still calibrated. With the sites of one cohort as groups this is internal-external
# validation {cite}`steyerberg2016prediction`.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status external_validation
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
other: str = "huashan"  # tested on: a role, a description, or empty
preset: str = "islam71"  # features to extract where the other cohort has none
n_selected: int = 20  # features kept by the F-score ranking, at most
fewest: int = 10  # patients that a site needs to be a group of its own
n_repeats: int = 5  # repeats of the ordinary folds
n_boot: int = 1000  # resamples of the patient bootstrap

# %% tags=["hide-input"]
import pandas as pd

from radlib.book.kept import kept_run
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.errors import MissingDataError, RadlibError
from radlib.papers.across.other_cohort import group_panels, survival_by_group, wide_metrics
from radlib.papers.across.study import divided, from_rows, survival_sites
from radlib.plots.dots import dot_plot
from radlib.stats import external
from radlib.stats.binary import SVM
from radlib.stats.protocols import ProtocolRun

report = Report.start("external_validation", cohort=cohort, profile=profile, seed=seed)

# %% tags=["study"]
from radlib.papers.across import study as jobs
from radlib.stats.binary import Recipe
from radlib.study.cohorts import Source
from radlib.study.studies import Study

source = Source("tcga-idh", cohort, profile)
second = Source(other or "tcga-idh", cohort, profile)
if other.endswith((".yml", ".yaml")):
    second = Source("tcga-idh", other)
places = {
    "sites": {"fewest": fewest}, "collections": {},
    **({"cohorts": {"other": second, "preset": preset}} if other else {}),
}  # fmt: skip
recipe = Recipe(n_selected=n_selected, seed=seed)
studies = {
    division: Study(division, {
        "external": jobs.external(
            source=source, division=division, recipe=recipe, n_repeats=n_repeats, **how
        )
    })
    for division, how in places.items()
}  # fmt: skip
genes = Source("tcga-gbm", cohort, profile)
survival = jobs.external_survival(source=genes, fewest=fewest, n_repeats=1, seed=seed)
studies["survival"] = Study("survival", {"external": survival})

# %%
reasons = {}
divisions = {}
for division, how in places.items():
    try:
        divisions[division] = divided(source, division, **how)
    except MissingDataError as error:
        if division != "cohorts":
            raise
        reasons[division] = str(error)

# %% [markdown]
# ## Choices
#
# | choice | here |
# |---|---|
# | model | radiomics of {cite:t}`li2017dlr`: t-test, F-score ranking, linear SVM, Platt's sigmoid |
# | groups | sites, small ones together; the two TCGA collections; another hospital (`other`), if it is available |
# | training set of a group | all other groups, whatever their share of mutants |
# | another hospital | its own table, else features are extracted from its images (`preset`) |
# | rules | fitted on the other groups too; the collection rule is useless where all are of one collection |
#
# ## The groups, and how they differ
#
# *SMD* is the standardised mean difference of a feature between a group and the others. *differ* counts features whose
# distributions differ by a Kolmogorov-Smirnov test after Holm's correction. *AUC of the group* is how well a linear
# model recognises from the features which patients belong to the group; one half is no shift.

# %% tags=["hide-input"]
shifts = []
for division, (asked, groups) in divisions.items():
    if groups.nunique() < 2:
        reasons[division] = "There is one group only."
        continue
    table = external.balance(asked, groups).merge(external.shift_summary(external.shift(asked, groups)), on="group")
    domain = external.domain_auc(asked, groups, n_boot=n_boot, seed=seed).set_index("group")["value"]
    shifts.append(table.assign(division=division, domain=table["group"].map(domain)))
if not shifts:
    told = " ".join(f"{name}: {why}" for name, why in reasons.items())
    problem = f"nothing in cohort {source.open().name!r} divides it ({told})"
    raise MissingDataError(problem, remedy="describe the column `site`")
names = {"positive": "mutant", "share": "share mutant", "domain": "AUC of the group"}
shown = pd.concat(shifts)
shown = shown[["division", *[column for column in shown if column != "division"]]]
report.table("shift", shown.rename(columns=names), index=False, digits=2,
             caption="Every group against the others of its division.")  # fmt: skip

# %% [markdown]
# ## IDH
#
# Every group is tested with a model trained on the others, and compared with five folds of all patients.

# %%
show_code(external.validate)

# %%
found = {}
for division, (_, groups) in divisions.items():
    if division not in reasons:
        try:
            report.study(studies[division])
        except RadlibError as error:
            reasons[division] = error.problem
            continue
        results = from_rows(studies[division].scores)
        found[division] = external.by_group(results, groups, n_boot=n_boot, seed=seed)

# %% tags=["hide-input"]
for division, table in found.items():
    aucs = table[table["metric"] == "auc"]
    report.figure(
        f"auc-{division}",
        dot_plot(aucs, metrics=group_panels(aucs, "AUC"), panel="group", colour="protocol",
                 references=[("no skill", 0.5)]),
        caption=f"AUC in each group of the {division}, with 95 % intervals: trained on the other groups (*external*), "
        "and in folds of all patients (*leakage-free*). A group of one class has no AUC.",
        alt="One panel per group; dots with intervals, one line per model.",
    )  # fmt: skip
    report.table(
        f"metrics-{division}",
        wide_metrics(table),
        index=False,
        caption=f"The same with accuracy and calibration ({division}): a slope below 1 means overconfidence, "
        "calibration in the large above 0 too few predicted mutants.",
    )
report.sentence(" ".join(f"Not done for the {name}: {why}" for name, why in reasons.items()))

# %% [markdown]
# ## Survival
#
# The models of Islam 2020 for days of survival, on the sites of the cohort with genes. Each site is tested with a model
# trained on the others.

# %% tags=["hide-input"]
try:
    lived_at, sites = survival_sites(genes, fewest=fewest)
    report.study(studies["survival"])
    run = ProtocolRun(studies["survival"].scores, pd.DataFrame())
    lived = survival_by_group(run, lived_at, sites, n_boot=n_boot, seed=seed)
    report.figure(
        "survival",
        dot_plot(
            lived,
            metrics=group_panels(lived, "Concordance"),
            panel="group",
            colour="protocol",
            references=[("no skill", 0.5)],
        ),
        caption="Concordance of predicted with observed survival by site, with 95 % intervals.",
        alt="One panel per site; dots with intervals and a line at one half.",
    )
except MissingDataError as error:
    report.sentence(f"Not done for survival: {error}")

# %% [markdown]
# ## Real patients
#
# The same on the 167 patients of BraTS-TCGA, by site and by collection, kept with its provenance for readers without
# the tables.

# %% tags=["hide-input"]
kept = kept_run("external_validation") if report.source != "real" else None
if kept is not None:
    report.sentence(kept.origin())
    for slug in sorted(name for name in kept.results.tables if name.startswith("metrics-")):
        caption = kept.results.tables[slug]["caption"]
        report.table(f"{slug}-real", kept.table(slug), index=False, caption=f"{caption} Kept run on real patients.")
    report.table("shift-real", kept.table("shift"), index=False, caption="Every group against the others, kept run.")
elif report.source != "real":
    report.note("No run on real patients is kept. Make one: `radlib chapter keep external_validation --cohort real`.")

# %% [markdown]
# ## Limits
#
# Sites have few patients, and an interval of one site says little: read the panels together. In the simulated cohort
# sites differ by their scanners and by chance, not by whom they treat; real sites differ by both. The other hospital
# has another mix of grades (only low grades in the role `huashan`), so its shift is one of grade as much as of scanner.
# Models with a network are not refitted here, because that takes hours, not seconds.
#
# ## Summary

# %% tags=["remove-input"]
if found:
    tested = pd.concat(found, names=["division"])
    tested = tested[(tested["metric"] == "auc") & (tested["model"] == SVM)]
    wide = tested.pivot_table(index=["division", "group"], columns="protocol", values="value")
    change = (wide["external"] - wide["leakage-free"]).dropna().groupby("division")
    report.sentence(
        "When the group contributes no training data, the AUC of the radiomics SVM changes by "
        + "; ".join(
            f"{part.mean():+.2f} on average on the {division} "
            f"({part.min():+.2f} to {part.max():+.2f} over {len(part)} groups)"
            for division, part in change
        )
        + ". Read this together with the intervals above: a loss that is not visible at a single site may still exist "
        "overall."
    )

# %% tags=["remove-input"]
report.finish()
