"""What an acquisition does to an image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.phantom.anatomy import Grid
from radlib.phantom.scanner import (
    PROTOCOLS,
    SHARED_BIAS,
    acquire,
    acquired_shape,
    bias_field,
    load_protocol,
    move,
    rician,
    vary,
)
from radlib.phantom.signal import Sequence
from radlib.phantom.templates import TEMPLATE_NAMES, load_template

THICK = Sequence(kind="se", tr=500, te=12, slice_mm=4.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_rician_noise_has_its_moments() -> None:
    sigma = 2.0
    air = rician(torch.zeros(60, 60, 60), sigma, generator=generator())
    assert float(air.mean()) == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.01)
    assert float((air**2).mean()) == pytest.approx(2 * sigma**2, rel=0.01)
    bright = rician(torch.full((60, 60, 60), 100.0), sigma, generator=generator())
    assert float(bright.std()) == pytest.approx(sigma, rel=0.02)
    assert torch.equal(rician(torch.tensor([-3.0]), 0.0, generator=generator()), torch.tensor([3.0]))


def test_thick_slices_mix_what_they_cover() -> None:
    grid = Grid()
    image = torch.zeros(8, 8, 40)
    image[:, :, 16:20] = 1.0  # exactly the fifth slice of 4 mm
    out = acquire(image, grid=grid, sequence=THICK, sigma=0.0, generator=generator())
    assert acquired_shape(image.shape, grid, THICK) == (8, 8, 10)
    profile = out[4, 4]
    assert float(profile.sum()) == pytest.approx(4.0, abs=1e-4)
    assert 0 < float(profile[14]) < float(profile[15]) < 1  # interpolation spreads it into its neighbours
    assert float(profile[:12].abs().max()) == 0


def test_noise_falls_with_the_acquired_volume() -> None:
    image = torch.full((48, 48, 48), 100.0)
    thin = Sequence(kind="se", tr=500, te=12)
    fine = acquire(image, grid=Grid(), sequence=thin, sigma=2.0, generator=generator())
    assert float(fine.std()) == pytest.approx(2.0, rel=0.02)
    coarse_grid = Grid((96, 96, 96), (2.0, 2.0, 2.0))
    coarse = acquire(image, grid=coarse_grid, sequence=thin, sigma=2.0, generator=generator())
    assert float(coarse.std()) == pytest.approx(2.0 / math.sqrt(8), rel=0.02)


def test_no_movement_is_identity_and_a_shift_is_a_shift() -> None:
    axes = tuple(torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in (12, 14, 16))
    image = torch.rand(12, 14, 16, generator=generator())
    still = move(image, axes, degrees=np.zeros(3), millimetres=np.zeros(3))  # type: ignore[arg-type]
    assert torch.allclose(still, image, atol=1e-5)
    moved = move(image, axes, degrees=np.zeros(3), millimetres=np.array([1.0, 0, 0]))  # type: ignore[arg-type]
    assert torch.allclose(moved[:-1], image[1:], atol=1e-5)
    flipped = tuple(-axis for axis in axes)  # axes may run the other way, as in BraTS
    back = move(image, flipped, degrees=np.zeros(3), millimetres=np.array([1.0, 0, 0]))  # type: ignore[arg-type]
    assert torch.allclose(back[1:], image[:-1], atol=1e-5)


def test_bias_fields_are_smooth_as_strong_as_asked_and_shared() -> None:
    axes = Grid.fitting((48, 48, 36)).axes()
    logs = [
        [bias_field(axes, amount=0.1, shared=rng(i, "bias"), own=rng(i, "own", name)).log() for name in ("t1", "t2")]
        for i in range(40)
    ]
    stacked = torch.stack([torch.stack(pair) for pair in logs])
    assert float(stacked.std()) == pytest.approx(0.1, rel=0.2)
    assert float(stacked.diff(dim=2).abs().max()) < 0.1
    both = [float(np.corrcoef(a.flatten(), b.flatten())[0, 1]) for a, b in logs]
    assert np.mean(both) == pytest.approx(SHARED_BIAS, abs=0.15)


def test_a_protocol_varies_by_the_strength() -> None:
    protocol = load_protocol("tcga")
    assert vary(protocol, 0.0, random=rng(0, "site")) == protocol
    varied = [vary(protocol, 1.0, random=rng(i, "site")) for i in range(20)]
    assert len({item.flair.te for item in varied}) == 20
    assert np.std([np.log(item.noise) for item in varied]) == pytest.approx(0.4, abs=0.15)
    assert all(item.flair.contrast is False and item.t1ce.contrast for item in varied)


def test_protocols() -> None:
    for name, protocol in PROTOCOLS.items():
        assert load_protocol(name) is protocol
        assert protocol.t1ce.contrast
        assert not any(getattr(protocol, name).contrast for name in ("t1", "t2", "flair"))
        assert protocol.sequence("flair").kind == "ir"
    with pytest.raises(RadlibError, match="no scanner protocol is called 'x'"):
        load_protocol("x")


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_every_template_names_known_protocols_and_holds_a_brain(name: str) -> None:
    template = load_template(name)
    for site in template.sites:
        load_protocol(site.protocol)
    Grid(template.grid, template.spacing)
