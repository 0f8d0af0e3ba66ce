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
# # Hand-crafted features
#
# **What the papers use.** Islam et al. {cite}`islam2020radiogenomic` measure 71 features of a segmented tumour:
# geometry, fractal dimension and intensity. Li et al. {cite}`li2017dlr` compare their deep features with 671
# conventional ones of intensity, shape, texture and wavelets, without listing them. Both sets are only as good as the
# software that computes them.
#
# **What this chapter does.** It compares the book's engine with the reference values of the Image Biomarker
# Standardisation Initiative (IBSI) {cite}`zwanenburg2020ibsi` and says where PyRadiomics
# {cite}`vangriethuysen2017pyradiomics` defines things differently. It shows the 71 features and the 671, and asks three
# questions. Which features are stable under noise, a rotated head, another contour and another number of grey levels?
# How long do they take? Which separate IDH status and grade on simulated patients, compared with the traits that were
# planted there?

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status handcrafted_features
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
n_stable: int = 20  # subjects perturbed
modality: str = "flair"  # image whose features are perturbed
bins: int = 32  # grey levels
angle: float = 5.0  # of the rotation, degrees
icc_form: str = "1,1"  # form of the intraclass correlation
n_timed: int = 4  # subjects timed
n_separated: int = 100  # subjects in whom classes are separated; 0 for all
separating: list[str] = ["flair", "t1ce"]  # images whose features separate classes
n_shown: int = 10  # leading features in a figure

# %% tags=["hide-input"]
import pandas as pd

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.errors import MissingDataError
from radlib.core.paths import data_root
from radlib.features import conformity
from radlib.features.boxcount import box_count
from radlib.features.differences import pyradiomics_differences_table
from radlib.features.presets import PRESETS
from radlib.features.registry import registry_table
from radlib.papers.across import handcrafted as hc
from radlib.plots.dots import dot_plot
from radlib.plots.statistics import stability_figure
from radlib.stats import perturbation as pt

report = Report.start("handcrafted_features", cohort=cohort, profile=profile, seed=seed)

# %% tags=["study"]
from radlib.papers.across import study_features as jobs
from radlib.study.cohorts import Source
from radlib.study.studies import Study

glioma, mutations = (Source(role, cohort, profile) for role in ("brats2017", "tcga-idh"))
perturbed = jobs.perturbations(source=glioma, n=n_stable, modality=modality, bins=bins, angle=angle, seed=seed)
separated = jobs.separated(source=mutations, modalities=tuple(separating), n=n_separated, seed=seed)
study = Study("features", {
    "perturbed": perturbed,
    "timed": jobs.timings(source=glioma, n=n_timed),
    "separated": separated,
})  # fmt: skip

# %% tags=["hide-input"]
report.study(study)

# %% [markdown]
# ## The standard
#
# The reference values are consensus values of many teams, for a small digital phantom and for a CT phantom in three
# configurations. The baseline values of PyRadiomics come with that package, for two brain images. All are read from the
# data root; where there is none, the chapter says so.

# %% tags=["hide-input"]
root = data_root()
try:
    if root is None:
        raise MissingDataError("no data root is set (RADLIB_DATA)")
    conforming = conformity.conformity_table(root)
    report.table("ibsi", conforming, caption="Reference values that are met, of those given, by family.")
    baseline = conformity.baseline_table(root)
    report.table("baselines", baseline, caption="Baseline values of PyRadiomics that are met under its definitions.")
    met = "; ".join(f"{count} on the {case}" for case, count in conforming.loc["all"].items())
    conforming_text = (
        f"Reference values met: {met}. Baseline values of PyRadiomics met: {baseline['met'].sum()} of "
        f"{baseline['values'].sum()}."
    )
except MissingDataError as error:
    conforming_text = "The reference values are not available here; the tests compare every one of them."
    report.note(f"The reference values are not available here, so conformity is not shown: {error.problem}. The "
                "tests of the project compare every one of them.")  # fmt: skip

# %% tags=["hide-input"]
registry = registry_table()
report.table("registry", registry.groupby("family", sort=False).agg(features=("key", "size"),
             aggregations=("aggregations", "max")), digits=0,
             caption="Families of the engine: features, and in how many aggregations each is available.")  # fmt: skip
differing = pyradiomics_differences_table()
report.table("pyradiomics", differing, index=False, digits=3,
             caption="What PyRadiomics defines differently, on the digital phantom, and why.")  # fmt: skip

# %% [markdown]
# `radlib features extract COHORT --preset ibsi` takes a YAML file with every setting, including the switch to
# PyRadiomics' definitions, and writes one Parquet file that contains the settings.
#
# ## The 71 features
#
# For each region the axes come from the covariance of its voxels, with eigenvalues
# $\lambda_1 \ge \lambda_2 \ge \lambda_3$ (mm²). An axis of an ellipsoid with this covariance has the length
# $4\sqrt{\lambda}$, and
#
# $$ e_\mathrm{meridional} = \sqrt{1 - \lambda_3 / \lambda_1}, \qquad
#    e_\mathrm{equatorial} = \sqrt{1 - \lambda_2 / \lambda_1}. $$
#
# The fractal dimension is minus the slope of a straight line in a double logarithmic plot: the number of boxes that a
# region touches over the edge of the boxes.

# %%
show_code(box_count)

# %% tags=["hide-input"]
report.table("features71", hc.family_71(), digits=0, caption="The 71 features by kind and region.")
whole = glioma.open()
subject = hc.best_shown(whole.subset(whole.ids[:n_stable]))
if report.source == "simulated" and subject is not None:
    labels = whole.labels(subject)
    report.figure(
        "boxes",
        hc.box_figure(labels.data, spacing=labels.spacing),
        caption="Box counting of enhancing tumour and necrosis of a simulated subject (the counterpart of Figure 5).",
        alt="Outlines covered with boxes of three sizes, and straight lines in a double logarithmic plot.",
    )

# %% [markdown]
# ## The 671 features
#
# The paper gives the number and the four kinds. The preset `li671` is this book's composition, listed in the module
# `radlib.features.li671`. Its version is raised whenever a value changes.

# %% tags=["hide-input"]
report.table("presets", pd.DataFrame([
    {"preset": one.name, "version": one.version, "features": len(one.names(one.parse(None))), "what": one.description}
    for one in PRESETS.values()
]), index=False, digits=0, caption="The named feature sets, as `radlib features list` prints them.")  # fmt: skip

# %% [markdown]
# ## Stability
#
# Each feature is measured on the original and on two perturbed versions of image, mask or settings, after
# {cite:t}`zwanenburg2019perturbation`, who chain the perturbations that are kept separate here. The intraclass
# correlation ICC(1,1) {cite}`shrout1979icc` is the share of a feature's variance that lies between subjects. A shift
# that is the same in all subjects counts against the feature too. A feature counts as stable if the lower limit of the
# interval is above 0.9.

# %%
measured = study.result("perturbed").table("measured")
measured = measured.set_index(["kind", "subject", "version"])
spacing = study.result("perturbed").notes["spacing"]
n_measured = measured.index.unique("subject").size
stable = pt.stability_table(measured, form=icc_form)
families = hc.families_of(list(stable.index))

# %% tags=["hide-input"]
counts = pt.stability_counts(stable, families)
report.table(
    "stability",
    counts,
    digits=0,
    caption=f"Stable features (%) under each perturbation, by family; {n_measured} subjects, {modality}, voxels of "
    f"{spacing[0]:g} mm. Without a spread between subjects no feature is stable.",
)
report.figure("stability", stability_figure(stable, families),
              caption="Intraclass correlation of every feature under every perturbation. White: constant.",
              alt="A map with one row per feature, grouped by family, and one column per perturbation.")  # fmt: skip
report.table("stability-all", stable.round(3).set_axis([f"{a}, {b}" for a, b in stable.columns], axis=1),
             digits=2, caption="The same for every feature, with 95 % intervals.")  # fmt: skip

# %% tags=["remove-input"]
total = counts.loc["all features"]
hardest = counts.loc["all features", list(pt.PERTURBATIONS)].idxmin()
report.value("stable", float(total["all of them"]), n=n_measured, unit="%", digits=0)
report.sentence(
    f"{report.text('stable')} of {int(total['features'])} features are stable under all of: "
    f"{'; '.join(f'{kind} ({meaning})' for kind, meaning in pt.PERTURBATIONS.items())}. The hardest is *{hardest}*, "
    f"with {total[hardest]:.0f} %."
)

# %% [markdown]
# ## Speed

# %% tags=["hide-input"]
report.table("speed", study.result("timed").table("speed"), index=False,
             digits={"features": 0, "median (s)": 2, "slowest (s)": 2, "subjects": 0},
             caption="Seconds per subject on one CPU thread, including reading the images.")  # fmt: skip

# %% [markdown]
# Compared with other packages on one full-size image (240 x 240 x 155), with a region of 48,000 voxels and one of
# 300,000, on two CPU cores. Computed are shape, first order and the five texture matrices of the original image, of
# eight wavelet bands and of three Laplacians of Gaussian. Memory is what the computation adds to a process that has
# loaded the image and the package. The run is kept; `benchmarks/radiomics.py` repeats it.

# %% tags=["hide-input"]
kept = hc.benchmark_table()
if not kept.empty:
    report.table("benchmark", kept.set_axis([f"{what}, {n:,} voxels" for what, n in kept.columns], axis=1),
                 digits=1, caption="Seconds of the fastest call and memory, by package (kept run).")  # fmt: skip

# %% [markdown]
# ## What separates IDH and grade
#
# Each feature of `li671` alone, on FLAIR and on T1ce, as the area under the ROC curve in the feature's better direction
# {cite}`delong1988`; $q$ is corrected for the number of features. IDH status is closely related to grade, so a feature
# of grade looks like one of IDH. The second question is therefore asked among low-grade gliomas only. The planted
# traits are shown beside the features: nothing measured on an image should beat them by more than chance.

# %%
questions = study.result("separated").table("separations")
separate = {
    name: part.drop(columns="question").set_index("feature")
    for name, part in questions.groupby("question", sort=False)
}  # fmt: skip

# %% tags=["hide-input"]
for number, (question, part) in enumerate(separate.items(), start=1):
    leading = part.head(n_shown).rename(columns={"auc": "value"}).rename_axis("feature").reset_index()
    planted = leading["feature"].str.startswith("trait: ")
    report.figure(
        f"separation-{number}",
        dot_plot(
            leading.assign(kind=planted.map({True: "planted trait", False: "feature"})),
            rows="feature",
            colour="kind",
            references=[("no skill", 0.5)],
            xlabel="AUC (95 % interval)",
        ),
        caption=f"{question}: the leading features and planted traits, {part['n'].max():.0f} subjects.",
        alt="Dots with intervals, one line per feature or trait.",
    )

# %% tags=["hide-input"]
table = pd.concat({title: part.head(n_shown) for title, part in separate.items()}, names=["question", "feature"])
report.table(
    "separation",
    table.reset_index(),
    index=False,
    digits={"auc": 2, "low": 2, "high": 2, "n": 0, "p": 4, "q": 4},
    caption="The leading features and traits of each question: AUC with DeLong's interval, and q.",
)

# %% tags=["hide-input"]
best = hc.best_features(separate)
report.table("best", best, index=False, digits=0,
             caption="Single features that separate the classes after correction, and the best of each question. "
                     "The best of so many features looks better than it is.")  # fmt: skip

# %% [markdown]
# ## Agreement with the papers

# %% tags=["remove-input"]
report.measured("families", pd.DataFrame([
    {"arm": "islam71", "metric": "features", "group": "all", "value": hc.family_71().loc["all", "all"],
     "low": None, "high": None, "n": 1},
]))  # fmt: skip

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the papers leave open
#
# | open | chosen | why |
# |---|---|---|
# | which image the 71 features describe | T1ce (`Islam71Settings.modality`) | it shows core and enhancing rim |
# | coordinates of an axis | its unit vector (`axis_coordinates`) | three numbers per axis, as the count of 71 needs |
# | the histogram feature | intensity of the fullest bin (`histogram`) | one number per region |
# | composition of the 671 | `radlib.features.li671` | gives 671 with standard families |
# | grey levels | 32 from smallest to largest (`bins`) | MR intensities have no unit |
# | form of the intraclass correlation | ICC(1,1) (`icc_form`) | as in Zwanenburg 2019; three versions are few |
# | sign of an axis | its largest component is positive | an axis has none |
#
# ## Limits
#
# Perturbations are applied one at a time and to simulated images, whose noise is white within a site's resolution.
# Single features are tested, not sets. A feature that separates classes here picks up a trait that the simulation
# planted. This does not show that it would do so in patients.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(f"- {conforming_text}")
report.sentence(
    f"- {report.text('stable')} of the features are stable under every perturbation; *{hardest}* leaves the fewest."
)
for row in best.to_dict("records"):
    report.sentence(
        f"- {row['question']}: {row['q < 0.05']} of {row['features']} features separate the classes; the best, "
        f"`{row['best feature']}`, has an AUC of {row['AUC']}."
    )

# %% tags=["remove-input"]
report.finish()
