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
# **What the paper claims.** Ge et al. {cite}`ge2020pairwise` train a network with one stream per modality, first on the
# synthetic slices of fake patients and then on real slices. A patient is classified by the vote of six slices. On five
# random test sets of 34 patients the mean accuracy for IDH1 is 88.82 %, which is 2.94 points above the same network
# trained on real slices alone; without tumour masks it is 81.15 %.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status multistream_idh
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
size: int = 48  # edge of a slice, pixels; published: 128; as in the previous chapter
field: float = 180.0  # what a slice covers, mm
n_runs: int = 5  # random partitions by patient, as published
generator: list[int] = [6, 12, 24, 48]  # filters; published: 32, 64, 128, 256
discriminator: list[int] = [6, 12, 24, 48]  # filters; published: 64, 128, 256, 512
gan_steps: int = 200  # updates of every player; published: 1000 epochs
gan_batch: int = 8  # slices
gan_rate: float = 0.002  # learning rate; published: 0.0002
l1_weight: float = 100.0  # lambda_1 of the whole loss; not published
gan_per_case: bool = False  # whether the case of missing scans has its own GANs
widths: list[int] = [8, 8, 16, 16, 16, 16, 16]  # filters of seven layers
hidden: list[int] = [32, 32]  # fully connected neurons; published: 256, 256
pretrain_epochs: int = 100  # as published, where `pretrain_steps` is 0
refine_epochs: int = 50  # of the second stage, as published, where `refine_steps` is 0
pretrain_steps: int = 200  # updates of the first stage, in every arm; 0: epochs
refine_steps: int = 100  # updates of the second stage, in every arm; 0: epochs
pretrain_rate: float = 0.02  # first learning rate; published: 0.0001
refine_rate: float = 0.005  # learning rate of the second stage; published: 0.000001
batch_size: int = 16  # slices
mask_background: float = 0.3333333333333333  # weight outside the tumour; not published
crop: int = 32  # edge of the crop for the 3D DenseNet, voxels
dense_features: int = 8  # filters of the 3D DenseNet's first layer; published: 64
dense_growth: int = 4  # its growth rate; published: 32
dense_steps: int = 0  # updates of the 3D DenseNet; 0 leaves it out
dense_batch: int = 12  # its batch size, crops
dense_rate: float = 0.001  # its learning rate
n_null: int = 120  # patients of the cohort without signal; 0 leaves it out
null_grid: list[int] = [64, 64, 48]  # voxels of its images
n_null_runs: int = 5  # partitions of the cohort without signal
n_boot: int = 1000  # resamples for an interval

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.paths import data_root
from radlib.core.titles import MODALITY_TITLES
from radlib.data.published import published
from radlib.data.sources import open_cohort
from radlib.papers.ge2020 import tables_idh as tables
from radlib.papers.ge2020.classifier import majority, stage_schedule
from radlib.papers.ge2020.data import SLICES, enhanced
from radlib.papers.ge2020.losses import weighted_cross_entropy
from radlib.papers.ge2020.networks import (
    AttentionFusion,
    MultiStreamClassifier,
    bilinear,
)
from radlib.papers.ge2020.study_classifier import rules
from radlib.papers.ge2020.tables import ON_REAL
from radlib.papers.ge2020.tables_idh import NULL
from radlib.phantom.planted import planted_traits
from radlib.plots.architecture import architecture_figure, blocks_of
from radlib.plots.curves import curve_figure
from radlib.plots.dots import dot_plot
from radlib.stats.tables import format_interval
from radlib.study.estimates import class_estimates

report = Report.start("multistream_idh", cohort=cohort, profile=profile, seed=seed)

# %% tags=["remove-input"]
if report.source == "real":
    report.note(ON_REAL)

# %% [markdown]
# ## The study
#
# Slices, partitions and generators are those of the chapter [Pairwise GAN](pairwise_gan). Every arm is trained on the
# same partitions from the same initial weights: both case studies (Prop-A, Prop-B), their baselines on real slices
# (Bas-1, Bas-2), a baseline without a first stage, and Prop-A without masks. The chapter adds what the paper does not
# have: shuffled labels, a cohort whose images show nothing of IDH, and rules that use no image.

# %% tags=["study"]
from radlib.core.seeds import named_seed
from radlib.data.sources import role_with_images
from radlib.papers.ge2020.classifier import ClassifierRecipe, DenseRecipe
from radlib.papers.ge2020.data import Partition, Slices
from radlib.papers.ge2020.study_classifier import (
    TITLES,
    Arm,
    all_arms,
    arm_jobs,
    densenet,
    shown,
    transferred,
)
from radlib.papers.ge2020.study_gan import GanRecipe, gan_jobs
from radlib.study.cohorts import CohortOptions, Source
from radlib.study.studies import Study

source = Source(role_with_images("tcga-idh", cohort=cohort), cohort, profile)
slices = Slices(source=source, size=size, field=field)
numbers = range(1, n_runs + 1)
runs = [Partition(slices=slices, run=number, seed=seed) for number in numbers]
gan = GanRecipe(
    generator=tuple(generator), discriminator=tuple(discriminator), steps=gan_steps,
    batch_size=gan_batch, learning_rate=gan_rate, l1_weight=l1_weight,
)  # fmt: skip
gans = [gan_jobs(one, gan, gan_per_case=gan_per_case) for one in runs]
recipe = ClassifierRecipe(
    widths=tuple(widths), hidden=tuple(hidden), pretrain_epochs=pretrain_epochs,
    refine_epochs=refine_epochs, pretrain_steps=pretrain_steps,
    refine_steps=refine_steps, pretrain_rate=pretrain_rate, refine_rate=refine_rate,
    batch_size=batch_size, background=mask_background,
)  # fmt: skip
dense = DenseRecipe(
    crop=crop, features=dense_features, growth=dense_growth, steps=max(1, dense_steps),
    batch_size=dense_batch, learning_rate=dense_rate, background=mask_background,
)  # fmt: skip
arms = all_arms(recipe)
trained = [
    arm_jobs(one, arms, made, recipe, seed=seed)
    | ({"densenet": densenet(partition=one, recipe=dense, seed=seed)} if dense_steps else {})
    for one, made in zip(runs, gans, strict=True)
]  # fmt: skip
study = Study(
    "classifier", {arm: [found[arm] for found in trained] for arm in trained[0]},
    titles=TITLES, runs=numbers,
)  # fmt: skip

# %% [markdown]
# The controls: how well a plain rule predicts IDH from fake patients, and a cohort *without signal*, in which no arrow
# leads from IDH, grade or age to an image.

# %% tags=["study"]
evidence = Study("shown", {
    "shown": [
        shown(partition=one, gans=made["a"], seed=seed)
        for one, made in zip(runs, gans, strict=True)
    ]
}, runs=numbers)  # fmt: skip
if n_null and cohort == "simulated":
    own = CohortOptions(n=n_null, grid=tuple(null_grid), preset="null")
    empty = Slices(
        source=Source("tcga-idh", profile=profile, seed=seed + 1, own=own),
        size=size, field=field,
    )  # fmt: skip
    null_numbers = range(1, n_null_runs + 1)
    null_runs = [
        Partition(slices=empty, run=number, seed=seed) for number in null_numbers
    ]  # fmt: skip
    real_only = {"bas_1": Arm(case="bas_1")}
    null_trained = [
        arm_jobs(one, real_only, {}, recipe, seed=named_seed(seed, "null"))
        for one in null_runs
    ]  # fmt: skip
    nothing = Study(
        "nothing", {"bas_1": [found["bas_1"] for found in null_trained]},
        titles=TITLES, runs=null_numbers,
    )  # fmt: skip
    transfer = Study("transfer", {
        "signal": [
            transferred(slices=empty, trained=found["prop_a"]) for found in trained
        ]
    }, titles=TITLES, runs=numbers)  # fmt: skip

# %% tags=["hide-input"]
patients, splits = slices.open(), [one.split() for one in runs]
people, mutant, split = patients.table, patients.mutant, splits[0]
options = {"n_boot": n_boot, "seed": seed}
with_null = n_null > 0 and cohort == "simulated"
for one in (study, evidence, *((nothing, transfer) if with_null else ())):
    report.study(one)
traits = planted_traits(source.open()) if report.source == "simulated" else None
plain = [
    rules(people, mutant, part, run=number, traits=traits)
    for number, part in zip(numbers, splits, strict=True)
]  # fmt: skip
everything = pd.concat([study.scores, *plain], ignore_index=True)
predictions = everything[everything["arm"] != tables.SHUFFLED]
found = tables.estimated(everything, **options)
shown_arms = found[found["arm"] != tables.SHUFFLED]
comparisons, gains = tables.paired(predictions, **options)
controls = [everything[everything["arm"] == tables.SHUFFLED]]
if with_null:
    null = empty.open()
    null_found = [nothing.scores] + [rules(null.table, null.mutant, one.split(), run=one.run) for one in null_runs]
    controls += [part.assign(arm=NULL + part["arm"]) for part in null_found]
    controls.append(transfer.scores)
without = tables.estimated(pd.concat(controls, ignore_index=True), **options)

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
own = pd.concat([found, without[without["arm"].str.startswith(NULL)]]).set_index(["arm", "metric"])
differences = gains.set_index(["first", "second", "metric"])


def keep(name: str, row: pd.Series, unit: str = "") -> str:
    """Keep a number, and give it back as text."""
    report.value(name, row["value"], low=row["low"], high=row["high"], n=int(row["n"]), unit=unit)
    return report.text(name)


named = ("prop_a", "bas_1", "prop_b", "bas_2", tables.SHUFFLED)
areas = {arm: keep(f"auc_{arm}", own.loc[(arm, "auc")]) for arm in named}
without_image = ", ".join(
    f"*{TITLES[arm]}* {keep(f'auc_{arm}', own.loc[(arm, 'auc')])}"
    for arm in tables.beside_images(own.index.unique("arm"))
)
changes = {
    name: keep(name, differences.loc[(*pair, metric)])
    for name, pair, metric in (
        ("gain_a", ("prop_a", "bas_1"), "auc"),
        ("gain_a_accuracy", ("prop_a", "bas_1"), "accuracy"),
        ("gain_b", ("prop_b", "bas_2"), "auc"),
        ("mask_gain", ("prop_a", "no_mask"), "auc"),
        ("above_rule", ("prop_a", "collection_rule"), "auc"),
        ("above_age", ("prop_a", "age_model"), "auc"),
        ("above_age_grade", ("prop_a", "age_grade"), "auc"),
    )
    if (*pair, metric) in differences.index
}
both = predictions[predictions["arm"].isin(("prop_a", "bas_1"))]
everyone = ", which calls every patient mutant in both," if both["predicted"].all() else ""
answer = (
    f"Fake patients change the AUC for IDH1 by {changes['gain_a']} and the accuracy of the "
    f"vote{everyone} by {changes['gain_a_accuracy']} (Prop-A minus Bas-1, same patients and runs), "
    f"fake patients and filled-in scans the AUC by {changes['gain_b']} (Prop-B minus "
    f"Bas-2), the mask in the classifier's input by {changes['mask_gain']}. "
    f"Prop-A has an AUC of {areas['prop_a']}, with shuffled labels "
    f"{areas['prop_a_permuted']}; without any image: {without_image}."
    + "".join(
        f" Minus {rule} Prop-A is {changes[name]}."
        for name, rule in (
            ("above_rule", "the collection rule"),
            ("above_age", "the age model"),
            ("above_age_grade", "age + grade"),
        )
        if name in changes
    )
)
report.sentence(answer)

# %% [markdown]
# ## Data

# %% tags=["remove-input"]
report.sentence(
    f"{len(people)} patients, {int(mutant.sum())} mutant; {n_runs} partitions with {len(split.train)} training, "
    f"{len(split.validation)} validation and {len(split.test)} test patients; "
    f"{len({s for part in splits for s in part.test})} patients are tested at least once."
)

# %% [markdown]
# ## Method
#
# ### A stream for each modality
#
# Each modality has a stream of seven $3 \times 3$ convolutions with batch normalisation.

# %%
show_code(MultiStreamClassifier)

# %% tags=["hide-input"]
torch.manual_seed(seed)
streams = len(patients.modalities)
network = MultiStreamClassifier(widths=widths, hidden=hidden, size=size, streams=streams)
report.figure(
    "network",
    architecture_figure(
        blocks_of(network, (streams, size, size)),
        titles={"Sequential": "a stream, or the last layers"},
    ),
    caption="The network, drawn from the module (the counterpart of Figure 5): a stream "
    "of seven convolutions for each modality, attention over their maps, and the fully "
    "connected layers after the bilinear map.",
    alt="A box for each stream; they lead into one box, and this into a last one.",
)

# %% [markdown]
# ### Attention
#
# With $F_k$ the maps of stream $k$, $f_k$ the same as a vector and $w_k$ a learnt vector, equation (7) weighs the
# modalities of each slice,
#
# $$ a_k = \frac{\exp(w_k^\top f_k)}{\sum_i \exp(w_i^\top f_i)}, \qquad
#    F = \sum_k a_k F_k. $$

# %%
show_code(AttentionFusion)

# %% [markdown]
# ### Bilinear pooling
#
# $H = F'^\top F'$, where $F'$ holds the maps of $F$ as columns: how strongly the maps are active together, wherever in
# the slice. $H$ goes through two hidden layers to the two classes.

# %%
show_code(bilinear)

# %% [markdown]
# ### Loss, stages and vote
#
# Mutant slices weigh twice as much as wild-type ones. The first stage trains on synthetic patients (in a baseline on
# real ones), the second on real ones, both with Adagrad; each stage keeps the weights of its best validation loss. A
# patient is mutant if *more* than half of the six slices are (Eq. 6), so that a tie is wild-type.

# %%
show_code(weighted_cross_entropy, majority)

# %% [markdown]
# A vote uses the threshold that happens to result from training, so its accuracy measures this threshold along with the
# network. The AUC, which needs none, is therefore reported first. Beside the vote there is a threshold on the mean
# probability of the slices: the one with the largest balanced accuracy in the validation patients.
#
# ### One step by hand
#
# The six slices of one training patient, enhanced by the mask, through an untrained
# network.

# %%
row = patients.rows(split.train)[:1]
batch = enhanced(patients.images[row], patients.masks[row], background=mask_background)
batch = batch.flatten(0, 1)
labels = torch.full((len(batch),), int(mutant[split.train[0]]))
maps = network.stream_maps(batch)
attention = network.fusion.attention(maps)
fused = network.fusion(maps)
refined = bilinear(fused)
logits = network.head(refined.flatten(1))
loss = weighted_cross_entropy(logits, labels, class_weight=2.0)
loss.backward()
called = majority(logits.argmax(1)[None])

# %% tags=["remove-input"]
norm = sum(p.grad.square().sum() for p in network.parameters()).sqrt().item()
report.sentence(
    f"Slices {list(batch.shape)}, maps of the streams {list(maps.shape)}, fused "
    f"{list(fused.shape)}, bilinear {list(refined.shape)}, logits {list(logits.shape)}; "
    f"the attention of the first slice is "
    + ", ".join(
        f"{MODALITY_TITLES[name]} {a:.2f}" for name, a in zip(patients.modalities, attention[0].tolist(), strict=True)
    )
    + f"; loss {loss.item():.3f}, norm of the gradient {norm:.2f}, parameters "
    f"{sum(p.numel() for p in network.parameters()):,}; the vote says "
    f"{'mutant' if called[0] else 'wild-type'}."
)

# %% [markdown]
# ## Results
#
# ### Training

# %% tags=["hide-input"]
history = study.history.query("run == 1 and part != 'first' and arm in ('prop_a', 'bas_1')")
stages = history["stage"].map({"augmented": "first stage", "real": "second stage"})
report.figure(
    "training",
    curve_figure(
        history.assign(panel=history["arm"].map(TITLES) + ", " + stages),
        x="step",
        xlabel="step",
        ylabel="weighted cross-entropy",
        value="loss",
        colour="part",
        panel="panel",
    ),
    caption="Loss in both stages of the first run, with synthetic patients and without.",
    alt="Four panels with curves of training and validation loss.",
)

# %% tags=["hide-input"]
report.beginning(Study("bas_1", {"bas_1": study.arms["bas_1"]}))

# %% tags=["remove-input"]
rate = published("ge2020.text.refining_learning_rate").value
optimizer, steps, _ = stage_schedule("real", SLICES * len(split.train), ClassifierRecipe(refine_rate=rate))
reach = rate * float(np.sum(1 / np.sqrt(np.arange(1, steps + 1))))
start = np.sqrt(6 / (9 * 2 * ClassifierRecipe().widths[-1]))
report.sentence(
    f"The published second stage hardly moves a weight: Adagrad divides the rate of {rate:g} by the root of the sum of "
    f"squared gradients, so that {steps} updates by gradients of one size add up to {reach:.1g}, where the weights of "
    f"the last layer of a stream start between -{start:.2g} and {start:.2g}. What it does change are the statistics of "
    f"batch normalisation. The rate here is {refine_rate:g}."
)

# %% [markdown]
# ### All arms

# %% tags=["hide-input"]
report.figure(
    "arms",
    dot_plot(
        shown_arms.assign(model=shown_arms["arm"].map(TITLES)),
        metrics={
            "auc": "AUC",
            "accuracy": "accuracy, vote",
            "accuracy_calibrated": "accuracy, validation's threshold",
        },
        references={
            "auc": [("no skill", 0.5)],
            "accuracy": [
                (
                    "printed for Prop-A",
                    published("ge2020.table2.prop_a.accuracy").value / 100,
                )
            ],
        },
    ),
    caption="AUC and accuracy of patients, with 95 % intervals over runs and patients."
    + (
        " *planted traits* is a logistic regression on what the simulated images had to show."
        if traits is not None
        else ""
    ),
    alt="Three panels of dots with intervals, one line per arm.",
)

# %% tags=["hide-input"]
report.table(
    "arms",
    tables.wide(shown_arms),
    index=False,
    caption="The counterpart of Tables 2 and 5, with everything beside it: means over runs, patients called by the "
    "vote, with 95 % intervals over runs and patients.",
)

# %% tags=["hide-input"]
report.table(
    "calibrated",
    tables.wide(shown_arms, [f"{metric}_calibrated" for metric in tables.THRESHOLDED]),
    index=False,
    caption="The same with patients called by the mean probability, at the threshold with the largest balanced "
    "accuracy in the validation patients.",
)

# %% tags=["remove-input"]
if "codel" in set(found["arm"]):
    marked = people["codel_1p19q"] == "codel"
    report.sentence(
        f"1p/19q codeletion, which belongs to the diagnosis of a kind of IDH-mutant tumour, was found in "
        f"{int(marked.sum())} of the {len(people)} patients, of whom {int(mutant[marked].sum())} are mutant: it marks "
        "some mutants, and says little of the others."
    )

# %% [markdown]
# ### Pairs of arms

# %% tags=["hide-input"]
report.table(
    "paired",
    comparisons,
    index=False,
    caption="Arms on the same test patients of the same runs: first minus second, with 95 % intervals over runs and "
    "patients, and McNemar's exact test with every patient counted once.",
)
printed = {
    case: format_interval(one.value, one.low, one.high, digits=1)
    for case, one in (
        ("A", tables.published_gain("table3", "prop_a", "bas_1")),
        ("B", tables.published_gain("table4", "prop_b", "bas_2")),
    )
}
tested = published("ge2020.table3.run1.prop_a.accuracy").n
report.sentence(
    "The gains that the paper prints, over its own five runs with the interval of Nadeau and Bengio: case A "
    f"{printed['A']} points, case B {printed['B']} points. One test patient of a run is {100 / tested:.1f} points."
)

# %% [markdown]
# ### Run by run
#
# A test set of 34 patients says little: every dot below has the interval of a proportion with that number of patients.

# %% tags=["hide-input"]
for name, pair in (("case-a", ("prop_a", "bas_1")), ("case-b", ("prop_b", "bas_2"))):
    report.table(
        name,
        tables.run_table(predictions, pair),
        index=False,
        caption=f"The counterpart of Table {3 if name == 'case-a' else 4}: each run with Wilson's 95 % interval.",
    )
report.figure(
    "runs",
    dot_plot(
        tables.accuracies(predictions),
        panel="where",
        metrics={"printed": "accuracy, as printed", "here": "accuracy, here"},
        rows="row",
        colour="training",
    ),
    caption="Accuracy of every run with Wilson's 95 % interval, as printed and here.",
    alt="Two panels of dots with intervals, two dots a case and run.",
)

# %% [markdown]
# ### What fake patients show
#
# A synthetic FLAIR made from T1 shows what T1 shows, where the network expects FLAIR. How much information on IDH is
# left in the training patients is measured without a network: by a logistic regression on mean, standard deviation and
# maximum of each modality within the tumour, cross-validated by real patient.

# %% tags=["hide-input"]
rows = evidence.scores
if len(rows):
    area = class_estimates(
        rows.assign(arm=rows["patients"], run=10 * rows["run"] + rows["way"]),
        metrics=["auc"],
        **options,
    )
    report.table(
        "shown",
        tables.shown_table(area),
        index=False,
        caption="AUC for IDH of a plain rule in the training patients, real and fake; the fake ones together, and by "
        "the way in which their modalities were made from each other. 95 % intervals over runs and patients.",
    )

# %% [markdown]
# ### Vote and attention

# %% tags=["hide-input"]
attention = study.table("attention").query("arm == 'prop_a'")
report.table(
    "votes",
    tables.vote_table(predictions, ("prop_a", "bas_1", "prop_b", "bas_2", "no_mask")),
    index=False,
    caption="What the vote over six slices does, over all runs: shares of correct slices and patients, by the paper's "
    "rule, with ties as mutant, by the mean probability of the slices, and by that at the validation threshold.",
)
voted = predictions[predictions["arm"] == "prop_a"]
report.sentence(
    f"The vote of Prop-A calls {100 * voted['predicted'].mean():.0f} % of the tested patients mutant; "
    f"{100 * voted['truth'].mean():.0f} % are. Where most patients are mutant, their double weight in the loss pulls "
    "the vote further towards them, and its accuracy may be little else than that of the majority class."
)
report.table(
    "attention",
    tables.attention_table(attention),
    caption="Mean attention weights of Prop-A on test slices (Eq. 7).",
)
mean = tables.attention_table(attention).mean()
report.sentence(
    f"Over all runs most attention falls on {mean.idxmax()}, {mean.max():.2f}; equal shares would be "
    f"{1 / len(mean):.2f}."
)

# %% tags=["hide-input"]
over = study.history.query("part == 'validation' and arm == 'prop_a'")
over = over.melt(
    id_vars=["run", "stage", "step"],
    value_vars=[f"attention_{name}" for name in patients.modalities], var_name="modality",
)  # fmt: skip
over = over.groupby(["stage", "step", "modality"], sort=False)["value"].mean()
over = over.reset_index()
report.figure(
    "attention",
    curve_figure(
        over.assign(
            modality=over["modality"].str.removeprefix("attention_").map(MODALITY_TITLES),
            panel=over["stage"].map({"augmented": "first stage", "real": "second stage"}),
        ),
        x="step", xlabel="step", ylabel="mean attention",
        value="value", colour="modality", panel="panel", ylim=(0, 1),
    ),
    caption="Attention of Prop-A on validation slices over both stages; means over runs.",
    alt="Two panels of curves, one per modality, that add up to one.",
)  # fmt: skip

# %% [markdown]
# ### Within each collection
#
# Within one collection the collection rule carries no information: it is the majority class. Patients of one collection
# are looked at by grade.

# %% tags=["hide-input"]
if people["collection"].nunique() > 1:
    inside = (
        "prop_a",
        "bas_1",
        "age_model",
        "collection_rule",
    )
    report.table(
        "groups",
        tables.group_table(predictions, people["collection"], inside, **options),
        index=False,
        caption="Within LGG and within GBM: means over the runs in which a metric is defined, with 95 % intervals over "
        "runs and patients; numbers of tested patients and of mutant ones among them.",
    )
elif people["grade"].nunique() > 1:
    grade = people["grade"].dropna().map(lambda number: f"grade {number:.0f}")
    report.table(
        "groups",
        tables.group_table(predictions, grade, ("prop_a", "bas_1", "age_model"), by="grade", **options),
        index=False,
        caption="Within each grade: means over the runs in which a metric is defined, with 95 % intervals over runs "
        "and patients; numbers of tested patients and of mutant ones among them.",
    )

# %% [markdown]
# ### Where there is nothing to find
#
# Labels are shuffled between all patients. In the simulated cohort *without signal* no arrow leads from IDH, grade or
# age to an image, but age and collection still go with IDH; it stands beside simulated patients only.

# %% tags=["hide-input"]
report.figure(
    "nothing",
    dot_plot(
        without.assign(model=without["arm"].map(tables.title_of)),
        metrics={"auc": "AUC", "accuracy": "accuracy, vote"},
        references={"auc": [("no skill", 0.5)]},
    ),
    caption="Where labels are shuffled"
    + (", and the same arms on a simulated cohort whose images show nothing of IDH." if with_null else "."),
    alt="Two panels of dots with intervals: AUC and accuracy where there is nothing to find.",
)

# %% tags=["hide-input"]
report.table(
    "nothing",
    tables.wide(without),
    index=False,
    caption="The same as numbers, with 95 % intervals over runs and patients.",
)

# %% [markdown]
# ### Unknown status counted as wild-type
#
# By another molecular table {cite}`ceccarelli2016molecular` the status of 19 of the paper's 112 wild-type patients is
# unknown.

# %% tags=["hide-input"]
if data_root() is not None:
    real = open_cohort("tcga-idh", cohort="real").participants
    wild = real["idh_ceccarelli"][real["idh"] != "mutant"]
    report.sentence(
        f"Of the {len(real)} real patients {int((real['idh'] == 'mutant').sum())} count as mutant and {len(wild)} as "
        f"wild-type; of the latter the status of {int(wild.isna().sum())} is unknown and "
        f"{int((wild == 'mutant').sum())} are mutant by another table."
    )
    report.table(
        "real-labels",
        tables.real_labels(real, n_runs=5, **options),
        index=False,
        caption="The paper's own patients, from the public tables: rules without images on five random partitions, "
        "scored by labels as counted and by known status alone.",
    )
else:
    report.note("No real tables are available: set RADLIB_DATA to the folder that holds them.")

# %% [markdown]
# ### Other methods

# %% tags=["hide-input"]
report.table(
    "methods",
    tables.methods_table(found),
    index=False,
    caption="The counterpart of Table 7. Prop-A and, where `dense_steps` is above 0, the 3D DenseNet121 were run here "
    "on the same patients; the other numbers are quoted.",
)

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
report.measured("classifier", found.dropna(subset="value"))
report.measured("classifier", gains.dropna(subset="value"), protocol="leakage-free")
number = {"arm": "all", "low": None, "high": None, "n": len(people)}
report.measured("patients", pd.DataFrame([
    {**number, "metric": "patients", "group": group, "value": float((mutant == label).sum())}
    for group, label in (("mutation", True), ("wildtype", False))
]))  # fmt: skip
if n_runs > 1:
    gap = tables.spread(predictions, "prop_a") - tables.spread(predictions, "bas_1")
    report.measured("classifier", pd.DataFrame([{
        **number, "arm": "prop_a", "minus": "bas_1", "metric": "accuracy_sd", "group": "all", "value": gap,
    }]), protocol="leakage-free")  # fmt: skip

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | filters of the seven layers, pooling | `widths`; halved after layers 1, 2, 4, 6 | only number and kernel are given |
# | scale of the bilinear map | mean over places | the sum grows with the size of the slice |
# | how long a baseline is trained | as many epochs or updates as Prop-A, and second stage alone | not given |
# | background of the classifier's input | `mask_background`, 1/3 | printed for the GAN's loss only |
# | threshold | six votes, as printed; and that of the validation patients | a vote moves with the training |
# | completed patients (S4) | in both stages | they are partly real, partly synthetic |
# | a missing scan of baseline 2 | an empty image | "only real" images are printed |
# | weights after a stage | those of the best validation loss | "early stopping" without a patience |
# | start of the weights | Glorot's, as Keras does | Keras is named |
# | batch size, hidden activation | `batch_size`, ReLU | not given |
# | arm without masks (Table 5) | slices without enhancement, the same generators | isolates the classifier |
# | input of Liang's network | the crop around the tumour, real patients | the paper does not say how it ran it |
#
# ## Limits
#
# - In the default profile small networks on small slices replace the published ones, with higher learning rates and
#   fewer updates; the published schedule needs a GPU.
# - What a network can learn from fake patients is limited by the number of updates as well as by what these patients
#   show (table above). The 3D DenseNet is trained in the paper profile only.
# - The cohort without signal has few test patients in the default profile.
# - Runs share patients, and an interval over runs rests on few runs.
# - Within GBM there are very few mutant patients, so sensitivities there mean nothing.
# - The simulated images show only the effects of IDH that were planted; the paper's claim is about real images.
# - Several comparisons are made; p-values are not corrected for their number.
#
# What would settle the claims: images of one grade from hospitals that contributed no training data, compared with age,
# in five trainings with the same number of updates.
#
# ## Questions
#
# 1. *What does the mask do?* Set `mask_background` to 0 (nothing but the tumour) and to 1 (no mask), with `n_runs` 1
#    and `n_null` 0. What happens to the AUC and to the attention?
# 2. *Does the order of the stages matter?* Set `pretrain_steps` to 1 and `refine_steps` to
#    the sum of both: Prop-A becomes Bas-1. Are the differences above larger than that
#    between two runs?

# %% [markdown]
# ## Summary

# %% tags=["remove-input"]
report.sentence(answer)

# %% tags=["remove-input"]
report.finish()
