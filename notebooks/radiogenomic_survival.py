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
# # Radiogenomic survival, end to end
#
# **What the paper claims.** Islam et al. {cite}`islam2020radiogenomic` fill in the modalities that patients lack,
# segment the tumour from real and synthetic images with the same octave FCN, measure 71 features of the predicted
# tumour, fuse them with genes and age, and predict survival. Images that are filled in enlarge the cohort, and fused
# features almost double the accuracy.
#
# **What this chapter does.** The chapter *Radiogenomic survival on TCGA* tests the statistics on tables. Here the whole
# way is walked, from images with gaps to the survival class, on simulated patients, with the generators of *Modality
# synthesis* and the networks of *Octave skip-scSE segmentation*. As the truth is known, each stage can be replaced by
# it: true masks in place of predicted ones, gaps in place of synthetic images. The differences say what the error of
# each stage costs in the end.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
n_networks: int = 2  # folds of the segmentation chapter whose networks segment together; 0 for all
n_folds: int = 4  # patient-level folds
n_repeats: int = 2  # times that the folds are drawn anew
n_permutations: int = 2  # times that the labels are shuffled
n_radiomic: int = 8  # radiomic features kept (age counts among them)
n_genomic: int = 43  # genes kept
short_below_days: float = 300.0  # below: short survival
long_above_days: float = 450.0  # above: long survival
n_bootstrap: int = 2000  # resamples of patients behind an interval

# %% tags=["hide-input"]
from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.core.paths import run_dir
from radlib.data.sources import open_cohort
from radlib.papers.islam2020 import radiogenomic_results as results
from radlib.papers.islam2020 import segmentation as seg
from radlib.papers.islam2020 import survival as end
from radlib.papers.islam2020 import survival_results as shown
from radlib.stats.paired import compare
from radlib.stats.protocols import AS_PUBLISHED, LEAKAGE_FREE, RepeatedFolds

report = Report.start("radiogenomic_survival", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# Patients of the survival cohort with at least one image. The networks were trained on the segmentation cohort and have
# seen none of them.

# %%
data = open_cohort("tcga-gbm", cohort=cohort, profile=profile)
data.require("expression", "survival_days", "event", "age", "seg")
beside = {name: run_dir(cohort=cohort, profile=profile, chapter=name) / "weights"
          for name in ("modality_synthesis", "octave_segmentation")}  # fmt: skip
generators = end.load_generators(beside["modality_synthesis"])
networks, about = seg.load_runs(beside["octave_segmentation"])
networks = networks[: n_networks or None]

# %% [markdown]
# ## Stage 1: fill in the gaps

# %%
stages = end.fill_gaps(
    data, generators, modalities=about["modalities"], grid=about["grid"], spacing=about["spacing"], seed=seed
)

# %% tags=["remove-input"]
report.sentence(
    f"{len(stages.recorded)} of {len(data)} patients have an image. Segmentation needs "
    f"{', '.join(about['modalities'])}; {len(stages.synthesised)} images were synthesised for "
    f"{stages.synthesised['subject'].nunique()} patients."
)

# %% [markdown]
# ## Stage 2: segment
#
# The same networks see the recorded images, with gaps as zeros, and the filled-in ones. The paper cannot say how good
# its masks of TCGA are, as it has no reference for them; here there is one.

# %%
masks = {
    end.TRUE_MASKS: end.true_masks(stages.recorded),
    end.RECORDED: end.predict_masks(networks, stages.recorded, modalities=about["modalities"]),
    end.SYNTHESISED: end.predict_masks(networks, stages.filled, modalities=about["modalities"]),
}
scores = end.mask_scores({arm: masks[arm] for arm in (end.RECORDED, end.SYNTHESISED)}, stages.recorded)

# %% tags=["hide-input"]
gaps = shown.with_gaps(scores, stages)
report.figure(
    "dice",
    shown.dice_figure(gaps),
    caption="Dice of predicted masks by how many of the needed modalities a patient lacks: gaps left as zeros, or "
    "filled in with synthetic images.",
    alt="Box plots of Dice for whole tumour, core and enhancing tumour, two boxes for each number of gaps.",
)
gain = compare(gaps[gaps["gaps"] > 0], metric="dice", reference=end.RECORDED, seed=seed)
report.table(
    "dice",
    shown.dice_table(gaps, gain),
    index=False,
    digits={"n": 0},
    caption="Dice of patients with gaps: means with intervals over patients, and the paired difference.",
)

# %% tags=["remove-input"]
found = gain.set_index("region")
for region in ("wt", "tc", "et"):
    row = found.loc[region]
    report.value(f"filled_{region}", row["value"], low=row["low"], high=row["high"], n=int(row["n"]))
report.sentence(
    "Filling in changes the Dice of patients with gaps by "
    f"{report.text('filled_wt')} (whole tumour), {report.text('filled_tc')} (core) and {report.text('filled_et')} "
    "(enhancing tumour). A gap left as zeros is an image that the network has never seen; a synthetic one looks like "
    "what it knows, be it right or wrong."
)

# %% [markdown]
# ## Stage 3: the 71 features

# %%
tables = {
    end.TRUE_MASKS: end.features(masks[end.TRUE_MASKS], stages.recorded),
    end.RECORDED: end.features(masks[end.RECORDED], stages.recorded),
    end.SYNTHESISED: end.features(masks[end.SYNTHESISED], stages.filled),
}

# %% tags=["hide-input"]
report.table(
    "features",
    end.feature_agreement(tables),
    index=False,
    digits={"median rho": 2, "lower quartile": 2, "upper quartile": 2, "missing (%)": 1,
            "missing with true masks (%)": 1},
    caption="Agreement of the features with those of true masks on recorded images: Spearman's correlation over "
    "patients, median and quartiles over the features of a kind.",
)  # fmt: skip

# %% [markdown]
# ## Stage 4: survival
#
# As in *Radiogenomic survival on TCGA*: 8 radiomic features (age among the candidates) and 43 genes by recursive
# elimination, a support vector regression of days, and the class into which the predicted days fall. The patients and
# the folds are the same for every source of features.

# %%
ablation = end.ablate(
    data, tables, splitter=RepeatedFolds(n_folds=n_folds, n_repeats=n_repeats, seed=seed), seed=seed,
    short_below=short_below_days, long_above=long_above_days, n_radiomic=n_radiomic, n_genomic=n_genomic,
    n_permutations=n_permutations,
)  # fmt: skip
costs = end.ablation_table(ablation, n_boot=n_bootstrap, seed=seed)

# %% tags=["hide-input"]
study, run = ablation.studies[end.SYNTHESISED], ablation.runs[end.SYNTHESISED]
accuracies = results.accuracy_table({"days": run}, n_boot=n_bootstrap, seed=seed)
largest = 100 * float(study.classes.value_counts(normalize=True).max())
report.figure(
    "ablation",
    end.ablation_figure(costs, chance=largest),
    caption="Accuracy of the SVM by source of the radiomic features, with 95 % intervals over patients.",
    alt="Two panels, leakage-free and as published: dots for radiomic, genomic and fused features.",
)
report.table(
    "ablation",
    end.display(costs),
    index=False,
    digits={"n": 0},
    caption="What each stage's error costs: accuracy, its change against true masks (paired over patients), and the "
    "concordance index.",
)

# %% tags=["remove-input"]
report.sentence(shown.ablation_sentence(costs, largest=largest))

# %% [markdown]
# ### The paper's pipeline under every protocol

# %% tags=["hide-input"]
report.figure(
    "protocols",
    results.protocols_figure(accuracies, model="SVM, fused", reference=results.published_accuracy()),
    caption="Accuracy of the fused SVM on features of predicted masks and synthetic modalities "
    f"({len(study)} patients) under every protocol, and as published.",
    alt="Dots with intervals: published, as published, leakage-free, controls and shuffled labels.",
)
report.figure(
    "arms",
    results.arms_figure(accuracies, reading="days"),
    caption="SVM and ANN on radiomic, genomic and fused features: the counterpart of Figure 9 A and B.",
    alt="Two panels of dots with intervals, as published and leakage-free.",
)

# %% tags=["hide-input"]
table_2 = {protocol: end.table_2(ablation, protocol, n_boot=n_bootstrap, seed=seed)
           for protocol in (AS_PUBLISHED, LEAKAGE_FREE)}  # fmt: skip
for protocol, (table, _) in table_2.items():
    report.table(
        f"table2-{protocol.replace(' ', '-')}",
        table,
        digits={"mse": 0, **dict.fromkeys(table.columns[1:], 1)},
        caption=f"Table II, {protocol}, from images end to end: mean squared error in days², and accuracy, sensitivity "
        "and specificity in per cent. The last row is the published average.",
    )

# %% [markdown]
# ### What the model uses

# %% tags=["hide-input"]
figure, leading = shown.shap_figure(study, n_radiomic=n_radiomic, n_genomic=n_genomic, seed=seed)
report.figure(
    "shap",
    figure,
    caption="Leading features of the fused SVM by mean absolute SHAP value for each class, fitted on all patients (the "
    "counterpart of Figure 9 C); genes that the paper names are bold.",
    alt="Stacked bars, one a feature, split by class.",
)
report.sentence(
    f"Of the {len(leading)} leading features {sum(name in study.genomic for name in leading)} are genes and "
    f"{sum(name not in study.genomic for name in leading)} radiomic."
)

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
for protocol, (_, values) in table_2.items():
    for name, one in values.items():
        if one.value == one.value:
            report.record(
                f"islam2020.table2.avg.{name}", one.value, low=one.low, high=one.high, n=one.n, protocol=protocol,
                note="images end to end: synthetic modalities, predicted masks",
            )  # fmt: skip
fused = end.accuracy_of(costs, arm=end.SYNTHESISED, protocol=LEAKAGE_FREE)
report.record("islam2020.figure1", fused.value, low=fused.low, high=fused.high, n=fused.n, unit="%",
              protocol=LEAKAGE_FREE, note="the whole workflow runs; the value is its accuracy")  # fmt: skip

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | a modality that cannot be made | stays a gap | the paper uses "only available modalities" then |
# | which image gives intensities | T1ce (`Islam71Settings`) | it shows core and enhancing rim |
# | the ensemble on TCGA | mean of the folds' probabilities (`n_networks`) | as for the validation set of BraTS |
# | all choices of the survival models | as in *Radiogenomic survival on TCGA* | the same models |
#
# ## Limits
#
# In the simulation survival depends on genes, age, grade and the tumour's latent aggressiveness, with strengths that
# were chosen; how much radiomic features could tell at best follows from them and is not a finding about patients. The
# ablation holds the trained networks fixed: its intervals are over patients, not over trainings.
#
# ## Summary
#
# - The paper's pipeline runs from images with gaps to the survival class.
# - The quality of masks on the survival cohort is known here, with and without synthetic modalities.
# - The cost of each stage's error is measured on the same patients, with intervals.

# %% tags=["remove-input"]
report.finish()
