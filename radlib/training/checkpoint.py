"""Nested states of networks and optimisers in one safetensors file: nothing in it can run code when it is read; and
whether a state belongs to a training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path
from radlib.training.players import Networks, Player
from radlib.training.settings import LoopSettings

_TENSOR = "tensor:"


def save_state(path: Path | str, state: dict[str, Any]) -> None:
    """Write a nested state of dicts, lists, tensors, numbers, texts and None, atomically."""
    tensors: dict[str, torch.Tensor] = {}
    plan = _pack(state, "", tensors)
    with atomic_path(path) as temporary:
        # Two names may share memory (tied weights), which safetensors refuses.
        whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        save_file(whole, temporary, metadata={"state": json.dumps(plan)})


def load_state(path: Path | str, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what :func:`save_state` wrote.

    Raises:
        RadlibError: if the file is truncated, corrupt, or of another kind.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as stream:
            metadata = stream.metadata() or {}
            if "state" not in metadata:
                raise RadlibError("the file has weights only, no state of a training", file=path)
            state = _unpack(json.loads(metadata["state"]), stream)
    except (SafetensorError, OSError, json.JSONDecodeError, KeyError) as error:
        raise RadlibError(
            f"the checkpoint cannot be read ({error})", file=path, remedy="delete it; the training starts again"
        ) from error
    assert isinstance(state, dict)
    return state


def identity_of(networks: Networks, players: Sequence[Player], loop: LoopSettings, **more: Any) -> dict[str, str]:
    """What a checkpoint must have in common with the training that it resumes, flat, by readable names."""
    # How often a run is logged, saved or spread over devices does not change its result.
    settings = loop.model_dump(mode="json", exclude={"log_every", "checkpoint_every", "devices", "precision"})
    acting = {
        f"{player.name}.{key}": value
        for player in players
        for key, value in {
            **player.optimizer.model_dump(mode="json"), "every": player.every, "repeats": player.repeats
        }.items()
    }  # fmt: skip
    shapes = {
        f"{name}.{key}": "x".join(map(str, tensor.shape))
        for name, network in networks.items()
        for key, tensor in network.state_dict().items()
    }
    return {key: str(value) for key, value in {**more, **settings, **acting, **shapes}.items()}


def check_identity(file: Path, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise :class:`RadlibError` where the checkpoint in ``file`` belongs to another training, naming a difference."""
    for key in {**here, **there}:
        if here.get(key) != there.get(key):
            raise RadlibError(
                f"the checkpoint belongs to another training: {key} is {there.get(key)} there and {here.get(key)} here",
                file=file,
                remedy="give the training a folder of its own, or delete the checkpoint to start again",
            )


def _pack(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return _TENSOR + name
    if isinstance(value, dict):
        # Optimisers number their parameters with integers, which JSON would turn into text.
        return {"keys": [[key, _pack(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_pack(item, f"{name}/{place}", tensors) for place, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return "text:" + value
    raise RadlibError(f"a {type(value).__name__} at {name!r} cannot be kept in a checkpoint")


def _unpack(plan: Any, stream: Any) -> Any:
    if isinstance(plan, str):
        kind, _, name = plan.partition(":")
        return stream.get_tensor(name) if kind == "tensor" else name
    if isinstance(plan, dict):
        return {key: _unpack(item, stream) for key, item in plan["keys"]}
    if isinstance(plan, list):
        return [_unpack(item, stream) for item in plan]
    return plan
