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
# # Pairwise GAN
#
# **What the paper claims.** Ge et al. {cite}`ge2020pairwise` translate slices between the four modalities of a patient
# with one generative adversarial network (GAN) for each pair of modalities, whose loss weighs the tumour three times as
# much as the rest. The mask raises the PSNR in the tumour from 25.69 dB to 26.14 dB and lowers it on the whole image
# from 25.99 dB to 24.39 dB. The synthetic slices make 297 fake patients, and replace missing scans; the next chapter
# trains classifiers on them.

# %% tags=["parameters"]
# Change a value, then run all cells. Jobs that do not change are found; what the others
# take is said by: radlib study status pairwise_gan
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
size: int = 48  # edge of a slice, pixels; published: 128
field: float = 180.0  # what a slice covers, mm
n_runs: int = 5  # random partitions by patient, as published
generator: list[int] = [6, 12, 24, 48]  # filters; published: 32, 64, 128, 256
discriminator: list[int] = [6, 12, 24, 48]  # filters; published: 64, 128, 256, 512
gan_steps: int = 200  # updates of every player; published: 1000 epochs
gan_batch: int = 8  # slices
gan_rate: float = 0.002  # learning rate; published: 0.0002
l1_weight: float = 100.0  # lambda_1 of the whole loss; not published
gan_per_case: bool = False  # whether the case of missing scans has its own GANs
autoencoder: list[int] = [8, 8, 16, 16, 32, 32, 64, 64]  # published: 64 to 512
autoencoder_steps: int = 150  # updates of the autoencoder for DAEF
n_boot: int = 1000  # resamples for an interval

# %% tags=["hide-input"]
import torch

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.show import show_code
from radlib.core.paths import data_root
from radlib.core.titles import MODALITY_TITLES
from radlib.data.published import published
from radlib.data.sources import open_cohort
from radlib.papers.ge2020 import figures, quality, tables
from radlib.papers.ge2020.cases import build_cases, completed, fake_patients, substitute
from radlib.papers.ge2020.data import extract
from radlib.papers.ge2020.losses import (
    deceive_loss,
    discriminator_loss,
    mask_weights,
    weighted_l1,
)
from radlib.papers.ge2020.networks import (
    PairGenerator,
    PatchDiscriminator,
    SliceAutoencoder,
)
from radlib.papers.ge2020.tables import ON_REAL
from radlib.plots.architecture import architecture_figure, blocks_of
from radlib.plots.curves import loss_figure
from radlib.plots.dots import dot_plot
from radlib.study.estimates import AVERAGE, contrasts

report = Report.start("pairwise_gan", cohort=cohort, profile=profile, seed=seed)

# %% tags=["remove-input"]
if report.source == "real":
    report.note(ON_REAL)

# %% [markdown]
# ## The study
#
# A pairwise GAN for every pair of modalities (six of four modalities, three of three) and every random partition of the
# patients, with the mask and without; an autoencoder of each partition, for the distance DAEF (see *Results*); and two
# rules that need no network, the other modality as it is and a straight line in its intensity.

# %% tags=["study"]
from dataclasses import replace

from radlib.core.seeds import named_seed
from radlib.data.sources import role_with_images
from radlib.papers.ge2020.data import Partition, Slices
from radlib.papers.ge2020.study_gan import (
    GanRecipe,
    gan_jobs,
    load_generators,
    pairwise_gan,
    plain_translation,
    slice_autoencoder,
    synthesis,
    translate,
)
from radlib.papers.ge2020.tables import TITLES
from radlib.study.cohorts import Source
from radlib.study.studies import Study

source = Source(role_with_images("tcga-idh", cohort=cohort), cohort, profile)
slices = Slices(source=source, size=size, field=field)
last_two = (len(slices.modalities) - 2, len(slices.modalities) - 1)
numbers = range(1, n_runs + 1)
runs = [Partition(slices=slices, run=number, seed=seed) for number in numbers]
recipe = GanRecipe(
    generator=tuple(generator), discriminator=tuple(discriminator), steps=gan_steps,
    batch_size=gan_batch, learning_rate=gan_rate, l1_weight=l1_weight,
)  # fmt: skip
objectives = Study("objective", {
    objective: pairwise_gan(
        partition=runs[0], pair=last_two, taken=False, seed=seed,
        recipe=replace(recipe, steps=min(gan_steps, 60), objective=objective),
    )
    for objective in ("corrected", "printed")
}, titles={"printed": "Eq. (5) as printed"})  # fmt: skip
recipes = {"masked": recipe, "unmasked": replace(recipe, masked=False)}
gans = {
    arm: [gan_jobs(one, how, gan_per_case=gan_per_case)["a"] for one in runs]
    for arm, how in recipes.items()
}  # fmt: skip
coders = [
    slice_autoencoder(
        partition=one, widths=tuple(autoencoder), steps=autoencoder_steps,
        seed=named_seed(seed, "autoencoder", one.run),
    )
    for one in runs
]  # fmt: skip
pairs = Study(
    "pairs",
    {arm: [job for six in found for job in six] for arm, found in gans.items()},
    titles=TITLES, runs=[number for number, six in zip(numbers, gans["masked"], strict=True) for _ in six],
)  # fmt: skip
study = Study("quality", {
    arm: [
        synthesis(partition=one, gans=six, coder=coder)
        for one, six, coder in zip(runs, found, coders, strict=True)
    ]
    for arm, found in gans.items()
} | {
    rule: [plain_translation(partition=one, rule=rule) for one in runs]
    for rule in ("copy", "line")
}, titles=TITLES, runs=numbers)  # fmt: skip

# %% tags=["hide-input"]
for one in (objectives, pairs, study):
    report.study(one)
patients, split = slices.open(), runs[0].split()
missing = runs[0].missing()
cases = build_cases(split, patients, missing)
counted = tables.counts(cases, split, patients.mutant, taken=len(missing))
scores = study.scores
held_out = scores[scores["patients"] == "held_out"]
found = tables.quality(scores, study.table("latents"), n_boot=n_boot, seed=seed)

# %% [markdown]
# **The answer.**

# %% tags=["remove-input"]
metrics = ("psnr", "psnr_tumour")
options = {"metrics": metrics, "n_boot": n_boot, "seed": seed}
on_tests = found[found["patients"] == "held_out"]
directions = on_tests[on_tests["group"].str.contains("_to_")]
names = list(dict.fromkeys(directions["group"]))
sides = [("masked", "unmasked"), ("masked", "line")]
gains = contrasts(held_out, sides, groups=[*names, AVERAGE], **options)
middle = contrasts(held_out, sides, groups=[quality.MEDIAN], **options)
for metric, region in zip(metrics, ("whole", "tumour"), strict=True):
    for (_, second), side in zip(sides, ("mask", "above_line"), strict=True):
        for kind, rows in ((AVERAGE, gains), (quality.MEDIAN, middle)):
            own = rows[(rows["metric"] == metric) & (rows["second"] == second)]
            gain = own[own["group"] == kind].iloc[0]
            report.value(
                f"{side}_{region}_{kind}", gain["value"], low=gain["low"],
                high=gain["high"], n=gain["n"], unit="dB", digits=2,
            )  # fmt: skip
trained = [job for arm in gans.values() for six in arm for job in six]
fallen = [name for job in trained for name in job.result().notes["collapsed"]]
answer = (
    f"On held-out patients the mask changes the PSNR in the tumour by "
    f"{report.text('mask_tumour_median')} and on the whole image by "
    f"{report.text('mask_whole_median')} (medians over {len(names)} directions). Minus a "
    f"straight line in the other modality's intensity, which needs no network, the masked "
    f"networks have {report.text('above_line_tumour_median')} in the tumour. Of {2 * len(trained)} generators "
    f"{len(fallen)} collapsed to one value."
)
report.sentence(answer)

# %% [markdown]
# ## Data
#
# Six slices with tumour of every patient, two of each view, where they divide the tumour's volume at a quarter and at
# three quarters. Intensities are scaled from 0 to 1 within the brain (its lowest value and its 99.5th percentile), and
# from -1 to 1 inside the networks. Patients, never slices, are divided 60/20/20 within each class, anew for every run.

# %% tags=["hide-input"]
report.table(
    "partition",
    tables.partition_table(counted),
    digits=0,
    caption="Slices in each modality by class and part, counted from the training sets of the first run: the "
    "counterpart of the paper's Table 1(b).",
)
if report.source == "simulated":
    report.figure(
        "views",
        figures.view_figure(patients, split.test[0]),
        caption="The six slices of a simulated patient, in every modality.",
        alt="Four rows of six slices: two sagittal, two coronal, two axial.",
    )

# %% [markdown]
# ## Method
#
# ### The generator
#
# A U-Net turns a slice of one modality into the same slice of another: four convolutions of stride 2 down, then four
# times upsampling by two with a convolution.

# %%
show_code(PairGenerator)

# %% [markdown]
# ### The discriminator
#
# It judges patches, not slices: at the published size $8 \times 8$ of them.

# %%
show_code(PatchDiscriminator)

# %% tags=["hide-input"]
torch.manual_seed(seed)
nets = {
    "G_m": PairGenerator(generator), "G_n": PairGenerator(generator),
    "D_m": PatchDiscriminator(discriminator), "D_n": PatchDiscriminator(discriminator),
}  # fmt: skip
report.figure(
    "generator",
    architecture_figure(blocks_of(nets["G_m"], (1, size, size))),
    caption="The generator, drawn from the module (the counterpart of Figure 3, left); "
    "dashed arrows are skip connections.",
    alt="Boxes from left to right, down to the lowest resolution and up again.",
)

# %% [markdown]
# ### The loss
#
# For modalities $m$ and $n$ of the same patient, $G_m$ makes an image of $n$ from $x_m$ and $D_n$ distinguishes it from
# a real one, with least squares,
#
# $$ L_n = \mathbb{E}\,\lVert D_n(x_n) - 1\rVert^2
#        + \mathbb{E}\,\lVert D_n(G_m(x_m))\rVert^2, $$
#
# $$ L = L_n + L_m + \lambda_1 \, \mathbb{E}\,\bigl[\lVert M \odot (G_m(x_m) - x_n)\rVert_1
#      + \lVert M \odot (G_n(x_n) - x_m)\rVert_1\bigr], $$
#
# with $M = 1$ in the tumour and $1/3$ outside.

# %%
show_code(discriminator_loss, deceive_loss, mask_weights, weighted_l1)

# %% [markdown]
# ### One step by hand
#
# Algorithm 1 on four slices: both fakes are made, both generators are updated together, then $D_n$, then $D_m$ on the
# same fakes.

# %%
m, n = last_two  # T2 and FLAIR; without T2, T1c and FLAIR
rows = patients.rows(split.train)[:1]
batch = 2 * patients.images[rows][0, :4] - 1
x_m, x_n = batch[:, [m]], batch[:, [n]]
M = mask_weights(patients.masks[rows][0, :4], masked=True)[:, None]
fake_n, fake_m = nets["G_m"](x_m), nets["G_n"](x_n)
l1 = weighted_l1(fake_n, x_n, M) + weighted_l1(fake_m, x_m, M)
deceive = deceive_loss(nets["D_n"](fake_n)) + deceive_loss(nets["D_m"](fake_m))
(deceive + l1_weight * l1).backward()  # steps 4 and 5
L_n = discriminator_loss(nets["D_n"](x_n), nets["D_n"](fake_n.detach()))  # 6 and 7
L_m = discriminator_loss(nets["D_m"](x_m), nets["D_m"](fake_m.detach()))  # 8 and 9

# %% tags=["remove-input"]
sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
norm = sum(p.grad.square().sum() for p in nets["G_m"].parameters()).sqrt().item()
report.sentence(
    f"Slices {list(x_m.shape)}, patches {list(nets['D_n'](x_n).shape)}; before any "
    f"training the weighted distance is {l1.item():.3f}, the deceiving term "
    f"{deceive.item():.3f}, L_n {L_n.item():.3f} and L_m {L_m.item():.3f}; the gradient of "
    f"G_m has norm {norm:.2f}. A generator has {sizes['G_m']:,} parameters, a "
    f"discriminator {sizes['D_m']:,}."
)

# %% [markdown]
# ### Equation (5) has min and max exchanged
#
# It lets the generators *maximise* $L$, and the text repeats it. But $L$ contains the distance to the real image, which
# would then grow without bound. The discriminators, which by the equation minimise $L$, do so already in Eqs. (1) and
# (2). Generators here minimise $\mathbb{E}\lVert D_n(G_m(x_m)) - 1\rVert^2$, as the text asks two paragraphs earlier,
# and $\lambda_1$ times the distance. The figure shows both readings.

# %% tags=["hide-input"]
between = " and ".join(MODALITY_TITLES[patients.modalities[channel]] for channel in last_two)
report.figure(
    "objective",
    loss_figure(
        {objectives.titles[arm]: objectives.result(arm).history for arm in objectives.arms},
        metric={"generators.l1": "mean error, intensities in [-1, 1]"},
    ),
    caption=f"Mean error of the generators between {between} over a short training, with the corrected objective and "
    "with Equation (5) as printed.",
    alt="One curve per objective, over the steps of the training.",
)

# %% [markdown]
# ### The training sets
#
# Four modalities can be divided into two pairs in three ways. A fake patient is made in one of these ways, from both
# outputs of two pairwise GANs: all four images are synthetic. The six GANs therefore give three fake patients for each
# real one, with every translation used once: 99 patients make 297, as printed. In the second case study each modality
# is removed from 6 % of the training patients, so 24 % lose one; 75 of 99 keep all and make 225 fake patients, as
# printed. A missing T1 is made from T1ce and the reverse, T2 from FLAIR and the reverse. Where both of a pair are
# missing, they are made from one of the other pair.
#
# Three modalities do not divide into pairs. There a fake patient exchanges its images in a circle, in one sense or in
# the other: again all its images are synthetic and every translation is used once, but two fake patients come of a real
# one, not three. Each modality still loses 6 % of the training patients, so that 18 % lose one. Without T2 a missing
# FLAIR is made from T1ce. A modality that fewer than half of the patients have is left out.

# %%
show_code(fake_patients, substitute, completed)

# %% tags=["hide-input"]
report.table(
    "cases",
    tables.case_table(cases),
    index=False,
    digits=0,
    caption="The four training sets of the first run.",
)
report.figure(
    "cases",
    figures.case_figure(cases, patients.modalities),
    caption="Training patients by modality, real and synthesised (hatched): the counterpart of Figure 6.",
    alt="Two panels of stacked bars, one a modality.",
)

# %% [markdown]
# ## Results
#
# ### Training

# %% tags=["hide-input"]
history = pairs.history
first = history[(history["arm"] == "masked") & (history["run"] == 1)]
report.figure(
    "losses",
    loss_figure(
        {tables.direction_title(pair): part for pair, part in first.groupby("pair", sort=False)},
        metric={
            "generators.l1": "mean error",
            "generators.deceive": "E|D(G) - 1|², both",
            "discriminator_n.loss": "L_n",
            "psnr_tumour": "PSNR in the tumour, validation, dB",
        },
        smooth=5,
    ),
    caption="The pairs of the first run, with mask: error of both generators, how well they deceive, and the loss "
    "of one discriminator, means of five entries; and how close the tumours of validation patients come.",
    alt="Four panels with one curve a pair.",
)

# %% tags=["hide-input"]
report.beginning(pairs)

# %% tags=["hide-input"]
if report.source == "simulated":
    networks = load_generators(gans["masked"][0])
    report.figure(
        "examples",
        figures.example_figure(patients, translate(networks, patients, split.test[:4])),
        caption="Held-out simulated patients. Framed: the real slice; the others of the row are made from it. The line "
        "is the tumour's outline (the counterpart of Figure 7).",
        alt="Four rows of four slices, one of each row framed.",
    )
else:
    report.note("Pictures of real patients are not shown.")

# %% [markdown]
# ### What the mask does
#
# Networks with and without the mask are compared on the same test patients of the same runs: by the mean over the
# directions (twelve of four modalities, six of three), and by each patient's median over them, which a single collapsed
# generator does not change.

# %% tags=["remove-input"]
printed = {
    region: published(f"ge2020.table6.with_mask.psnr.{region}").value
    - published(f"ge2020.table6.without_mask.psnr.{region}").value
    for region in ("whole", "tumour")
}
which = ", ".join(sorted({tables.direction_title(name) for name in fallen}))
report.sentence(
    f"With minus without the mask, mean over directions: "
    f"{report.text('mask_whole_average')} on the whole image and "
    f"{report.text('mask_tumour_average')} in the tumour; median over directions: "
    f"{report.text('mask_whole_median')} and {report.text('mask_tumour_median')}. The "
    f"paper's means differ by {printed['whole']:+.2f} dB and {printed['tumour']:+.2f} dB."
    + (f" Generators collapsed from {which}." if which else "")
)

# %% [markdown]
# ### PSNR and DAEF
#
# PSNR is computed over each slice, or over its tumour, with a data range of 1, and averaged over the patient's slices
# and the directions. DAEF, the paper's measure, is the distance between the mean latent vectors of real patients
# and of the fake patients made from them. Its unit depends on the autoencoder, so only rows of one table can be
# compared. The distance between two halves of the real patients shows how far apart different patients are. Fake
# patients can be closer than that, because they are made from the very patients with whom they are compared; DAEF does
# not see such copying.

# %%
show_code(SliceAutoencoder)

# %% tags=["hide-input"]
report.table(
    "quality",
    tables.quality_table(found, [one.result().notes["halves"] for one in coders]),
    index=False,
    caption="The counterpart of Table 6, with 95 % intervals over runs and patients; on patients whose images the "
    "networks saw, and on test patients.",
)

# %% tags=["hide-input"]
report.figure(
    "directions",
    dot_plot(
        directions.assign(
            row=directions["group"].map(tables.direction_title),
            model=directions["arm"].map(tables.TITLES),
        ),
        metrics={name: f"{tables.TITLES[name]} (dB)" for name in ("psnr", "psnr_tumour")},
        rows="row",
        colour="model",
    ),
    caption="PSNR of test patients by direction, with 95 % intervals over runs and patients.",
    alt="Two panels with a row of four dots a direction.",
)

# %% tags=["hide-input"]
report.table(
    "directions",
    tables.direction_table(found),
    index=False,
    digits=2,
    caption="The same by direction, as numbers.",
)

# %% tags=["hide-input"]
report.table(
    "speed",
    tables.speed_table({arm: pairs.results(arm) for arm in pairs.arms}),
    index=False,
    digits=2,
    caption="How fast the pairs were trained; a step updates all four networks.",
)

# %% [markdown]
# ### Real samples
#
# Generators trained on the simulated cohort, applied to real slices of the BraTS samples where the data root has them.
# Numbers only: what was learnt on simulated images need not carry over.

# %% tags=["hide-input"]
if data_root() is not None and report.source == "simulated":
    real = open_cohort("brats2017", cohort="real").complete("seg")
    sample = extract(real, size=size, field=field)
    made = {
        "pairwise GAN": translate(networks, sample, sample.ids),
        tables.TITLES["copy"]: quality.copied(sample, sample.ids),
    }
    report.table(
        "real",
        tables.sample_table(sample, made),
        index=False,
        digits=2,
        caption=f"PSNR on {len(sample.ids)} real patients (dB), compared with the other modality as it is.",
    )
else:
    report.note(
        "No real samples beside this run: no data root is named (RADLIB_DATA), or this run is itself on real patients."
    )

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
report.measured("partition", counted)
report.measured("quality", found.drop(columns="patients"))
for rows in (gains, middle):
    report.measured("quality", rows[rows["second"] == "unmasked"], protocol="leakage-free")

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | weight $\lambda_1$ | 100 on the mean over pixels | that of pix2pix {cite}`isola2017pix2pix` |
# | slope of the leaky ReLU, first decay of Adam | 0.2 and 0.5 | customary {cite}`isola2017pix2pix` |
# | normalisation layers, batch size | none; `gan_batch` | none are named |
# | upsampling | nearest neighbour before the convolution | stride 1 is printed |
# | padding of the last 4 x 4 layer | one pixel more at the end | gives the printed 8 x 8 patches |
# | six slices and three views | two per view, spread over the tumour | nearby slices are nearly the same |
# | start of the weights | Glorot's, as Keras does | Keras is named |
# | how 297 fake patients are made | both outputs of two GANs, three ways per patient | the count; all six are used |
# | fake patients of three modalities | two, in circles | every translation is used once, as with four |
# | whether case B has its own GANs | `gan_per_case` | if not, both are trained on what S3 leaves |
# | images of Table 6 | seen and held-out patients, separately | the paper does not say which |
# | latent vector of DAEF | maxima of the *encoder's* last layer | the decoder's has four maps, not 512 |
#
# ## Limits
#
# The default profile has small slices, narrow networks and few steps; its generators are not those of the paper. PSNR
# depends on the data range and on the share of empty background, so its values cannot be compared with those of other
# preparations; only differences within a table can. A generator that minimises a distance returns the mean of what is
# possible: it cannot invent what a modality does not show of another, and PSNR rewards not trying. What would settle
# the claim: five trainings of all twelve directions on BraTS cases, compared with a straight line between intensities.
#
# ## Questions
#
# 1. *What is $\lambda_1$ for?* Set `l1_weight` to 0, `n_runs` to 1 and `gan_steps` to 60. Which term of the losses
#    falls, and what do the examples look like?
# 2. *What does the mask cost?* It weighs the background 1/3. Set `n_runs` to 1 and `gan_steps` to 60, and compare the
#    PSNR of the tumour and of the whole image by direction: is what the tumour gains lost elsewhere?

# %% tags=["remove-input"]
number = counted.set_index("metric")["value"]
report.sentence(
    f"{len(patients.ids)} patients make {number['fake_patients_a']:.0f} fake ones in the "
    f"first case and {number['fake_patients_b']:.0f} in the second."
)

# %% [markdown]
# ## Summary

# %% tags=["remove-input"]
report.sentence(answer)

# %% tags=["remove-input"]
report.finish()
