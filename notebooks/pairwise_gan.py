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
# with a GAN for each pair of modalities, whose loss weighs the tumour three times as much as the rest. The mask
# raises the PSNR in the tumour from 25.69 dB to 26.14 dB and lowers it on the whole image from 25.99 dB to 24.39 dB.
# The synthetic slices make 297 fake patients, and stand in for scans that are missing.
#
# **What this chapter does.** It builds the paper's training sets S1 to S5, trains six pairwise GANs for every random
# partition with and without the mask, and measures PSNR and DAEF on the training patients, as the paper seems to, and
# on held-out ones; beside two rules that need no network. The next chapter trains classifiers on what they make.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
size: int = 48  # edge of a slice, pixels; published: 128
field: float = 180.0  # what a slice covers, mm
crop: int = 32  # edge of the crop for the 3D network of the next chapter, voxels
n_runs: int = 2  # random partitions by patient; published: 5
generator: list[int] = [6, 12, 24, 48]  # filters of the contracting path; published: 32, 64, 128, 256
discriminator: list[int] = [6, 12, 24, 48]  # filters; published: 64, 128, 256, 512
gan_steps: int = 200  # updates of every player; published: 1000 epochs
gan_batch: int = 8  # slices
gan_rate: float = 0.002  # learning rate; published: 0.0002
l1_weight: float = 100.0  # lambda_1 of the whole loss; not published
gan_per_case: bool = False  # whether the case of missing scans has GANs of its own
autoencoder: list[int] = [8, 8, 16, 16, 32, 32, 64, 64]  # filters; published: 64, 64, 128, ..., 512
autoencoder_steps: int = 150  # updates of the autoencoder behind DAEF
n_boot: int = 1000  # resamples behind an interval

# %% tags=["hide-input"]
from dataclasses import replace

from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.scores import keep_scores
from radlib.core.paths import data_root
from radlib.data.sources import open_cohort
from radlib.papers.ge2020 import gan_results as results
from radlib.papers.ge2020.cases import build_cases
from radlib.papers.ge2020.data import extract, partitions
from radlib.papers.ge2020.gan import GanRecipe, load_generators, train_pair
from radlib.papers.ge2020.runs import (
    HELD_OUT,
    MASKED,
    gan_trainings,
    make_partitions,
    mask_difference,
    real_samples,
    run_gans,
    save_partitions,
    table6,
)

report = Report.start("pairwise_gan", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# Six slices with tumour of every patient, two of each view, where they divide the tumour's volume at a quarter and at
# three quarters. Intensities run from 0 to 1 within the brain (its lowest value and its 99.5th percentile), and from
# -1 to 1 inside the networks. Patients, never slices, are divided 60/20/20 within each class, anew for every run.

# %%
data = open_cohort("tcga-idh", cohort=cohort, profile=profile).complete("idh", "seg")
slices = extract(data, size=size, field=field, crop=crop)
mutant = (data.participants["idh"] == "mutant").loc[list(slices.ids)]
runs = make_partitions(partitions(slices.ids, mutant, n_runs=n_runs, seed=seed), seed=seed)
arrays = report.directory / "arrays"
slices.save(arrays / "slices")
save_partitions(arrays / "partitions.json", runs)

# %% tags=["hide-input"]
counts = results.partition_table(runs, mutant)
report.table(
    "partition",
    counts,
    digits=0,
    caption="Slices in each modality by class and part: the counterpart of the paper's Table 1(b).",
)
if report.source == "simulated":
    report.figure(
        "views",
        results.view_figure(slices, runs[0].split.test[0]),
        caption="The six slices of a simulated patient, in every modality.",
        alt="Four rows of six slices: two sagittal, two coronal, two axial.",
    )

# %% [markdown]
# ## Method
#
# For modalities $m$ and $n$ of the same patient, $G_m$ makes an image of $n$ from $x_m$ and $D_n$ tells it from a real
# one, with least squares,
#
# $$ L_n = \mathbb{E}\,\lVert D_n(x_n) - 1\rVert^2 + \mathbb{E}\,\lVert D_n(G_m(x_m))\rVert^2, \qquad
#    L = L_n + L_m + \lambda_1 \, \mathbb{E}\,\bigl[\lVert M \odot (G_m(x_m) - x_n)\rVert_1
#      + \lVert M \odot (G_n(x_n) - x_m)\rVert_1\bigr], $$
#
# with $M = 1$ in the tumour and $1/3$ outside. A step updates both generators together, then $D_n$, then $D_m$
# (Algorithm 1).
#
# **Equation (5) has min and max exchanged.** It lets the generators *maximise* $L$, and the text repeats it. $L$ holds
# the distance to the real image, which would grow without bound, and the discriminators, which the equation lets
# minimise $L$, do so already in Eqs. (1) and (2). Generators here minimise
# $\mathbb{E}\lVert D_n(G_m(x_m)) - 1\rVert^2$, as the text asks two paragraphs earlier, and $\lambda_1$ times the
# distance. The figure shows both readings.

# %%
recipe = GanRecipe(
    generator=tuple(generator), discriminator=tuple(discriminator), steps=gan_steps, batch_size=gan_batch,
    learning_rate=gan_rate, l1_weight=l1_weight,
)  # fmt: skip
unmasked = replace(recipe, masked=False)

# %% tags=["hide-input"]
readings = {}
for title, objective in (("corrected", "corrected"), ("Eq. (5) as printed", "printed")):
    short = replace(recipe, steps=min(gan_steps, 60), objective=objective)
    readings[title] = train_pair(slices, runs[0].split.train, (2, 3), recipe=short, seed=seed)[1].history
report.figure(
    "objective",
    results.objective_figure(readings),
    caption="Mean error of the generators between T2 and FLAIR over a short training: the objective as it must be "
    "meant, and as Equation (5) prints it.",
    alt="Two curves: one falls, the other rises.",
)

# %% [markdown]
# ### The training sets
#
# Four modalities divide into two pairs in three ways. A fake patient is one of these ways: both outputs of two pairwise
# GANs, all four images synthetic. The six GANs therefore give three fake patients of each real one, with every
# translation used once: 99 patients make 297, as printed. In the second case 6 % of the
# training patients lose a given modality, 24 % lose one; 75 of 99 keep all and make 225 fake patients, as printed.
# A missing T1 is made from T1ce and the reverse, T2 from FLAIR and the reverse; where both of a pair are missing, from
# one of the other pair.

# %% tags=["hide-input"]
cases = build_cases(runs[0].split, slices, runs[0].missing)
report.table(
    "cases", results.case_table(cases), index=False, digits=0, caption="The four training sets of the first run."
)
report.figure(
    "cases",
    results.case_figure(cases),
    caption="Training patients by modality, real and synthesised (hatched): the counterpart of Figure 6.",
    alt="Two panels of four stacked bars.",
)

# %% [markdown]
# ## Results

# %% tags=["trainings", "hide-input"]
options = {
    "recipe": recipe, "unmasked": unmasked, "autoencoder_widths": autoencoder, "autoencoder_steps": autoencoder_steps,
    "gan_per_case": gan_per_case, "seed": seed, "checkpoints": report.directory / "checkpoints",
}  # fmt: skip
trainings = gan_trainings(slices, runs, **options)

# %%
outcomes = [
    run_gans(slices, partition, run=number, weights=report.directory / "weights", **options)
    for number, partition in enumerate(runs, start=1)
]

# %% tags=["hide-input"]
keep_scores(report, "synthesis", results.kept_rows(outcomes).assign(role="tcga-idh"))
report.figure(
    "losses",
    results.pair_losses(outcomes[0].histories[MASKED]),
    caption="The six pairs of the first run, with mask: error of both generators, how well they deceive, and the loss "
    "of one discriminator; means of five entries.",
    alt="Three panels with six curves each.",
)

# %% tags=["hide-input"]
if report.source == "simulated":
    report.figure(
        "examples",
        results.example_figure(slices, outcomes[0].examples[MASKED], runs[0].split.test[:4]),
        caption="Held-out simulated patients. Framed: the real slice; the others of the row are made from it. The line "
        "is the tumour's outline (the counterpart of Figure 7).",
        alt="Four rows of four slices, one of each row framed.",
    )
else:
    report.note("Pictures of real patients are not shown.")

# %% [markdown]
# ### PSNR and DAEF
#
# PSNR is taken over each slice, or over its tumour, at a range of 1, and averaged over the patient's slices and the
# twelve directions. DAEF is the distance between the mean latent vectors of real patients and of the fake patients
# made from them. Its unit is that of the autoencoder, so only rows of one table can be compared. The distance between
# two halves of the real patients says what other patients amount to; fake patients can be closer than that, since
# they are made from the very patients that they are compared with. DAEF is blind to what that makes of them.

# %% tags=["hide-input"]
table, estimates = table6(outcomes, n_boot=n_boot, seed=seed)
report.table(
    "quality",
    table,
    index=False,
    caption="The counterpart of Table 6, with 95 % intervals over patients and the standard deviation of the runs; "
    "on patients whose images the networks saw, and on test patients.",
)
report.figure(
    "directions",
    results.direction_figure(outcomes),
    caption="PSNR of test patients by direction; a dot is a run.",
    alt="Two panels with twelve rows of dots.",
)

# %% tags=["remove-input"]
for region in ("whole", "tumour"):
    gain = mask_difference(outcomes, region=region, n_boot=n_boot, seed=seed)
    report.value(f"mask_{region}", **gain.as_dict(), unit="dB", digits=2)
report.sentence(
    "What the mask changes on the same test patients (with minus without): "
    f"{report.text('mask_whole')} on the whole image and {report.text('mask_tumour')} in the tumour. "
    + f"{results.published_mask_sentence()} {results.collapse_sentence(outcomes)}"
)

# %% tags=["hide-input"]
report.table(
    "directions", results.direction_table(outcomes), index=False, digits=2, caption="The same by direction, as numbers."
)

# %% tags=["hide-input"]
report.table(
    "speed",
    results.speed_table(outcomes),
    index=False,
    digits=2,
    caption="How fast the pairs were trained on this machine; a step updates all four networks.",
)

# %% [markdown]
# ### Real samples
#
# Generators of the cohort at hand, applied to real slices of the BraTS samples where the data root has them. Numbers
# only: what was learnt on simulated images need not carry over.

# %% tags=["hide-input"]
if data_root() is not None and report.source == "simulated":
    sample = extract(open_cohort("brats2017", cohort="real").complete("seg"), size=size, field=field, crop=crop)
    networks = load_generators(report.directory / "weights" / "run1" / "A", widths=generator)
    report.table(
        "real",
        real_samples(sample, networks),
        index=False,
        digits=2,
        caption=f"PSNR on {len(sample.ids)} real patients (dB), beside the other modality as it is.",
    )
else:
    report.note("No real samples are at hand: set RADLIB_DATA to the folder that holds them.")

# %% [markdown]
# ## Agreement with the paper

# %% tags=["remove-input"]
results.record_all(
    report, estimates=estimates, counts=counts, cases=cases, partition=runs[0], patients=len(slices.ids)
)  # fmt: skip

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
# | borders of the last 4 x 4 layer | larger behind | gives the printed 8 x 8 patches |
# | six slices and three views | two a view, spread over the tumour | nearby slices repeat each other |
# | start of the weights | Glorot's, as Keras does | Keras is named |
# | how 297 fake patients come about | both outputs of two GANs, three ways a patient | the count; all six are used |
# | whether case B has GANs of its own | `gan_per_case` | if not, both learn from what S3 leaves |
# | images behind Table 6 | seen and held-out patients, apart | the paper does not say which |
# | latent vector of DAEF | maxima of the *encoder's* last layer | the decoder's has four maps, not 512 |
#
# ## Limits
#
# The default profile has small slices, narrow networks and few steps; its generators are not those of the paper. PSNR
# depends on the range and on the share of empty background, so values of other preparations cannot be compared with
# it, only differences within a table can. A generator that minimises a distance returns the mean of what is possible:
# what a modality does not show of another cannot be invented, and PSNR rewards not trying.
#
# ## Summary

# %% tags=["remove-input"]
ours, line = (estimates[name, HELD_OUT, "psnr", "tumour"] for name in (MASKED, "straight line"))
report.value("psnr_tumour", **ours.as_dict(), unit="dB", digits=2)
report.value("line_tumour", **line.as_dict(), unit="dB", digits=2)
report.sentence(
    f"On held-out patients the pairwise GAN reaches {report.text('psnr_tumour')} in the tumour, a straight line from "
    f"the other modality {report.text('line_tumour')}. The mask changes the PSNR by {report.text('mask_tumour')} in "
    f"the tumour and {report.text('mask_whole')} on the whole image. {len(slices.ids)} patients make "
    f"{sum(record.fake for record in cases['Prop-A'].augmented)} fake ones in the first case and "
    f"{sum(record.fake for record in cases['Prop-B'].augmented)} in the second."
)

# %% tags=["remove-input"]
report.finish()
