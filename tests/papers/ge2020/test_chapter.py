"""The chapters of Ge 2020 fit together in every profile, and the paper profile is the published one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import papermill
import pytest
import torch
import yaml

from radlib.book.parameters import declared_parameters, resolve
from radlib.book.plan import plan
from radlib.book.registry import chapters
from radlib.core.paths import runs_root
from radlib.data.nifti import write_volume
from radlib.data.published import published
from radlib.papers.ge2020.classifier import ClassifierRecipe, stage_schedule
from radlib.papers.ge2020.networks import MultiStreamClassifier, PairGenerator, PatchDiscriminator, SliceAutoencoder
from radlib.study.store import infos, jobs_root

PROFILES = ("smoke", "default", "paper")


def parameters(name: str, profile: str) -> dict[str, Any]:
    one = chapters()[name]
    declared = {key: parameter.default for key, parameter in declared_parameters(one.source).items()}
    return declared | resolve(one, profile=profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_second_chapter_builds_on_the_jobs_of_the_first(profile: str) -> None:
    first, second = (plan(chapters()[name], profile=profile) for name in ("pairwise_gan", "multistream_idh"))
    made = {job.key for job in first["pairs"].arms["masked"]}
    used = {job.key for arm in ("prop_a", "no_mask") for one in second["classifier"].arms[arm] for job in one.parents()}
    assert used == made
    assert not any(one.parents() for one in second["classifier"].arms["bas_1"])
    one, two = (parameters(name, profile) for name in ("pairwise_gan", "multistream_idh"))
    assert one["size"] % 16 == 0
    assert len(two["widths"]) == published("ge2020.text.cnn_layers").value
    assert two["crop"] >= 32  # DenseNet121 halves five times
    if profile != "smoke":
        assert {len(jobs) for study in (first["quality"], second["classifier"]) for jobs in study.arms.values()} == {5}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pairwise_gan", "multistream_idh"])
def test_every_parameter_that_a_training_depends_on_is_in_its_jobs(name: str) -> None:
    """A changed parameter is another job; one that decides nothing of a training is none."""
    before = {job.key for study in plan(chapters()[name], profile="smoke").values() for job in study.jobs()}
    plain = {"cohort", "profile", "seed", "n_boot"}
    for parameter, value in parameters(name, "smoke").items():
        if parameter in plain:
            continue
        other = [*value[:-1], 2 * value[-1]] if isinstance(value, list) else not value if value is False else 2 * value
        if parameter in ("pretrain_epochs", "refine_epochs"):
            other = value + 1  # in the recipe, although the profile counts steps
        studies = plan(chapters()[name], profile="smoke", overrides={parameter: other})
        now = {job.key for study in studies.values() for job in study.jobs()}
        assert now - before, parameter
    same = plan(chapters()[name], profile="smoke", overrides={"n_boot": 7})
    assert {job.key for study in same.values() for job in study.jobs()} == before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_plain_papermill_with_another_weight_gives_other_tables(tmp_path: Path) -> None:
    """100 and then 1 in one checkout: the numbers differ, and 100 again computes nothing."""
    tables, jobs = [], []
    for weight in (100.0, 1.0, 100.0):
        notebook = jupytext.read(chapters()["pairwise_gan"].source)
        end = next(k for k, cell in enumerate(notebook.cells) if 'report.table(\n    "quality"' in cell.source)
        drawing = ("report.figure(", "report.beginning(")
        notebook.cells = [
            cell for cell in notebook.cells[: end + 1]
            if cell.cell_type == "code"
            and ("nets = {" in cell.source or not any(call in cell.source for call in drawing))
        ]  # fmt: skip
        papermill.execute_notebook(
            notebook, tmp_path / "out.ipynb", kernel_name="python3", progress_bar=False,
            parameters={
                "cohort": str(described_cohort(tmp_path)), "profile": "smoke", "l1_weight": weight, "size": 16,
                "field": 32.0, "n_runs": 1, "generator": [2, 2, 2, 2], "discriminator": [2, 2, 2, 2], "gan_steps": 1,
                "gan_batch": 4, "autoencoder": [2, 2, 2, 2, 2, 2, 2, 2], "autoencoder_steps": 1, "n_boot": 10,
            },
        )  # fmt: skip
        (file,) = runs_root().rglob("tables/quality.csv")
        tables.append(file.read_bytes())
        jobs.append(len(infos(jobs_root())))
    assert tables[0] != tables[1]
    assert tables[0] == tables[2]
    # The autoencoder and the two rules do not depend on the weight; everything else was computed twice.
    assert jobs == [jobs[0], 2 * jobs[0] - 3, 2 * jobs[0] - 3]


def described_cohort(folder: Path, *, n: int = 12) -> Path:
    """A cohort of noise on disk: brains of 16 voxels with a cube for a tumour, and its description."""
    if not (folder / "cohort.yml").is_file():
        random = np.random.default_rng(0)
        labels = np.zeros((16, 16, 16), np.uint8)
        labels[5:10, 5:10, 5:10] = 1
        rows = ["id,idh"]
        for number in range(n):
            affine = np.diag([2.0, 2.0, 2.0, 1.0])
            for name in ("t1", "t1ce", "t2", "flair"):
                image = (100 + 50 * random.random((16, 16, 16)) + 50 * labels).astype(np.float32)
                write_volume(folder / f"p{number}_{name}.nii.gz", image, affine=affine)
            write_volume(folder / f"p{number}_seg.nii.gz", labels, affine=affine, dtype=np.uint8)
            rows.append(f"p{number},{'mutant' if number % 2 else 'wildtype'}")
        (folder / "people.csv").write_text("\n".join(rows))
        images = {name: f"{{id}}_{name}.nii.gz" for name in ("t1", "t1ce", "t2", "flair", "seg")}
        description = {
            "name": "noise", "images": images, "participants": "people.csv", "columns": {"idh": "idh"},
            "label_encoding": "whole-tumour",
        }  # fmt: skip
        (folder / "cohort.yml").write_text(yaml.safe_dump(description))
    return folder / "cohort.yml"


def test_paper_profile_has_the_published_sizes() -> None:
    first, second = (parameters(name, "paper") for name in ("pairwise_gan", "multistream_idh"))
    size = first["size"]
    assert published("ge2020.text.image_size").printed == f"{size} × {size}"
    assert first["n_runs"] == published("ge2020.text.runs").value
    assert first["gan_rate"] == published("ge2020.text.gan_learning_rate").value
    updates = published("ge2020.text.gan_epochs").value * (99 * 6 // first["gan_batch"])
    assert first["gan_steps"] == updates
    recipe = ClassifierRecipe(
        pretrain_steps=second["pretrain_steps"], pretrain_epochs=second["pretrain_epochs"],
        pretrain_rate=second["pretrain_rate"], batch_size=second["batch_size"],
    )  # fmt: skip
    _, steps, epoch = stage_schedule("augmented", int(published("ge2020.text.fake_slices_a").value), recipe)
    assert steps / epoch == published("ge2020.text.pretraining_epochs").value
    assert second["refine_epochs"] == published("ge2020.text.refining_epochs").value
    assert second["refine_rate"] == published("ge2020.text.refining_learning_rate").value
    with torch.device("meta"):
        image = torch.zeros(1, 1, size, size)
        assert PairGenerator(first["generator"])(image).shape == image.shape
        assert PatchDiscriminator(first["discriminator"])(image).shape[-2:] == (8, 8)
        assert SliceAutoencoder(first["autoencoder"]).latent(image.expand(1, 4, size, size)).shape == (1, 512)
        network = MultiStreamClassifier(widths=second["widths"], hidden=second["hidden"], size=size)
        assert network(torch.zeros(2, 4, size, size)).shape == (2, 2)
    neurons = [layer.out_features for layer in network.head if isinstance(layer, torch.nn.Linear)]
    assert published("ge2020.text.classifier_neurons").printed == ", ".join(map(str, neurons))
