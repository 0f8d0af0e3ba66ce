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
# # Multi-stream IDH1 classifier
#
# **What the paper claims.** Ge et al. {cite}`ge2020pairwise` train a network with one stream a modality first on the
# synthetic slices of fake patients and then on real slices, and decide a patient by the vote of six slices. On five
# random test sets of 34 patients the mean accuracy for IDH1 is 88.82 %, which is 2.94 points above the same network on
# real slices alone; without tumour masks it is 81.15 %.
#
# **What this chapter does.** It trains every arm of the paper on the partitions and with the generators of the chapter
# before: both case studies, both baselines, with and without masks, and the 3D DenseNet that the paper compares with.
# Beside them stand what the paper lacks: the collection, the patient's age, the same network given age or grade, the
# accuracy within each collection, shuffled labels, a cohort in which images show nothing of IDH, and labels in which
# an unknown status counts as wild-type. Every estimate has an interval over patients.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
generator: list[int] = [6, 12, 24, 48]  # filters of the generators, as in the chapter before
field: float = 180.0  # what a slice covers, mm, as in the chapter before
widths: list[int] = [8, 8, 16, 16, 16, 16, 16]  # filters of a stream's seven layers; only their number is published
hidden: list[int] = [32, 32]  # neurons of the fully connected layers; published: 256, 256
pretrain_epochs: int = 100  # of the first stage, as published, where `pretrain_steps` is 0
refine_epochs: int = 50  # of the second stage, as published, where `refine_steps` is 0
pretrain_steps: int = 200  # updates of the first stage, the same for every arm; 0 counts epochs
refine_steps: int = 100  # updates of the second stage, the same for every arm; 0 counts epochs
pretrain_rate: float = 0.02  # first learning rate; published: 0.0001
refine_rate: float = 0.02  # learning rate of the second stage; published: 0.000001
batch_size: int = 16  # slices
dense_features: int = 8  # filters of the 3D DenseNet's first layer; published: 64
dense_growth: int = 4  # its growth; published: 32
dense_steps: int = 60  # updates of the 3D DenseNet
dense_batch: int = 12  # its crops
dense_rate: float = 0.001  # its learning rate
unknown_share: float = 0.17  # of those counted as wild-type whose status is unknown: 19 of 112 in the paper's cohort
n_null: int = 120  # patients of the cohort without signal; 0 leaves it out
null_grid: list[int] = [64, 64, 48]  # its voxels
n_null_runs: int = 1  # partitions of the cohort without signal
n_boot: int = 1000  # resamples behind an interval

# %% tags=["hide-input"]
from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.scores import keep_scores
from radlib.core.paths import data_root, run_dir
from radlib.data.sources import open_cohort
from radlib.papers.across.idh import planted_traits
from radlib.papers.ge2020 import arms, controls
from radlib.papers.ge2020 import multistream_results as results
from radlib.papers.ge2020.classifier import ClassifierRecipe, DenseRecipe
from radlib.papers.ge2020.data import SliceSet
from radlib.papers.ge2020.estimates import comparisons
from radlib.papers.ge2020.gan import load_generators
from radlib.papers.ge2020.multistream_ledger import record_all
from radlib.papers.ge2020.runs import load_partitions
from radlib.papers.ge2020.study import Study, unknown_counted
from radlib.plots.dots import dot_plot

report = Report.start("multistream_idh", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# Slices, partitions and generators are those of the chapter [Pairwise GAN](pairwise_gan). Patients are divided
# 60/20/20; fake patients come from training patients only, and no generator has seen another patient.

# %%
before = run_dir(cohort=cohort, profile=profile, chapter="pairwise_gan")
slices = SliceSet.load(before / "arrays" / "slices")
parts = load_partitions(before / "arrays" / "partitions.json")
generators = [
    {case: load_generators(before / "weights" / f"run{run}" / case, widths=generator) for case in ("A", "B")}
    for run in range(1, len(parts) + 1)
]
data = open_cohort("tcga-idh", cohort=cohort, profile=profile)
people = data.participants.loc[list(slices.ids)]
mutant = people["idh"] == "mutant"
counted, traits = None, None
if data.source == "simulated":
    counted, unknown = unknown_counted(mutant, share=unknown_share, seed=seed)
    traits = planted_traits(data).loc[people.index]
study = Study(slices=slices, participants=people, mutant=mutant, counted=counted)

# %% tags=["remove-input"]
split = parts[0].split
report.sentence(
    f"{len(people)} patients, {int(mutant.sum())} mutant; {len(parts)} partitions with {len(split.train)} training, "
    f"{len(split.validation)} validation and {len(split.test)} test patients; "
    f"{len({s for part in parts for s in part.split.test})} patients are tested at least once."
)

# %% [markdown]
# ## Method
#
# Each modality has a stream of seven 3 x 3 convolutions with batch normalisation. With $F_k$ the maps of stream $k$,
# $f_k$ the same as a vector and $w_k$ learnt,
#
# $$ a_k = \frac{\exp(w_k^\top f_k)}{\sum_i \exp(w_i^\top f_i)}, \qquad F = \sum_k a_k F_k, \qquad
#    H = F'^\top F', $$
#
# where $F'$ holds the maps of $F$ as columns. $H$ goes through two hidden layers to the two classes. Mutant slices
# weigh twice as much as wild-type ones. The first stage sees synthetic patients (a baseline: the real ones), the second
# real ones, both with Adagrad; each stage keeps the weights of its best validation loss. A patient is mutant if *more*
# than half of the six slices are, so that a tie is wild-type.

# %% tags=["trainings"]
recipe = ClassifierRecipe(
    widths=tuple(widths), hidden=tuple(hidden), pretrain_epochs=pretrain_epochs, refine_epochs=refine_epochs,
    pretrain_steps=pretrain_steps, refine_steps=refine_steps, pretrain_rate=pretrain_rate, refine_rate=refine_rate,
    batch_size=batch_size,
)  # fmt: skip
dense = DenseRecipe(
    features=dense_features, growth=dense_growth, steps=dense_steps, batch_size=dense_batch, learning_rate=dense_rate
)
wanted = (*arms.CASES, arms.NO_MASK, *arms.GIVEN, arms.COUNTED_ARM, *arms.CONTROLS)
options = {"arms": wanted, "recipe": recipe, "dense": dense, "seed": seed, "folder": report.directory / "checkpoints"}
trainings = arms.arm_trainings(study, parts, generators, **options)

# %%
outcomes = [
    arms.run_partition(study, part, generators[run - 1], traits=traits, run=run, **options)
    for run, part in enumerate(parts, start=1)
]

# %% tags=["hide-input"]
everything = arms.collect(outcomes)
special = {arms.COUNTED_ARM.name, *(arm.name for arm in arms.CONTROLS)}
predictions = everything[~everything["arm"].isin(special)]
keep_scores(report, "idh", predictions.rename(columns={"arm": "model", "probability": "score"}).assign(role="tcga-idh"))
estimates = results.estimates_of(predictions, n_boot=n_boot, seed=seed)
sizes = {"n_train": len(split.train), "n_test": len(split.test)}
report.figure(
    "training",
    results.history_figure(outcomes, ("Prop-A", "Bas-1")),
    caption="Loss in both stages of the first run (the dotted line divides them), with synthetic patients and without.",
    alt="Two panels with falling curves of training and validation loss.",
)

# %% tags=["remove-input"]
report.sentence(results.refining_sentence(6 * len(split.train), rate=refine_rate))

# %% [markdown]
# ## Results

# %% tags=["hide-input"]
report.table(
    "arms",
    results.arm_table(predictions, estimates, **sizes),
    index=False,
    caption="The counterpart of Tables 2 and 5, with everything beside it: means over runs with 95 % intervals over "
    "patients; for the accuracy also the standard deviation of the runs and, of three runs or more, their interval.",
)
report.figure(
    "arms",
    dot_plot(estimates, metrics=["auc", "accuracy"], references=results.printed_accuracy()),
    caption="AUC and accuracy of patients, with 95 % intervals over patients. Dotted: printed for Prop-A. "
    "*planted traits* is a logistic regression on what the simulated images had to show.",
    alt="Two panels of dots with intervals, one line an arm.",
)

# %% [markdown]
# ### Run by run
#
# A test set of 34 patients says little: every dot below has the interval of a proportion of so many patients.

# %% tags=["hide-input"]
for name, pair in (("case-a", ("Prop-A", "Bas-1")), ("case-b", ("Prop-B", "Bas-2"))):
    report.table(
        name,
        results.run_table(predictions, pair),
        index=False,
        caption=f"The counterpart of Table {3 if name == 'case-a' else 4}: each run with Wilson's 95 % interval.",
    )
report.figure(
    "runs",
    results.runs_figure(predictions),
    caption="Accuracy of every run with Wilson's 95 % interval, as printed and here.",
    alt="Four panels of dots with wide intervals that overlap in almost every run.",
)

# %% tags=["hide-input"]
report.table(
    "paired",
    comparisons(predictions, results.PAIRS, n_boot=n_boot, seed=seed),
    index=False,
    caption="Arms on the same test patients: difference of the accuracies in points, with intervals over patients, and "
    "McNemar's exact test with every patient counted once; the tests of single runs beside it.",
)
report.sentence(results.published_sentences())

# %% [markdown]
# ### What fake patients show
#
# A synthetic FLAIR made from T1 shows what T1 shows, in the place where the network expects FLAIR. How much of IDH is
# left in the training patients is asked without a network: a logistic regression on mean, spread and maximum of each
# modality within the tumour, cross-validated by real patient.

# %% tags=["hide-input"]
shown = results.shown_table(outcomes, n_boot=n_boot, seed=seed)
if len(shown):
    report.table(
        "shown",
        shown,
        index=False,
        caption="AUC for IDH of a plain rule in the training patients, real and fake; the fake ones together, and by "
        "the way in which their modalities were made from each other. 95 % intervals over patients.",
    )

# %% [markdown]
# ### Vote and attention

# %% tags=["hide-input"]
report.table(
    "votes",
    results.vote_table(predictions, ("Prop-A", "Bas-1", "Prop-B", "Bas-2", arms.NO_MASK.name)),
    index=False,
    caption="What the vote over six slices does, over all runs: shares of slices and patients right, by the paper's "
    "rule, with ties as mutant, and by the mean probability of the slices.",
)
report.table(
    "attention", results.attention_table(outcomes, "Prop-A"), caption="Mean attention weights on test slices (Eq. 7)."
)

# %% [markdown]
# ### Within each collection
#
# The collection alone tells most of what there is to tell: within one, its rule is the majority class.

# %% tags=["hide-input"]
if people["collection"].nunique() > 1:
    inside = ("Prop-A", "Bas-1", "Prop-A given age", "Prop-A given grade", "age model", "collection rule")
    groups = results.group_table(predictions, people["collection"], inside, n_boot=n_boot, seed=seed)
    report.table(
        "groups",
        results.group_display(groups),
        index=False,
        caption="Within LGG and within GBM: means over the runs in which a metric is defined, with 95 % intervals over "
        "patients; numbers of tested patients and of mutant ones among them.",
    )

# %% [markdown]
# ### Where nothing is to be found
#
# Labels shuffled between all patients, and between patients of the same collection: the second leaves what images tell
# of the collection. In the cohort *without signal* no arrow leads from IDH, grade or age to an image, but age and
# collection still go with IDH.

# %% tags=["hide-input"]
shuffled = everything[everything["arm"].isin([arm.name for arm in arms.CONTROLS])].assign(setting="shuffled labels")
nothing = [shuffled]
if n_null and report.source == "simulated":
    empty = controls.null_cohort(report.directory / "checkpoints" / "null", n=n_null, grid=null_grid, seed=seed)
    null, null_parts = controls.null_study(empty, size=slices.size, field=field, n_runs=n_null_runs, seed=seed)
    found = controls.run_null(null, null_parts, generators[0], outcomes, recipe=recipe, seed=seed)
    nothing.append(found.assign(setting="without signal"))
null_estimates = results.control_estimates(nothing, n_boot=n_boot, seed=seed)
report.figure(
    "nothing",
    dot_plot(null_estimates, metrics=["auc", "accuracy"], colour="setting", references={"auc": [("no skill", 0.5)]}),
    caption="The same arms where labels are shuffled, and on a simulated cohort whose images show nothing of IDH.",
    alt="Two panels of dots with intervals, networks and rules on shuffled labels and without signal.",
)

# %% tags=["hide-input"]
report.table(
    "nothing",
    results.control_display(null_estimates),
    index=False,
    caption="The same as numbers, with 95 % intervals over patients.",
)

# %% [markdown]
# ### Unknown status counted as wild-type
#
# By another molecular table {cite}`ceccarelli2016molecular` the status of 19 of the paper's 112 wild-type patients is
# unknown. In the simulated cohort the same share of those counted as wild-type loses its status; the network learns and
# is judged with and without the mistake.

# %% tags=["hide-input"]
if counted is not None:
    report.sentence(
        f"{int(unknown.sum())} simulated patients lose their status; {int((mutant & ~counted).sum())} of them are "
        f"mutant and count as wild-type, {int(unknown.sum())} of {int((~counted).sum())} wild-type."
    )
    report.table(
        "noise",
        controls.noise_table(everything, mutant, n_boot=n_boot, seed=seed),
        index=False,
        caption="Prop-A by the labels it learnt and the labels it is judged by; 95 % intervals over patients.",
    )

# %% tags=["hide-input"]
if data_root() is not None:
    real, said = controls.real_labels_table(n_runs=5, n_boot=n_boot, seed=seed)
    report.sentence(said)
    report.table(
        "real-labels",
        real,
        index=False,
        caption="The paper's own patients, from the public tables: rules without images on five random partitions, "
        "judged by labels as counted and by known status alone.",
    )
else:
    report.note("No real tables are at hand: set RADLIB_DATA to the folder that holds them.")

# %% [markdown]
# ### Other methods

# %% tags=["hide-input"]
report.table(
    "methods",
    results.table7(estimates),
    index=False,
    caption="The counterpart of Table 7: the 3D DenseNet121 was run here on the same patients; the others are quoted.",
)

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
record_all(
    report,
    everything,
    counted=None if counted is None else everything[everything["arm"] == arms.COUNTED_ARM.name],
    counts=(int(mutant.sum()), int((~mutant).sum())),
    n_boot=n_boot,
    seed=seed,
)

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | filters of the seven layers, pooling | `widths`; halved after layers 1, 2, 4, 6 | only number and kernel are given |
# | scale of the bilinear map | mean over places | the sum grows with the size of the slice |
# | how long a baseline is trained | as many updates, or epochs, as the arm with synthetic slices | not given |
# | completed patients (S4) | in both stages | neither wholly real nor wholly synthetic |
# | a missing scan of baseline 2 | an empty image | "only real" images are printed |
# | weights after a stage | those of the best validation loss | "early stopping" without a patience |
# | start of the weights | Glorot's, as Keras does | Keras is named |
# | batch size, hidden activation | `batch_size`, ReLU | not given |
# | arm without masks (Table 5) | slices without enhancement, the same generators | isolates the classifier |
# | Liang's input | the crop around the tumour, real patients | the paper does not say how it ran it |
# | clinical numbers | appended to the bilinear map, standardised on training patients | not in the paper |
#
# ## Limits
#
# - Small networks on small slices stand in for the published ones in the default profile, with higher rates and fewer
#   updates; the published schedule needs a GPU.
# - In the default profile the first stage hardly learns from fake patients within its updates (see the figure of the
#   training), as the table of what they show explains; what Prop-A knows it has mostly from the second stage. The
#   narrow 3D DenseNet is far from trained, so that only the paper profile makes it a rival.
# - The cohort without signal has few test patients in the default profile; its networks mostly answer with the larger
#   class.
# - Runs share patients. Intervals over patients hold the trained networks fixed, intervals over runs rest on few runs.
# - Within GBM the mutant patients can be counted on one hand: sensitivities there mean nothing.
# - The simulated images show of IDH what was planted, and nothing else; the paper's claim is about real images.
# - Several comparisons are made; p-values are not corrected for their number.
#
# ## Summary

# %% tags=["remove-input"]
report.sentence(results.summary(report, predictions, estimates, null_estimates, n_boot=n_boot, seed=seed))

# %% tags=["remove-input"]
report.finish()
