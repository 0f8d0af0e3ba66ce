"""MONAI bundles: written, read back, refused when they are not ours, and run by MONAI itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from radlib.core.errors import RadlibError
from radlib.data.nifti import write_volume
from radlib.data.regions import from_classes
from radlib.training.bundle import Segmenter, export_bundle
from radlib.training.inference import predict_slices

ARGUMENTS = {
    "spatial_dims": 2, "in_channels": 2, "out_channels": 4, "channels": [4, 8], "strides": [2],
}  # fmt: skip


@pytest.fixture
def segmenter() -> Segmenter:
    from monai.networks.nets import UNet

    torch.manual_seed(0)
    return Segmenter(
        network=UNet(**ARGUMENTS), target="monai.networks.nets.UNet", arguments=ARGUMENTS, modalities=("t1ce", "flair"),
        spacing=(1.0, 1.0, 1.0), roi=(32, 32), trained_on="nothing",
    )  # fmt: skip


def test_what_a_bundle_holds(segmenter: Segmenter, tmp_path: Path) -> None:
    root = export_bundle(tmp_path / "unet", segmenter)
    facts = json.loads((root / "configs" / "metadata.json").read_text())["radlib"]
    assert facts == {
        "modalities": ["t1ce", "flair"],
        "spacing": [1.0, 1.0, 1.0],
        "roi": [32, 32],
        "trained_on": "nothing",
    }
    definition = json.loads((root / "configs" / "inference.json").read_text())["network_def"]
    assert definition == {"_target_": "monai.networks.nets.UNet", **ARGUMENTS}
    weights = load_file(root / "models" / "model.safetensors")
    for name, tensor in segmenter.network.state_dict().items():
        assert torch.equal(tensor, weights[name])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"target": "os.system"}, r"the network 'os\.system' is not one of radlib's or MONAI's"),
        ({"target": "radlib.nn.common.count_parameters"}, "is not a network"),
        ({"arguments": {**ARGUMENTS, "nonsense": 1}}, "cannot be built"),
        ({"arguments": {**ARGUMENTS, "channels": [8, 8]}}, "is not the network that was given"),
    ],
)
def test_only_what_the_bundle_can_build_is_written(
    segmenter: Segmenter, tmp_path: Path, change: dict, problem: str
) -> None:
    with pytest.raises(RadlibError, match=problem):
        export_bundle(tmp_path / "x", Segmenter(**{**vars(segmenter), **change}))
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_monai_runs_the_bundle_and_agrees(segmenter: Segmenter, tmp_path: Path) -> None:
    root = export_bundle(tmp_path / "unet", segmenter)
    generator = np.random.default_rng(0)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    images = []
    for name in segmenter.modalities:
        data = generator.normal(100, 20, size=(32, 32, 6)).astype(np.float32)
        data[:4] = 0
        write_volume(tmp_path / "data" / "s1" / f"s1_{name}.nii.gz", data, affine=affine)
        inside = data != 0
        scaled = np.where(inside, (data - data[inside].mean()) / data[inside].std(), 0)
        images.append(scaled.clip(-5, 5).astype(np.float32))
    environ = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable, "-m", "monai.bundle", "run", "--config_file", str(root / "configs" / "inference.json"),
        "--bundle_root", str(root), "--dataset_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path / "out"),
    ]  # fmt: skip
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    written = np.asarray(nib.load(next((tmp_path / "out").glob("*seg.nii.gz"))).dataobj)
    ours = predict_slices(segmenter.network, torch.from_numpy(np.stack(images)), device="cpu", precision="32-true")
    expected = from_classes(ours.argmax(0)).numpy()
    assert set(np.unique(written)) <= {0, 1, 2, 4}
    assert len(np.unique(expected)) > 1
    assert np.mean(written.reshape(expected.shape) == expected) > 0.999
