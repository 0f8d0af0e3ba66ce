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
# # Cohorts
#
# **The claim.** Five papers rest on five groups of patients: BraTS images with expert segmentations
# {cite}`islam2020radiogenomic,zhang2021crossmodality`, TCGA patients with survival and genes
# {cite}`islam2020radiogenomic`, TCGA patients with IDH1 status {cite}`ge2020pairwise`, the grade II gliomas of one
# hospital {cite}`li2017dlr`, and REMBRANDT {cite}`mehra2022features`. Each paper describes its patients in a table or a
# sentence. A result can be no better than these labels.
#
# **What this chapter does.** It lists which patients each paper had and which are available here. It recomputes every
# description that can be recomputed, from the real tables where they are available and from the printed numbers
# otherwise. It maps which subject has which modality and which label, and shows simulated subjects.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status cohorts
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
gallery_subjects: int = 3  # simulated subjects in the gallery

# %% tags=["hide-input"]
import pandas as pd

from radlib.book.report import Report
from radlib.core.seeds import rng
from radlib.data.published import published
from radlib.data.readers.brats import read_brats
from radlib.data.sources import open_all
from radlib.papers.across import baseline_tables as tables
from radlib.plots.availability import IMAGE_ITEMS, LABEL_ITEMS, availability_counts, availability_map
from radlib.plots.style import shared_legend
from radlib.plots.viewer import gallery

report = Report.start("cohorts", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# Every source becomes one table with one row per subject: its labels, and the paths of its images. A cohort is
# requested by its role. What cannot be opened is named with the reason; nothing replaces it silently.

# %%
opened, absent = open_all(cohort=cohort, profile=profile)
real_tables = report.source == "real"

# %% tags=["remove-input"]
if not real_tables:
    report.note(
        f"This run uses the **{report.source}** cohort. The parts that describe real patients need real tables: "
        "*Ge 2020, Table 1(a)* and *what its wild-type contains* need the BraTS-TCGA radiomic tables, the TCGA "
        "Clinical Data Resource, the molecular table of Ceccarelli 2016 and the TCGA mutation table; *Islam 2020* "
        "needs the unified expression table too; *Mehra 2022* needs the REMBRANDT clinical and VASARI tables. Run the "
        "chapter with `cohort='real'` to see them; what a kept run found in them is in the "
        "[ledger](../generated/ledger). The recomputation of Li 2017 needs only the printed numbers, and is "
        "complete here.",
        kind="important",
    )
for role, reason in absent.items():
    report.note(f"No cohort for the role `{role}`: {reason}.", kind="warning")

# %% tags=["remove-input"]
sizes = {role: len(one) for role, one in opened.items()}
remarks = dict(absent)
if real_tables and "huashan" in opened:
    remarks["huashan"] = "other patients in their place: lower-grade gliomas of TCGA"
had = tables.cohorts_of_the_papers(sizes, absent=remarks)
if report.source == "user":
    had = had.drop(columns=["at hand", "remark"])
report.table(
    "papers", had, index=False,
    caption=f"What each paper had, and how many subjects the role has in this run ({report.source} cohort).",
)  # fmt: skip

# %% [markdown]
# What the readers of the files noticed. A missing or impossible value is never replaced on reading: it stays missing,
# and is counted here.

# %% tags=["remove-input"]
notes = pd.DataFrame([(role, note) for role, one in opened.items() for note in one.notes], columns=["cohort", "note"])
if len(notes):
    report.table("notes", notes, index=False, caption="Remarks of the readers, by cohort.")

# %% [markdown]
# ## Method
#
# *Shares* are counts over the size of their column. *Associations* of counts are tested by
#
# $$ \chi^2 = \sum_{ij} \frac{(o_{ij} - e_{ij})^2}{e_{ij}}, \qquad
#    e_{ij} = \frac{o_{i\cdot}\, o_{\cdot j}}{o_{\cdot\cdot}}, $$
#
# without and with Yates's correction, by the G-test and by Fisher's exact test. *Differences of means* are tested by
# Student's and Welch's t-tests from the printed means, standard deviations and sizes. A group's mean and deviation
# follow from those of its two parts,
#
# $$ \bar x = \frac{n_1 \bar x_1 + n_2 \bar x_2}{n_1 + n_2}, \qquad
#    s^2 = \frac{(n_1 - 1) s_1^2 + (n_2 - 1) s_2^2
#          + \frac{n_1 n_2}{n_1 + n_2} (\bar x_1 - \bar x_2)^2}{n_1 + n_2 - 1}. $$
#
# A printed number agrees with its printed sources if rounding can explain the difference: some unrounded values of the
# sources lead to it. A printed p-value is explained if any of the customary tests gives it.

# %% [markdown]
# ## Results
#
# ### Who has which modality
#
# One panel per cohort, one column per subject. The number beside a row counts the subjects that have the modality.

# %% tags=["hide-input"]
imaged = dict(opened)
if real_tables:  # every BraTS vintage under the data root, beside the roles
    everyone = read_brats(opened["brats2017"].root, name="all BraTS vintages") if "brats2017" in opened else None
    imaged |= {everyone.name: everyone} if everyone else {}
if imaged:
    report.figure(
        "modalities", availability_map(imaged, IMAGE_ITEMS),
        caption=f"Modalities and segmentations by subject ({report.source} cohort).",
        alt="A row for each modality and a column for each subject in each cohort, filled where the file exists; the "
        "counts are in the table of modality counts.",
    )  # fmt: skip
    report.table(
        "modality-counts", availability_counts(imaged, IMAGE_ITEMS), caption="Subjects that have each modality."
    )

# %% [markdown]
# ### Who has which label

# %% tags=["hide-input"]
if opened:
    report.figure(
        "labels", availability_map(opened, LABEL_ITEMS),
        caption=f"Labels, radiomic features and gene expression by subject ({report.source} cohort).",
        alt="A row for each label and a column for each subject in each cohort, filled where the label is known; the "
        "counts are in the table of label counts.",
    )  # fmt: skip
    report.table("label-counts", availability_counts(opened, LABEL_ITEMS), caption="Subjects that have each label.")

# %% [markdown]
# ### Ge 2020, Table 1(a)
#
# {cite}`ge2020pairwise` counts its patients by IDH1 status, sex and age. The labels are those of the TCGA mutation
# table: mutant where it lists an IDH1 mutation, and wild-type otherwise.

# %% tags=["hide-input"]
idh = opened.get("tcga-idh")
if idh is not None:
    table1a = tables.by_genotype(idh.participants)
    report.table(
        "ge-table1a", table1a.rename_axis("IDH1"),
        caption=f"Patients by IDH1 status, sex and age group ({report.source} cohort). "
        "A patient without age or sex counts as a patient only.",
    )  # fmt: skip
if idh is not None and real_tables:
    cells = tables.beside_published(table1a, prefix="ge2020.table1a")
    report.table("ge-cells", cells.drop(columns="key"), index=False, digits=0,
                 caption="Ge 2020, Table 1(a), cell by cell: published, and counted in the real tables.")  # fmt: skip
    report.measured("genotypes", table1a.rename_axis("arm").reset_index().melt("arm", var_name="group").assign(
        metric="patients", n=len(idh), low=None, high=None))  # fmt: skip
    report.sentence(f"{int(cells['equal'].sum())} of {len(cells)} cells are equal.")

# %% [markdown]
# ### What "wild-type" contains
#
# A patient who is not in the mutation table was not sequenced for it. Calling that patient wild-type is an assumption.
# The molecular table of {cite}`ceccarelli2016molecular` covers more patients, and disagrees about some.

# %% tags=["hide-input"]
if idh is not None and real_tables:
    contents = tables.wildtype_contents(idh.participants)
    report.table("wildtype", contents, index=False,
                 caption="The patients that Ge 2020 calls wild-type, by collection, by what the mutation table says of "
                 "IDH1, and by the IDH status of Ceccarelli et al.")  # fmt: skip
    pieces = contents.pivot_table(
        index="collection", columns=["IDH by Ceccarelli", "mutation table"], values="patients", fill_value=0
    )
    pieces.columns = [f"{status} by Ceccarelli, {listed}" for status, listed in pieces.columns]
    axes = pieces.plot.barh(
        stacked=True, figsize=(7.4, 3.2), legend=False, ylabel="", xlabel="patients called wild-type"
    )
    shared_legend(axes.figure)
    report.figure(
        "wildtype", axes.figure,
        caption="What the label wild-type in Ge 2020 is made of.",
        alt="Two stacked bars, one for each collection, divided by the IDH status of Ceccarelli et al. and by presence "
        "in the mutation table; the counts are in the table above.",
    )  # fmt: skip

# %% tags=["remove-input"]
if idh is not None and real_tables:
    told = contents.groupby("IDH by Ceccarelli")["patients"].sum()
    unlisted = int(contents.loc[contents["mutation table"] == "absent", "patients"].sum())
    n_wildtype = int(contents["patients"].sum())
    report.value("wildtype-unknown", int(told["unknown"]), n=n_wildtype)
    report.value("wildtype-mutant", int(told["mutant"]), n=n_wildtype)
    report.value("wildtype-unlisted", unlisted, n=n_wildtype)
    doubtful = int(told["unknown"] + told["mutant"])
    report.sentence(
        f"Of {n_wildtype} patients called wild-type, {unlisted} are not in the mutation table at all. "
        f"By Ceccarelli et al. {told['wildtype']} are wild-type, {told['unknown']} have no known IDH status, and "
        f"{told['mutant']} carry a mutation. So {doubtful} of the {n_wildtype} labels "
        f"({100 * doubtful / n_wildtype:.1f} %) are unconfirmed or contradicted, and an accuracy measured against them "
        f"may be off by up to {100 * doubtful / len(idh):.1f} percentage points on the {len(idh)} patients."
    )

# %% [markdown]
# ### Li 2017, Table 1
#
# The cohort of {cite}`li2017dlr` is private. Its table prints counts, percentages, means, standard deviations and
# p-values. Many of these numbers follow from others in the table.

# %% tags=["hide-input"]
p_values = tables.li2017_p_values()
report.table(
    "li-p-values", p_values.drop(columns=["key", "p"]), index=False, digits=3,
    caption="Li 2017, Table 1: p-values as printed and as recomputed from the numbers printed beside them. "
    "The last column names the tests that give the printed value.",
)  # fmt: skip

# %% tags=["hide-input"]
shares = tables.li2017_shares()
wrong = shares[~shares["agrees"]]
report.table(
    "li-shares", wrong.drop(columns=["key", "agrees"]), index=False, digits=2,
    caption="Li 2017, Table 1: percentages that their counts do not give.",
)  # fmt: skip

# %% tags=["hide-input"]
pooled = tables.li2017_pooled()
report.table(
    "li-means", pooled.drop(columns="key"), index=False, digits=2,
    caption="Li 2017, Table 1: means and standard deviations of all patients, as printed and as they follow from both "
    "groups. Low and high bound what the rounding of print allows.",
)  # fmt: skip

# %% tags=["remove-input"]
unexplained = p_values[p_values["explained by"] == ""]
flips = unexplained[(unexplained["published"] < 0.05) & (unexplained["p"] >= 0.05)]
worst = wrong.loc[(wrong["published"] - wrong["recomputed"]).abs().idxmax()]
report.value("li-shares-wrong", len(wrong), n=len(shares))
report.value("li-p-unexplained", len(unexplained), n=len(p_values))
report.sentence(
    f"{len(wrong)} of {len(shares)} percentages do not follow from their counts. The largest gap is the {worst['row']} "
    f"of the column {worst['column']} ({worst['cohort']}): {worst['count']} of {worst['of']} is "
    f"{worst['recomputed']:.1f} %, printed as {worst['published']} %."
)
significant = "; ".join(
    f"{row.cohort}, {row.characteristic}: {row.published:g} printed, {row.p:.3f} recomputed"
    for row in flips.itertuples()
)
report.sentence(
    f"{len(unexplained)} of {len(p_values)} p-values come out of none of the customary tests, and {len(flips)} of "
    f"these are printed as significant where the printed counts are not ({significant}). "
    f"{int((~pooled['agrees']).sum())} of {len(pooled)} means and deviations of all patients do not follow from those "
    "of both groups."
)

# %% [markdown]
# ### Mehra 2022 and REMBRANDT
#
# {cite}`mehra2022features` works on REMBRANDT {cite}`gusev2018rembrandt` and gives two counts, without saying how
# grades were made into classes. The clinical table allows several readings. Only a reading with at least as many
# patients in both classes can be the one from which the paper took its patients.

# %% tags=["hide-input"]
rembrandt = opened.get("rembrandt")
mehra = {name: int(published(f"mehra2022.text.patients.{name}").value) for name in ("hgg", "lgg")}
if rembrandt is not None:
    divisions = tables.grade_divisions(rembrandt.participants, published_hgg=mehra["hgg"], published_lgg=mehra["lgg"])
    report.table("rembrandt", divisions, index=False,
                 caption=f"REMBRANDT by readings of low and high grade ({report.source} cohort). Mehra 2022 prints "
                 f"{mehra['hgg']} HGG and {mehra['lgg']} LGG.")  # fmt: skip

# %% tags=["remove-input"]
if rembrandt is not None and real_tables:
    first = divisions.iloc[0]
    report.measured("counts", pd.DataFrame([
        {"arm": "rembrandt", "metric": "patients", "group": column.lower(), "value": int(first[column]),
         "low": None, "high": None, "n": int(first["all"])} for column in ("all", "HGG", "LGG")
    ]))  # fmt: skip
    scored = int(rembrandt.radiomics.notna().any(axis=1).sum())
    possible = divisions.loc[divisions["could hold the published"], "definition"].tolist()
    exact = int(((divisions["HGG"] == mehra["hgg"]) & (divisions["LGG"] == mehra["lgg"])).sum())
    report.sentence(
        f"Of {len(divisions)} readings {exact} give exactly {mehra['hgg']} HGG and {mehra['lgg']} LGG. Enough of both: "
        f"*{'*; *'.join(possible) or 'none'}*. The first reading has {first['HGG']} HGG and {first['LGG']} LGG. If the "
        f"paper took its patients from there, it left out {first['HGG'] - mehra['hgg']} HGG and "
        f"{first['LGG'] - mehra['lgg']} LGG, perhaps because they had no images; the table does not say. "
        f"VASARI scores {{cite}}`gutman2013vasari` exist for {scored} patients, by three radiologists each."
    )

# %% [markdown]
# ### Islam 2020: patients with images, genes and survival

# %% tags=["remove-input"]
gbm = opened.get("tcga-gbm")
if gbm is not None and real_tables:
    deaths = int(gbm.participants["event"].sum())
    with_mri = published("islam2020.text.expression_and_mri_patients")
    report.measured("counts", pd.DataFrame([
        {"arm": "tcga-gbm", "metric": metric, "group": "all", "value": value, "low": None, "high": None, "n": len(gbm)}
        for metric, value in (("genes", gbm.expression.shape[1]), ("patients", len(gbm)))
    ]))  # fmt: skip
    report.sentence(
        f"{len(gbm)} patients have radiomic features, {gbm.expression.shape[1]} genes and survival ({deaths} deaths); "
        f"the paper counts {with_mri.printed} with MRI and genes. The published radiomic features exist for fewer "
        "patients than have scans."
    )
else:
    report.sentence("The counts of Islam 2020 need the real tables.")

# %% [markdown]
# ### Simulated subjects
#
# This book is made to be shared, so it shows no pictures of real patients. The subjects below come from the simulated
# cohort, on which the rest of the book can be run. {doc}`simulated_cohort` says how they are made and has a viewer for
# one of them.

# %% tags=["hide-input"]
simulated = opened if report.source == "simulated" else open_all(cohort="simulated", profile=profile)[0]
shown = next((simulated[role] for role in ("brats2017", "tcga-idh") if role in simulated), None)
if shown is None:
    report.note(f"The simulated cohort of profile `{profile}` has not been made: `radlib chapter cohort brats2017 "
                f"--profile {profile}` makes it.", kind="warning")  # fmt: skip
else:
    complete = shown.complete("t1", "t1ce", "t2", "flair", "seg").ids
    chosen = sorted(rng(seed, "gallery").permutation(complete)[:gallery_subjects].tolist())
    report.figure(
        "gallery", gallery(shown, chosen),
        caption="Simulated subjects: four modalities and the segmentation over FLAIR, in the slice with most tumour. "
        "The patient's left is on the right.",
        alt=f"Rows of brain slices for {len(chosen)} simulated subjects; each shows a tumour in T1, T1 with contrast, "
        "T2 and FLAIR, and its parts in colour.",
    )  # fmt: skip

# %% [markdown]
# ## Agreement with the paper
#
# Every number that was recomputed stands in the [ledger](../generated/ledger) beside the published one. A count of real
# patients is never compared with a count of simulated ones. What this chapter counted in the real tables is kept with
# the book, so the ledger shows it in every build.
#
# ## Choices the paper leaves open
#
# | paper | open | chosen | why |
# |---|---|---|---|
# | Ge 2020 | source of the IDH1 status | the TCGA mutation table; unlisted is wild-type | gives every printed count |
# | Ge 2020 | source of sex and age | the Clinical Data Resource {cite}`liu2018cdr` | gives every printed count |
# | Li 2017 | tests used for the p-values | all customary ones | none is named |
# | Mehra 2022 | which grades are LGG | grade II, against III and IV | the only reading with enough of both |
# | Mehra 2022 | grade of a GBM without a printed grade | IV | the definition of glioblastoma |
# | REMBRANDT | age within a printed range | its middle | ages are published in five-year ranges |
#
# ## Limits
#
# Reproducing a table of descriptions shows that the same patients with the same labels can be found; it does not show
# that the labels are right. Recomputed p-values rest on rounded numbers, and a rank test cannot be recomputed from
# means. The public clinical table of REMBRANDT has no vital status and no list of the scans that a paper used.
#
# ## Summary

# %% tags=["remove-input"]
if idh is not None and real_tables:
    report.sentence(
        f"Ge 2020's cohort is reproduced in {int(cells['equal'].sum())} of {len(cells)} cells; {doubtful} of its "
        f"{n_wildtype} wild-type labels are unconfirmed or contradicted."
    )
report.sentence(
    f"Li 2017's description of its patients has {len(wrong)} percentages and {len(unexplained)} p-values that do not "
    "follow from the numbers beside them."
)

# %% tags=["remove-input"]
report.finish()
