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

from radlib.core.errors import RadlibError
from radlib.data.nifti import write_volume
from radlib.data.regions import from_classes
from radlib.training.bundle import Segmenter, export_bundle, import_bundle
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
        spacing=1.0, roi=(32, 32), trained_on="nothing",
    )  # fmt: skip


def test_round_trip(segmenter: Segmenter, tmp_path: Path) -> None:
    back = import_bundle(export_bundle(tmp_path / "unet", segmenter))
    assert back.arguments == ARGUMENTS
    assert (back.modalities, back.roi, back.spacing) == (("t1ce", "flair"), (32, 32), 1.0)
    for name, tensor in segmenter.network.state_dict().items():
        assert torch.equal(tensor, back.network.state_dict()[name])


def test_foreign_and_damaged_bundles_are_refused(segmenter: Segmenter, tmp_path: Path) -> None:
    root = export_bundle(tmp_path / "unet", segmenter)
    file = root / "configs" / "inference.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "network_def": {"_target_": "os.system", "command": "true"}}))
    with pytest.raises(RadlibError, match=r"the network 'os\.system' is not one of radlib's or MONAI's"):
        import_bundle(root)
    call = {"_target_": "radlib.nn.common.count_parameters", "module": None}
    file.write_text(json.dumps({**config, "network_def": call}))
    with pytest.raises(RadlibError, match="is not a network"):
        import_bundle(root)
    file.write_text("{")
    with pytest.raises(RadlibError, match=r"the bundle cannot be read .*inference\.json"):
        import_bundle(root)
    with pytest.raises(RadlibError, match="is not the network that was given"):
        export_bundle(tmp_path / "x", Segmenter(**{**vars(segmenter), "arguments": {**ARGUMENTS, "channels": [8, 8]}}))


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
