"""Final weights as safetensors, with a header that says what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_model
from torch import nn

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path

_HEADER = "radlib"


def save_weights(path: Path | str, network: nn.Module, *, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a network's parameters and buffers, atomically.

    Args:
        path: ``....safetensors``.
        network: tied weights are stored once.
        metadata: what a reader needs to build the network and use it (widths, modalities, normalisation, source of
            the training data); any values that JSON can hold.
    """
    # One entry only: safetensors writes several in random order, and equal weights shall be equal bytes.
    header = {_HEADER: json.dumps(dict(metadata or {}), sort_keys=True)}
    with atomic_path(path) as temporary:
        save_model(network, str(temporary), metadata=header)


def read_metadata(path: Path | str) -> dict[str, Any]:
    """The header of a file of weights.

    Raises:
        RadlibError: if there is no such file, or it is truncated or corrupt.
    """
    if not Path(path).is_file():
        raise RadlibError("there are no weights", file=path, remedy="run the chapter that trains them first")
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
        header: dict[str, Any] = json.loads(metadata.get(_HEADER, "{}"))
        return header
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise RadlibError(
            f"the weights cannot be read ({error})", file=path, remedy="copy the file again, or train again"
        ) from error


def load_weights(path: Path | str, network: nn.Module) -> dict[str, Any]:
    """Load weights into a network of the same architecture, in place.

    Returns:
        The header that :func:`save_weights` was given.

    Raises:
        RadlibError: if the file cannot be read, or its tensors do not fit the network; names the first that does not.
    """
    metadata = read_metadata(path)
    own = network.state_dict()
    with safe_open(path, framework="pt") as stream:
        loaded = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a dict
    # Of tied weights one name is stored; load_state_dict fills the others through it.
    tied = {name for name in own if name not in loaded and _is_tied(own, name, loaded)}
    for name in (*own, *loaded):
        if name in tied:
            continue
        here, there = own.get(name), loaded.get(name)
        if here is None or there is None or here.shape != there.shape:
            raise RadlibError(
                f"the weights do not fit the network: {name!r} is {_shape(here)} in the network, "
                f"{_shape(there)} in the file",
                file=path,
                remedy="build the network with the parameters in the file's header, or train again",
            )
    network.load_state_dict(loaded, strict=False)
    return metadata


def _is_tied(own: Mapping[str, torch.Tensor], name: str, loaded: Mapping[str, torch.Tensor]) -> bool:
    return any(other in loaded and own[other].data_ptr() == own[name].data_ptr() for other in own if other != name)


def _shape(tensor: torch.Tensor | None) -> str:
    return "absent" if tensor is None else "x".join(map(str, tensor.shape)) or "a number"
