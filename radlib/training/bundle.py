"""Trained segmentation networks as MONAI bundles.

A bundle runs with ``python -m monai.bundle run --config_file configs/inference.json --bundle_root .`` and in MONAI
Label. It brings its own pre- and post-processing, which do what :func:`radlib.data.store.prepare` does, and it finds
the network's class in radlib or in MONAI.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, write_json, write_text
from radlib.training.weights import save_weights

#: Where a network's class may come from: radlib and MONAI are there where a bundle runs.
TRUSTED = ("radlib.nn.", "radlib.papers.", "monai.networks.nets.")

CLASSES = {"0": "background", "1": "necrotic and non-enhancing core", "2": "oedema", "4": "enhancing tumour"}


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """A segmentation network and what is needed to apply it to a subject.

    Attributes:
        network: maps ``(B, C, ...)`` to logits ``(B, 4, ...)`` of the classes 0, 1, 2, 4.
        target: its class, such as ``radlib.papers.islam2020.networks.OctaveFCN``.
        arguments: with which the class is called.
        modalities: the channels.
        spacing: edges of a voxel, mm, at which it was trained.
        roi: sliding window; ``(H, W)`` for a 2D network, which is applied to axial slices.
        trained_on: what it was trained on, in a sentence.
    """

    network: nn.Module
    target: str
    arguments: Mapping[str, Any]
    modalities: tuple[str, ...]
    spacing: tuple[float, float, float]
    roi: tuple[int, ...]
    trained_on: str = ""


def export_bundle(folder: Path | str, segmenter: Segmenter, *, version: str = "0.1.0") -> Path:
    """Write a bundle: configuration, weights (safetensors, and the ``.pt`` that MONAI Label wants), metadata, notes.

    Args:
        folder: the bundle's root; its last name is the bundle's name.
        segmenter: what to export.
        version: of the bundle.

    Returns:
        ``folder``.

    Raises:
        RadlibError: if the class is not one of radlib's or MONAI's, or ``arguments`` do not build the same network.
    """
    root = Path(folder)
    twin = _build(segmenter.target, segmenter.arguments)
    shapes = {name: tuple(tensor.shape) for name, tensor in segmenter.network.state_dict().items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in twin.state_dict().items()}:
        raise RadlibError(
            f"{segmenter.target} called with {dict(segmenter.arguments)} is not the network that was given",
            remedy="give the arguments with which it was built",
        )
    save_weights(root / "models" / "model.safetensors", segmenter.network)
    with atomic_path(root / "models" / "model.pt") as temporary:
        torch.save(segmenter.network.state_dict(), temporary)
    write_json(root / "configs" / "inference.json", _inference(segmenter))
    write_json(root / "configs" / "metadata.json", _metadata(segmenter, version))
    write_text(root / "docs" / "README.md", _notes(root.name, segmenter))
    return root


def _build(target: str, arguments: Mapping[str, Any]) -> nn.Module:
    module, _, name = target.rpartition(".")
    if not target.startswith(TRUSTED):
        raise RadlibError(
            f"the network {target!r} is not one of radlib's or MONAI's",
            remedy=f"only classes under {' and '.join(TRUSTED)} are built",
        )
    try:
        kind = getattr(importlib.import_module(module), name)
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise RadlibError(f"{target!r} is not a network")
        return kind(**arguments)
    except (ImportError, AttributeError, TypeError) as error:
        raise RadlibError(f"the network {target!r} cannot be built ({error})") from error


def _inference(segmenter: Segmenter) -> dict[str, Any]:
    roi: Sequence[int] = segmenter.roi
    flat = len(roi) == 2
    inferer = {
        "_target_": "SliceInferer" if flat else "SlidingWindowInferer",
        "roi_size": list(roi), "sw_batch_size": 8, "overlap": 0.5, "mode": "gaussian",
        **({"spatial_dim": 2} if flat else {}),
    }  # fmt: skip
    return {
        "imports": ["$import glob", "$import os", "$import torch"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "$@bundle_root + '/data'",
        "modalities": list(segmenter.modalities),
        "subjects": "$sorted(path for path in glob.glob(@dataset_dir + '/*') if os.path.isdir(path))",
        # A list of files is stacked into channels.
        "datalist": "$[{'image': [glob.glob(s + '/*' + m + '.nii.gz')[0] for m in @modalities]} for s in @subjects]",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": segmenter.target, **segmenter.arguments},
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
                {"_target_": "Orientationd", "keys": "image", "axcodes": "LPS", "labels": None},
                {"_target_": "Spacingd", "keys": "image", "pixdim": list(segmenter.spacing), "mode": "bilinear"},
                {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
                {"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x.clip(-5, 5)"},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": inferer,
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
                    "nearest_interp": False, "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {
                    "_target_": "MapLabelValued", "keys": "pred", "orig_labels": [0, 1, 2, 3],
                    "target_labels": [0, 1, 2, 4],
                },
                {
                    "_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_postfix": "seg",
                    "output_dtype": "$'uint8'", "separate_folder": False, "resample": False,
                },
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader",
            "network": "@network", "inferer": "@inferer", "postprocessing": "@postprocessing",
        },
        "load": "$@network.load_state_dict(torch.load(@bundle_root + '/models/model.pt', weights_only=True))",
        "run": ["$@load", "$@evaluator.run()"],
    }  # fmt: skip


def _metadata(segmenter: Segmenter, version: str) -> dict[str, Any]:
    import monai
    import numpy as np

    shape = [len(segmenter.modalities), *segmenter.roi]
    channels = {str(place): name for place, name in enumerate(segmenter.modalities)}
    outputs = list(CLASSES.values())
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json",
        "version": version,
        "changelog": {version: "exported from radlib"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {"pytorch-ignite": "0.5", "nibabel": "5.3"},
        "task": "segmentation of glioma in MRI",
        "description": f"{segmenter.target.rpartition('.')[2]}, {segmenter.trained_on}".rstrip(", "),
        "intended_use": "Research and teaching. Not for clinical use.",
        "data_type": "nifti",
        "image_classes": "modalities in the order of the channels, z-scored within the brain",
        "label_classes": CLASSES,
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image", "format": "magnitude", "num_channels": shape[0], "spatial_shape": shape[1:],
                    "dtype": "float32", "value_range": [-5, 5], "is_patch_data": True, "channel_def": channels,
                }
            },
            "outputs": {
                "pred": {
                    "type": "image", "format": "segmentation", "num_channels": len(outputs), "spatial_shape": shape[1:],
                    "dtype": "float32", "value_range": [], "is_patch_data": True,
                    "channel_def": {str(place): name for place, name in enumerate(outputs)},
                }
            },
        },
        "radlib": {
            "modalities": list(segmenter.modalities), "spacing": segmenter.spacing,
            "roi": list(segmenter.roi), "trained_on": segmenter.trained_on,
        },
    }  # fmt: skip


def _notes(name: str, segmenter: Segmenter) -> str:
    return "\n".join([
        f"# {name}",
        "",
        f"`{segmenter.target}`, trained on: {segmenter.trained_on or 'not stated'}. Not for clinical use.",
        "",
        "Input: one folder a subject under `data/`, with skull-stripped, registered images whose names end in "
        f"{', '.join(f'`{modality}.nii.gz`' for modality in segmenter.modalities)}. "
        f"Voxels are brought to {' x '.join(f'{edge:g}' for edge in segmenter.spacing)} mm. Output: labels 0, 1, 2, 4 "
        "as BraTS writes them, on the grid of the input.",
        "",
        "```",
        "pip install radlib[bundle]",
        "python -m monai.bundle run --config_file configs/inference.json --bundle_root . \\",
        "    --dataset_dir DATA --output_dir OUT",
        "```",
        "",
    ])  # fmt: skip
