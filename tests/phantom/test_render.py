"""One subject: contrasts, units, what decides the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from radlib.core.errors import RadlibError
from radlib.phantom.anatomy import Grid, make_head, tissue_on
from radlib.phantom.distractors import DISTRACTORS
from radlib.phantom.mechanisms import NONE, Mechanisms, resolve_mechanisms
from radlib.phantom.render import MODALITIES, Rendered, Stages, render_subject
from radlib.phantom.scanner import load_protocol
from radlib.phantom.traits import ImagingTraits

GRID = Grid.fitting((64, 72, 56))
TRAITS = ImagingTraits(
    age=60,
    lobe="parietal",
    hemisphere="right",
    volume_ml=50.0,
    fraction_et=0.25,
    fraction_core=0.25,
    necrosis=0.9,
    border_sharpness=0.6,
    t2_flair_mismatch=0.0,
    n_foci=1,
    mass_effect=0.0,
    heterogeneity=0.4,
)


def simulate(traits: ImagingTraits = TRAITS, **options: object) -> Rendered:
    defaults: dict[str, object] = {"subject": "a", "seed": 0, "protocol": load_protocol("brats-3t"), "grid": GRID,
                                   "mechanisms": NONE}  # fmt: skip
    return render_subject(traits, **{**defaults, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def subject() -> Rendered:
    return simulate(clean=True)


def means(rendered: Rendered, modality: str) -> dict[str, float]:
    """Mean intensity of tissues away from the tumour, and of tumour parts, relative to white matter."""
    tissue = tissue_on(make_head(age=60, seed=0, subject="a"), GRID.axes(), spacing=GRID.spacing)
    part = GRID.work_slices()
    image, labels = rendered.images[modality][part], rendered.labels[part]
    pure = (tissue.fractions > 0.95).numpy() & (labels == 0)
    pure[0] |= (tissue.fractions[0] > 0.9).numpy() & (labels == 0)
    pure[0] &= distance_transform_edt(tissue.brain.numpy(), sampling=GRID.spacing) > 7  # the edge holds dura, too
    out = {name: float(image[mask].mean()) for name, mask in zip(("csf", "grey", "white"), pure, strict=True)}
    out |= {f"label {value}": float(image[labels == value].mean()) for value in (1, 2, 4)}
    return {name: value / out["white"] for name, value in out.items()}


def test_t1(subject: Rendered) -> None:
    t1 = means(subject, "t1")
    assert 1 > t1["grey"] > t1["csf"]
    assert 1 > t1["label 2"] > t1["label 1"]


def test_t1ce(subject: Rendered) -> None:
    t1ce = means(subject, "t1ce")
    assert t1ce["label 4"] > 1.25
    assert t1ce["label 4"] > 1.3 * t1ce["label 1"]


def test_t2(subject: Rendered) -> None:
    t2 = means(subject, "t2")
    assert t2["csf"] > t2["label 1"] > t2["label 2"] > t2["grey"] > 1


def test_the_edge_of_the_mask_is_dark(subject: Rendered) -> None:
    """Dura and bone by partial volume: CSF at the edge is darker on T2 than inside, as in skull-stripped scans."""
    tissue = tissue_on(make_head(age=60, seed=0, subject="a"), GRID.axes(), spacing=GRID.spacing)
    csf = (tissue.fractions[0] > 0.9).numpy()
    depth = distance_transform_edt(tissue.brain.numpy(), sampling=GRID.spacing)
    t2 = subject.images["t2"][GRID.work_slices()]
    assert t2[csf & (depth <= 3)].mean() < 0.6 * t2[csf & (depth > 7)].mean()


def test_flair(subject: Rendered) -> None:
    flair = means(subject, "flair")
    assert flair["label 2"] > flair["grey"] > 1 > flair["csf"]
    assert flair["csf"] < 0.5


def test_units_and_mask(subject: Rendered) -> None:
    brains = [image > 0 for image in subject.images.values()]
    for image, brain in zip(subject.images.values(), brains, strict=True):
        assert image.shape == GRID.shape
        assert image.dtype == np.int16
        assert np.array_equal(brain, brains[0])
    assert not (subject.labels[~brains[0]] > 0).any()
    assert subject.volumes_ml["brain"] == pytest.approx(brains[0].sum() * GRID.voxel_ml)
    assert subject.volumes_ml["whole"] == pytest.approx(50, abs=1.01 * GRID.voxel_ml)
    assert subject.probabilities.sum(-1).min() >= 253


def test_the_clean_image_is_the_image_without_its_defects(subject: Rendered) -> None:
    brain = subject.labels >= 0
    for modality in MODALITIES:
        image, clean = (volumes[modality].astype(float) for volumes in (subject.images, subject.clean))
        brain = clean > 0
        assert 0.9 < np.corrcoef(image[brain], clean[brain])[0, 1] < 0.99999


def test_nothing_else_decides_the_numbers(subject: Rendered) -> None:
    one = simulate(modalities=("flair",))
    assert list(one.images) == ["flair"]
    assert np.array_equal(one.images["flair"], subject.images["flair"])
    assert np.array_equal(one.labels, subject.labels)
    assert one.clean == {}
    other = simulate(modalities=("flair",), subject="b")
    assert not np.array_equal(other.images["flair"], one.images["flair"])
    reseeded = simulate(modalities=("flair",), seed=1)
    assert not np.array_equal(reseeded.images["flair"], one.images["flair"])


def test_the_mismatch_is_dark_on_flair_and_bright_on_t2() -> None:
    lesion = replace(TRAITS, fraction_et=0.0, fraction_core=0.6, necrosis=0.0, age=60)
    only = resolve_mechanisms({"all": 0, "mismatch": 1})
    plain = simulate(lesion, modalities=("t2", "flair"), mechanisms=only)
    mismatch = simulate(replace(lesion, t2_flair_mismatch=1.0), modalities=("t2", "flair"), mechanisms=only)
    core = plain.labels == 1

    def mean(rendered: Rendered, modality: str) -> float:
        return float(rendered.images[modality][core].mean())

    assert mean(mismatch, "flair") < 0.85 * mean(plain, "flair")
    assert mean(mismatch, "t2") > mean(plain, "t2")


def test_protocols_change_the_image_and_not_the_truth(subject: Rendered) -> None:
    other = simulate(protocol=load_protocol("tcga-thick"))
    assert np.array_equal(other.labels, subject.labels)
    assert not np.array_equal(other.images["t1"], subject.images["t1"])


def test_the_truth_does_not_hear_of_the_scanner_and_distractors_are_marked(subject: Rendered) -> None:
    hard = simulate(mechanisms=Mechanisms(rater=0.0), modalities=("flair", "t1ce"))
    assert np.array_equal(hard.probabilities, subject.probabilities)
    assert np.array_equal(hard.labels, subject.labels)
    assert not subject.distractors.any()
    normal = hard.distractors[(hard.labels == 0) & (hard.distractors > 0)]
    assert {DISTRACTORS[code - 1] for code in np.unique(normal)} >= {"lesions", "bright cortex", "vessels"}
    assert not hard.distractors[hard.images["flair"] == 0].any()


@pytest.mark.parametrize(
    ("name", "distractor", "modality", "factor"),
    [
        ("lesions", "lesions", "flair", 1.15),
        ("bright_cortex", "bright cortex", "flair", 1.08),
        ("csf_flow", "CSF flow", "flair", 1.2),
        ("vessels", "vessels", "t1ce", 1.1),
        ("meninges", "meninges", "t1ce", 1.1),
        ("plexus", "plexus", "t1ce", 1.3),
    ],
)
def test_each_mechanism_brightens_its_own_voxels(
    subject: Rendered, name: str, distractor: str, modality: str, factor: float
) -> None:
    plain, alone = subject, simulate(mechanisms=resolve_mechanisms({"all": 0, name: 1.5}), modalities=(modality,))
    marked = alone.distractors == DISTRACTORS.index(distractor) + 1
    assert set(np.unique(alone.distractors)) <= {0, DISTRACTORS.index(distractor) + 1}
    assert marked.sum() > 10
    before, after = (item.images[modality][marked].mean() for item in (plain, alone))
    assert after > factor * before
    assert np.array_equal(alone.labels, plain.labels)


def test_taking_a_mechanism_away_leaves_the_streams_of_the_others() -> None:
    small = {"grid": Grid.fitting((40, 48, 36)), "modalities": ("flair",)}
    full = simulate(mechanisms=Mechanisms(), **small)
    for name in ("lesions", "blood", "bias"):
        without = simulate(mechanisms=replace(Mechanisms(), **{name: 0.0}), **small)
        assert np.array_equal(full.probabilities, without.probabilities)
        assert np.array_equal(full.labels, without.labels)
        code = DISTRACTORS.index(name) + 1 if name in DISTRACTORS else 0
        others = (full.distractors != code) & (without.distractors != code)
        assert (full.distractors == without.distractors)[others].mean() > 0.999


def test_stages_are_timed() -> None:
    stages = Stages()
    simulate(modalities=("t1",), stages=stages)
    assert list(stages.seconds) == [
        "anatomy", "tumour growth", "tissue maps", "compartments", "distractors", "texture", "signal", "scanner",
    ]  # fmt: skip
    assert min(stages.seconds.values()) > 0


def test_unknown_modality() -> None:
    with pytest.raises(RadlibError, match="unknown modality 'pd'"):
        simulate(modalities=("pd",))
