"""Trained networks on whole volumes: slice by slice, or by a sliding window, with ensembles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from radlib.core.device import pick_device
from radlib.core.errors import RadlibError
from radlib.data.store import ImageStore
from radlib.training.settings import Precision, precision_on

WINDOWS = 4
"""Sliding windows at a time."""

Activation = Literal["softmax", "sigmoid"] | None
Network = nn.Module | Callable[[torch.Tensor], torch.Tensor]


def brain_box(store: ImageStore, subject: str) -> tuple[slice, slice, slice]:
    """Where a subject's brain lies in the grid; sizes are multiples of 8 where the grid allows it."""
    inside = store.subject(subject).brain
    box = []
    for axis in range(3):
        length = inside.shape[axis]
        along = torch.nonzero(inside.movedim(axis, 0).flatten(1).any(dim=1))[:, 0]
        first, last = (int(along[0]), int(along[-1]) + 1) if len(along) else (0, length)
        size = min(length, -(-(last - first) // 8) * 8) if axis < 2 else last - first
        first = min(max(0, (first + last - size) // 2), length - size)
        box.append(slice(first, first + size))
    return box[0], box[1], box[2]


def predict_slices(
    network: Network | Sequence[Network],
    image: torch.Tensor,
    *,
    activation: Activation = "softmax",
    device: str = "auto",
    precision: Precision = "auto",
    batch_size: int = 32,
) -> torch.Tensor:
    """Apply a 2D network to every axial slice.

    Args:
        network: maps ``(B, C, H, W)`` to ``(B, K, H, W)``; of several, the mean of their outputs is taken.
        image: ``(C, X, Y, Z)``.
        activation: applied before averaging.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: of autocast.
        batch_size: slices at a time.

    Returns:
        ``(K, X, Y, Z)`` float32 on the CPU.
    """
    slices = image.movedim(3, 0)

    def one(net: Network, where: torch.device) -> torch.Tensor:
        parts = [_active(net(part.to(where)), activation).cpu() for part in slices.split(batch_size)]
        return torch.cat(parts).movedim(0, 3)

    return _mean(network, one, device=device, precision=precision)


def predict_volume(
    network: Network | Sequence[Network],
    image: torch.Tensor,
    *,
    roi: Sequence[int] | None = None,
    overlap: float = 0.5,
    activation: Activation = "softmax",
    device: str = "auto",
    precision: Precision = "auto",
) -> torch.Tensor:
    """Apply a 3D network to a volume.

    Args:
        network: maps ``(B, C, X, Y, Z)`` to ``(B, K, X, Y, Z)``; of several, the mean of their outputs is taken.
        image: ``(C, X, Y, Z)``.
        roi: size of the sliding window (MONAI's, with Gaussian weights); None takes the volume at once.
        overlap: share of a window that the next one covers again.
        activation: applied before averaging.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: of autocast.

    Returns:
        ``(K, X, Y, Z)`` float32 on the CPU.
    """

    def one(net: Network, where: torch.device) -> torch.Tensor:
        def predict(part: torch.Tensor) -> torch.Tensor:
            return _active(net(part), activation)

        whole = image[None].to(where)
        if roi is None or all(edge >= length for edge, length in zip(roi, image.shape[1:], strict=True)):
            return predict(whole)[0].cpu()
        from monai.inferers import sliding_window_inference

        out = sliding_window_inference(whole, tuple(roi), WINDOWS, predict, overlap=overlap, mode="gaussian")
        assert isinstance(out, torch.Tensor)
        return out[0].cpu()

    return _mean(network, one, device=device, precision=precision)


def _mean(
    network: Network | Sequence[Network],
    one: Callable[[Network, torch.device], torch.Tensor],
    *,
    device: str,
    precision: Precision,
) -> torch.Tensor:
    members: Sequence[Network] = network if isinstance(network, Sequence) else [network]
    if not members:
        raise RadlibError("an ensemble without members was given", remedy="give at least one network")
    where = pick_device(device)
    kind = precision_on(where, precision)
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(kind, torch.float32)
    total: torch.Tensor | None = None
    with torch.no_grad(), torch.autocast(where.type, dtype=dtype, enabled=dtype != torch.float32):
        for member in members:
            with _evaluating(member, where):
                part = one(member, where)
            total = part if total is None else total + part
    assert total is not None
    return total / len(members)


@contextmanager
def _evaluating(network: Network, device: torch.device) -> Iterator[None]:
    if not isinstance(network, nn.Module):
        yield
        return
    was = network.training
    network.to(device).eval()
    try:
        yield
    finally:
        network.train(was)


def _active(logits: torch.Tensor, activation: Activation) -> torch.Tensor:
    out = logits.float()
    if activation == "softmax":
        return out.softmax(dim=1)
    return out.sigmoid() if activation == "sigmoid" else out
