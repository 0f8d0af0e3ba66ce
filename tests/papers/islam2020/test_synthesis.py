"""Synthesis: objective (1) by hand, which directions a cohort needs, training, weights, and filling in."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from radlib.cli import app
from radlib.core.errors import MissingDataError, RadlibError
from radlib.data.cohort import COLUMNS, Cohort
from radlib.data.nifti import write_volume
from radlib.data.store import ImageStore, prepare
from radlib.papers.islam2020.fill import fill_in, provenance_of
from radlib.papers.islam2020.synthesis import (
    LinearSynthesis,
    Synthesiser,
    SynthesisRecipe,
    discriminator_loss,
    distance_loss,
    generator_loss,
    load_synthesiser,
    missing_directions,
    save_synthesiser,
    score_subjects,
    synthesise,
    train_synthesiser,
)

TINY = SynthesisRecipe(
    widths=(4, 8), discriminator_widths=(4, 8), steps=4, batch_size=4, crop=None, validations=2, precision="32-true"
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Six subjects of 16x16x8 voxels; T2 follows T1ce. The last lacks T2, the one before T1ce and FLAIR too."""
    root = tmp_path_factory.mktemp("cohort")
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    rows = {}
    for number in range(6):
        generator = np.random.default_rng(number)
        base = np.zeros((16, 16, 8), np.float32)
        field = gaussian_filter(generator.normal(size=(12, 10, 6)), 1.5)
        base[2:14, 3:13, 1:7] = 1 + 99 * (field - field.min()) / np.ptp(field)
        labels = np.zeros(base.shape, np.uint8)
        labels[5:9, 5:9, 3:5] = 4
        images = {
            "t1": base + (base != 0), "t1ce": base,
            "t2": np.where(base != 0, 20 + base / 2, 0), "flair": base[::-1].copy(),
        }  # fmt: skip
        if number >= 4:
            del images["t2"]
        if number == 4:
            del images["t1ce"], images["flair"]
        row = {"seg": f"{number}-seg.nii.gz"}
        write_volume(root / row["seg"], labels, affine=affine, dtype=np.uint8)
        for name, data in images.items():
            row[name] = f"{number}-{name}.nii.gz"
            write_volume(root / row[name], data, affine=affine)
        rows[f"s{number}"] = row
    table = pd.DataFrame.from_dict(rows, orient="index").reindex(columns=list(COLUMNS)).astype(object)
    table.index.name = "id"
    return Cohort(name="six", source="user", root=root, participants=table)


@pytest.fixture(scope="module")
def store(cohort: Cohort) -> ImageStore:
    return prepare(cohort, grid=(16, 16, 8), spacing=2.0, normalise="minmax")


def test_objective_1_by_hand() -> None:
    """Logits of a 2 x 2 map with verdicts 1/2, 3/4 for real and 1/2, 1/5 for synthetic pixels."""
    real = torch.tensor([[0.0, 0.0], [math.log(3), math.log(3)]])
    fake = torch.tensor([[0.0, 0.0], [math.log(1 / 4), math.log(1 / 4)]])
    of_d = -(math.log(1 / 2) + math.log(3 / 4)) / 2 - (math.log(1 / 2) + math.log(4 / 5)) / 2
    assert discriminator_loss(real, fake).item() == pytest.approx(of_d)
    assert generator_loss(fake).item() == pytest.approx(-(math.log(1 / 2) + math.log(1 / 5)) / 2)
    assert generator_loss(fake, saturating=True).item() == pytest.approx((math.log(1 / 2) + math.log(4 / 5)) / 2)
    image = torch.tensor([[0.1, 0.4], [0.5, 1.0]])
    assert distance_loss(image, torch.tensor([[0.0, 0.5], [0.5, 0.4]])).item() == pytest.approx(0.8 / 4)


def test_directions_a_cohort_needs(cohort: Cohort) -> None:
    table = missing_directions(cohort)
    found = {(row.target, row.sources): row.subjects for row in table.itertuples()}
    assert found == {
        ("t2", ("t1", "t1ce", "flair")): 1, ("t2", ("t1",)): 1, ("t1ce", ("t1",)): 1, ("flair", ("t1",)): 1,
    }  # fmt: skip


@pytest.mark.parametrize("generator", ["fcn", "unet"])
@pytest.mark.parametrize("discriminator", ["encoder_decoder", "patch", "none"])
def test_training_reaches_every_parameter(store: ImageStore, generator: str, discriminator: str) -> None:
    recipe = replace(TINY, generator=generator, discriminator=discriminator, steps=1)  # type: ignore[arg-type]
    torch.manual_seed(0)
    net, trained = train_synthesiser(
        store, target="t2", sources=[("t1ce", "flair")], train=["s0", "s1"], validate=["s2"], recipe=recipe, seed=0
    )
    moved = sum(p.grad is not None and bool((p.grad != 0).any()) for p in net.parameters())
    assert moved / len(list(net.parameters())) > 0.9  # a dead unit or a bias before batch norm has none
    assert set(trained.networks) == {"generator"} | ({"discriminator"} if discriminator != "none" else set())
    assert "psnr" in trained.history


@pytest.mark.slow
def test_learned_synthesis_beats_a_guess_and_the_linear_rival_is_exact(store: ImageStore) -> None:
    subjects = ["s0", "s1", "s2"]
    recipe = replace(TINY, steps=300, discriminator="none", learning_rate=0.01)
    net, _ = train_synthesiser(store, target="t2", sources=[("t1ce",)], train=subjects, validate=["s3"], recipe=recipe,
                               seed=0)  # fmt: skip
    ours = score_subjects(lambda s: synthesise(net, store, s, device="cpu"), store, ["s3"], target="t2", model="net")
    mean = float(store.images[0, 2][store.images[0, 2] != 0].mean())
    guess = score_subjects(lambda s: (store.images[3, 1] != 0).numpy() * mean, store, ["s3"], target="t2")
    assert ours.loc[0, "psnr_brain"] > guess.loc[0, "psnr_brain"] + 2
    assert ours.loc[0, "model"] == "net"
    linear = LinearSynthesis.fit(store, target="t2", sources=("t1ce",), train=subjects)
    exact = score_subjects(lambda s: linear.predict(store, s), store, ["s3"], target="t2")
    assert exact.loc[0, "psnr_brain"] > 40


def test_one_generator_for_several_sets_of_sources(store: ImageStore) -> None:
    net, _ = train_synthesiser(
        store,
        target="t2",
        sources=[("t1",), ("t1ce", "flair")],
        train=["s0", "s1"],
        validate=["s2"],
        recipe=TINY,
        seed=0,
    )
    assert net.sources == ("t1", "t1ce", "flair")
    alone = synthesise(net, store, "s2", sources=["t1"], device="cpu")
    assert not np.array_equal(alone, synthesise(net, store, "s2", device="cpu"))
    assert np.array_equal(alone, synthesise(net, store, "s2", sources=["t1"], device="cpu"))
    assert alone.min() >= 0
    assert alone.max() <= 1
    assert not alone[(store.images[2, 0] == 0).numpy()].any()


def test_wrong_directions_are_named(store: ImageStore) -> None:
    common = {"train": ["s0"], "validate": ["s1"], "recipe": TINY, "seed": 0}
    with pytest.raises(RadlibError, match="'t2' is to be synthesised from itself"):
        train_synthesiser(store, target="t2", sources=[("t2",)], **common)
    with pytest.raises(RadlibError, match="no source modality"):
        train_synthesiser(store, target="t2", sources=[()], **common)
    with pytest.raises(RadlibError, match="training subject 's4' lacks one of t1ce, t2"):
        train_synthesiser(store, target="t2", sources=[("t1ce",)], **{**common, "train": ["s0", "s4"]})
    with pytest.raises(RadlibError, match="subject 's4' has none of t1ce"):
        synthesise(Synthesiser(["t1ce"], TINY), store, "s4")


def test_filled_in_images_are_marked_and_a_second_run_leaves_them(cohort: Cohort, tmp_path: Path) -> None:
    weights = tmp_path / "t2_from_any.safetensors"
    torch.manual_seed(0)
    save_synthesiser(weights, Synthesiser(["t1", "t1ce", "flair"], TINY), target="t2", recipe=TINY, grid=[16, 16, 8],
                     spacing=2.0, trained_on="nothing")  # fmt: skip
    assert load_synthesiser(weights)[0].sources == ("t1", "t1ce", "flair")
    table = fill_in(cohort, missing="t2", weights=[weights], out=tmp_path / "out", device="cpu").set_index("subject")
    assert table["sources"].to_dict() == {"s4": "t1", "s5": "t1+t1ce+flair"}
    file = tmp_path / "out" / table.loc["s5", "file"]
    told = provenance_of(file)
    assert told is not None
    assert (told["modality"], told["sources"], told["subject"]) == ("t2", ["t1", "t1ce", "flair"], "s5")
    image = nib.load(file)
    assert bytes(image.header["descrip"]).startswith(b"SYNTHETIC")
    assert image.shape == (16, 16, 8)
    assert np.asarray(image.dataobj).max() > 0
    assert provenance_of(cohort.path("s0", "t2")) is None
    before = file.stat().st_mtime_ns
    again = fill_in(cohort, missing="t2", weights=[weights], out=tmp_path / "out", device="cpu")
    assert set(again["state"]) == {"there already"}
    assert file.stat().st_mtime_ns == before
    torch.manual_seed(1)  # other weights under the same name, another seed: made anew
    save_synthesiser(weights, Synthesiser(["t1", "t1ce", "flair"], TINY), target="t2", recipe=TINY, grid=[16, 16, 8],
                     spacing=2.0, trained_on="nothing")  # fmt: skip
    for seed in (0, 1):
        again = fill_in(cohort, missing="t2", weights=[weights], out=tmp_path / "out", device="cpu", seed=seed)
        assert set(again["state"]) == {"written"}
    shutil.copy(cohort.path("s0", "t2"), file)  # an image of the user's under this name is not replaced
    state = fill_in(cohort, missing="t2", weights=[weights], out=tmp_path / "out", device="cpu").set_index("subject")
    assert state.loc["s5", "state"].startswith("failed: there is an image that is not marked as synthetic")
    assert file.read_bytes() == cohort.path("s0", "t2").read_bytes()
    with pytest.raises(RadlibError, match="these weights make t2, not t1ce"):
        fill_in(cohort, missing="t1ce", weights=[weights], out=tmp_path / "out")
    other = tmp_path / "t1_from_any.safetensors"
    save_synthesiser(other, Synthesiser(["t2"], TINY), target="t1", recipe=TINY, grid=[16, 16, 8], spacing=2.0)
    with pytest.raises(MissingDataError, match="every subject of cohort 'six' has t1"):
        fill_in(cohort, missing="t1", weights=[other], out=tmp_path / "out")


def test_command(tmp_path: Path) -> None:
    arguments = ["synthesise", str(tmp_path), "--missing", "t2", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, RadlibError)  # the folder is no cohort
    assert "--missing" in CliRunner().invoke(app, ["synthesise", "--help"]).output
