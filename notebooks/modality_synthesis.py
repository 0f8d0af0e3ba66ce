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
# # Modality synthesis
#
# **What the paper claims.** Most patients of TCGA lack one or two of the four modalities, most often T2. Islam et al.
# {cite}`islam2020radiogenomic` make the missing one from those that are there, with a conditional GAN whose generator
# is their octave FCN and whose discriminator is an encoder-decoder that judges every pixel. They claim that it lies
# above a U-Net conditional GAN {cite}`isola2017pix2pix` in PSNR (their Figure 6), that the encoder-decoder
# discriminator is better than PatchGAN's encoder, that T1ce cannot be made from FLAIR, and that adding the synthetic
# modality makes the segmentation better.
#
# **What this chapter does.** It trains the paper's method, its two parts exchanged one at a time, and a generator
# without an adversary, several times each, and compares them on the same held-out subjects, with a rival that needs no
# network: a linear function of the intensities. Then it makes every modality that the cohort of the survival chapter
# lacks, from whatever is there, and asks what a synthetic T2 is worth to a segmentation network. In the simulation the
# removed image is known, so every error can be measured.

# %% tags=["parameters"]
cohort: str = "simulated"  # simulated, real, or the path of a cohort description
profile: str = "default"  # smoke, default or paper
seed: int = 0  # seed of every random number
target: str = "t2"  # the modality of the comparison
sources: list[str] = ["t1ce", "flair"]  # what it is made from
fill_targets: list[str] = ["t2", "flair", "t1ce"]  # modalities for which generators are left to other chapters
n_test: int = 12  # held-out subjects
n_seeds: int = 2  # trainings of each method
grid: list[int] = [96, 96, 64]  # voxels of the common grid
spacing: float = 2.25  # edge of a voxel, mm
widths: list[int] = [8, 16, 32]  # channels of the generator's levels
discriminator_widths: list[int] = [8, 16, 32]  # channels of the discriminator's levels
steps: int = 600  # updates of each player
batch_size: int = 8  # slices
crop: int = 40  # edge of a random square; 0 takes whole slices
learning_rate: float = 0.005  # of both players, as published
schedule: str = "polynomial"  # of the learning rate
distance_weight: float = 100.0  # lambda of objective (1)
noise_channels: int = 1  # of z
segmentation_steps: int = 160  # updates of the segmentation networks
segmentation_widths: list[int] = [8, 16, 32, 64]  # their channels
n_segmentation_seeds: int = 1  # their trainings

# %% tags=["hide-input"]
from radlib.book.agreement import show_agreement
from radlib.book.report import Report
from radlib.book.scores import keep_scores
from radlib.data.sources import open_cohort
from radlib.data.splits import hold_out
from radlib.data.store import prepare
from radlib.papers.islam2020 import segmentation as seg
from radlib.papers.islam2020 import synthesis as syn
from radlib.papers.islam2020 import synthesis_results as results
from radlib.papers.islam2020.synthesis_trainings import synthesis_trainings
from radlib.stats.paired import compare

report = Report.start("modality_synthesis", cohort=cohort, profile=profile, seed=seed)

# %% [markdown]
# ## Data
#
# Generators learn on the segmentation cohort, where every modality is there, and are used on the survival cohort,
# where modalities lack. Subjects are held out as a whole. Intensities run from 0 to 1 within the brain (its lowest
# value and its 99.5th percentile), so PSNR is at a range of 1.

# %%
whole = open_cohort("brats2017", cohort=cohort, profile=profile)
complete = results.trainable(whole)
lacking = open_cohort("tcga-gbm", cohort=cohort, profile=profile)
split = hold_out(complete.ids, test=min(n_test, len(complete) // 3), seed=seed,
                 stratify=complete.participants["grade_group"].fillna("unknown"))  # fmt: skip
store = prepare(complete, grid=grid, spacing=spacing, normalise="minmax")

# %% tags=["remove-input"]
needs = syn.missing_directions(lacking)
report.sentence(
    f"{len(split.train)} subjects train, {len(split.test)} are held out. In the survival cohort of {len(lacking)}, "
    f"{int((lacking.participants[list(store.modalities)].isna()).any(axis=1).sum())} lack at least one modality; "
    f"{int((lacking.participants[list(store.modalities)].isna()).all(axis=1).sum())} have no image at all."
)
report.table(
    "missing",
    needs.assign(
        direction=[results.direction_name(s, t) for s, t in zip(needs["sources"], needs["target"], strict=True)]
    )[["direction", "subjects"]],
    index=False,
    digits=0,
    caption="What the survival cohort lacks, from what it could be made, and for how many subjects.",
)

# %% [markdown]
# ## Method
#
# With the available modalities $x$, noise $z$ and the missing modality $y$, the players minimise and maximise
#
# $$ G_\mathrm{obj} = \arg\min_G \max_D \; \mathbb{E}\,[\log D(x, y)] + \mathbb{E}\,[\log(1 - D(x, G(x, z)))]
#    + \lambda\, \mathbb{E}\,[\,|y - G(x, z)|\,]. $$
#
# As pix2pix does, the generator descends $-\log D$ in place of $\log(1 - D)$, whose gradient vanishes while the
# discriminator wins. The generator's output passes a sigmoid and is 0 outside the brain.

# %% tags=["hide-input"]
recipe = syn.SynthesisRecipe(
    widths=tuple(widths), discriminator_widths=tuple(discriminator_widths), steps=steps, batch_size=batch_size,
    crop=crop or None, learning_rate=learning_rate, schedule=schedule, distance_weight=distance_weight,
    noise_channels=noise_channels,
)  # fmt: skip
report.table(
    "networks",
    results.architecture_table(recipe, n_sources=len(sources), edge=grid[0]),
    index=False,
    digits={"generator, million multiplications": 0},
    caption="Size of the generators and discriminators, and how many verdicts a discriminator gives on a slice.",
)

# %% [markdown]
# ## The paper's method and its rivals

# %% tags=["trainings", "hide-input"]
seeds, segmentation_seeds = range(seed, seed + n_seeds), range(seed, seed + n_segmentation_seeds)
folder = report.directory / "checkpoints"
segmentation = seg.Recipe(widths=tuple(segmentation_widths), steps=segmentation_steps)
trainings = synthesis_trainings(
    store, lacking, target=target, sources=sources, fill_targets=fill_targets, train=split.train, test=split.test,
    recipe=recipe, seeds=seeds, scaled=lambda: prepare(complete, grid=grid, spacing=spacing), segmentation=segmentation,
    segmentation_seeds=segmentation_seeds, folder=folder,
)  # fmt: skip

# %%
comparison = results.compare_methods(
    store, target=target, sources=sources, train=split.train, test=split.test, recipe=recipe, seeds=seeds, folder=folder
)  # fmt: skip

# %% tags=["hide-input"]
report.figure(
    "psnr",
    results.psnr_figure(comparison.histories),
    caption="PSNR of held-out slices over training: mean and range of the seeds (the counterpart of Figure 6 A).",
    alt="Four rising curves with bands.",
)
ours = next(iter(syn.TITLES))
report.figure(
    "losses",
    results.losses_figure(comparison.histories),
    caption="Losses of the first seed, smoothed; the raw curves behind.",
    alt="Three panels: the distance falls; the adversarial losses settle.",
)

# %% tags=["hide-input"]
keep_scores(report, "synthesis", comparison.scores.assign(
    role="brats2017", direction=results.direction_name(sources, target)))  # fmt: skip
report.table(
    "scores",
    results.score_table(comparison.scores, seed=seed),
    caption=f"{results.direction_name(sources, target)} on held-out subjects: means over subjects (and seeds), with "
    "95 % bootstrap intervals over subjects.",
)
metrics = ("psnr_brain", "psnr_tumour", "ssim")
paired = {name: compare(comparison.scores, metric=name, reference=ours, seed=seed) for name in metrics}
differences = results.difference_table(paired)
report.table(
    "differences",
    differences,
    index=False,
    digits={"PSNR, brain (dB)": 2},
    caption=f"Difference to *{ours}* on the same subjects and seeds, with intervals; p is Wilcoxon's, over subjects.",
)

# %% tags=["remove-input"]
to_ours = paired["psnr_brain"].set_index("model")
for name, model in (("unet", "U-Net cGAN (pix2pix)"), ("patch", "FCN, PatchGAN"), ("l1", "FCN, L1 only")):
    row = to_ours.loc[model]
    report.value(name, row["value"], low=row["low"], high=row["high"], n=int(row["n"]), unit="dB", digits=2)
report.sentence(
    f"The U-Net conditional GAN minus the paper's method: {report.text('unet')} in the brain. PatchGAN's "
    f"discriminator minus the encoder-decoder, same generator: {report.text('patch')}. No adversary at all "
    f"minus the paper's method: {report.text('l1')}. " + results.claim_sentence(to_ours)
)

# %% tags=["hide-input"]
shown = split.test[0]
if report.source == "simulated":
    report.figure(
        "pictures",
        results.picture_figure(store, shown, comparison),
        caption="A held-out simulated subject: sources and true image, synthetic images, and their errors "
        "(the counterpart of Figure 6 B).",
        alt="Three rows of axial slices: real images, synthetic images, and maps of their absolute error.",
    )
else:
    report.note("Pictures of real patients are not shown.")

# %% [markdown]
# ## Every direction that the survival cohort needs
#
# One generator for each missing modality, trained with every set of sources that occurs in the survival cohort: in a
# batch each slice is shown with one of the sets, and the others are 0. So one network fills in whatever a patient
# lacks. The paper found T1ce from FLAIR to be poor, and left such patients without it.

# %%
generators = results.fill_generators(
    store, lacking, targets=fill_targets, train=split.train, validate=split.test, recipe=recipe, seed=seed,
    folder=folder,
)  # fmt: skip
written = results.keep_generators(
    report.directory / "weights", {**generators, "": comparison.generators[next(iter(syn.TITLES))]}, target=target,
    recipe=recipe, store=store, train=split.train, trained_on=f"{report.source} {whole.name}",
)  # fmt: skip

# %% tags=["hide-input"]
directions = results.direction_table(generators, store, lacking, train=split.train, test=split.test)
report.figure(
    "directions",
    results.direction_figure(directions),
    caption="PSNR of every direction on held-out subjects, with 95 % intervals, beside the linear rival.",
    alt="A row a direction, with points for the generator and for the linear rival.",
)
report.table(
    "directions",
    results.direction_columns(directions),
    index=False,
    digits={"subjects who need it": 0, "n": 0, "SSIM": 3},
    caption="Every direction: PSNR in the brain with its interval, in the tumour, of the linear rival, and SSIM.",
)

# %% tags=["remove-input"]
report.sentence(results.direction_sentence(directions))

# %% [markdown]
# ## What the synthetic image is worth
#
# A U-Net is trained on real images of the sources, and another on the sources and the target. Held-out subjects whose
# target was removed are then segmented without it, with the synthetic one in its place, and with the removed one. The
# simulation allows the last, which no patient does.

# %%
made = {subject: syn.synthesise(generators.get(target, comparison.generators[ours]), store, subject, sources=sources)
        for subject in split.test}  # fmt: skip
scaled = prepare(complete, grid=grid, spacing=spacing)
gain = results.segmentation_gain(
    scaled, scaled.replaced(made, modality=target), train=split.train, validate=(), test=split.test,
    available=sources, target=target, seeds=segmentation_seeds, recipe=segmentation, folder=folder,
)  # fmt: skip

# %% tags=["hide-input"]
gains = {metric: compare(gain, metric=metric, reference="without", seed=seed) for metric in ("dice", "hd95")}
report.table(
    "gain",
    results.gain_table(gain, gains),
    index=False,
    digits={"n": 0},
    caption="Segmentation of held-out subjects without the target, with a synthetic and with the real one; Dice, and "
    "its difference to doing without, on the same subjects.",
)

# %% tags=["remove-input"]
found = gains["dice"].set_index(["model", "region"])
for region in ("wt", "tc", "et"):
    row = found.loc[("synthetic", region)]
    report.value(f"gain_{region}", row["value"], low=row["low"], high=row["high"], n=int(row["n"]))
report.sentence(
    "What a synthetic image adds to the Dice of a network that was trained with the real one, against a network "
    f"without: whole tumour {report.text('gain_wt')}, core {report.text('gain_tc')}, enhancing "
    f"{report.text('gain_et')}. A generator can only rearrange what the available modalities hold. An interval that "
    "contains 0 says that this many subjects do not show a gain."
)

# %% [markdown]
# ## Agreement with the paper
#
# The paper prints no number in its Figure 6; what can be compared is the order of the curves.

# %% tags=["remove-input"]
best = comparison.scores.query("model == @ours").groupby("subject")["psnr"].mean()
report.record("islam2020.figure6", float(best.mean()), n=len(best), unit="dB", protocol="leakage-free",
              note=f"PSNR of {results.direction_name(sources, target)}; U-Net cGAN minus ours in the brain: "
              + report.text("unet"))  # fmt: skip
report.record("islam2020.figure4", float(n_seeds), n=len(split.train), protocol="",
              note="both networks are built and trained; the value is the number of trainings of each")  # fmt: skip
hardest = directions[directions["direction"] == results.direction_name(["flair"], "t1ce")]
if len(hardest):
    row = hardest.iloc[0]
    report.record("islam2020.text.t1c_from_flair", float(row["psnr_brain"]), low=row["low"], high=row["high"],
                  n=int(row["n"]), unit="dB", protocol="leakage-free",
                  note=f"PSNR in the brain; all directions have {directions['psnr_brain'].min():.1f} to "
                  f"{directions['psnr_brain'].max():.1f} dB")  # fmt: skip
else:
    report.missing("islam2020.text.t1c_from_flair", "no patient of this cohort needs T1ce from FLAIR alone")

# %% tags=["remove-input"]
show_agreement(report)

# %% [markdown]
# ## Choices the paper leaves open
#
# | open | chosen | why |
# |---|---|---|
# | $\lambda$ of objective (1) | `distance_weight`, 100 | pix2pix's, whose objective the paper takes over |
# | noise $z$ | one channel of normal noise beside the input (`noise_channels`) | the paper says input only |
# | scale of intensities | 0 to 1 within the brain | PSNR needs a range; the paper states none |
# | widths of the networks | `widths`, `discriminator_widths` | no figure or text gives them |
# | learning rate over time | polynomial decay (`schedule`) | a constant rate leaves the curves jumping |
# | which weights are kept | a moving average (`average` of the recipe) | the last ones depend on the last few slices |
# | which directions | every one that the cohort needs, one generator a target | the paper generates all that lack |
#
# ## Limits
#
# Simulated T2 is a function of the same tissue classes as the other modalities, so synthesis is easier here than in
# patients in one way (there is no disease that only T2 shows) and as hard in another (sites differ in contrast, which
# no source tells). PSNR rewards blur. The generators are small and 2D: neighbouring slices do not know of each other.
#
# ## Summary
#
# - A conditional GAN of the paper's kind fills in missing modalities; the tables above say how far from the truth.
# - Its parts were exchanged one at a time on the same subjects and seeds, with intervals.
# - Filled-in images carry their provenance in the header: `radlib synthesise COHORT --missing t2 --out DIR`.

# %% tags=["remove-input"]
report.finish()
