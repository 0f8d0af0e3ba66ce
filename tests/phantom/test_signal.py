"""Signal equations against values worked out by hand, and against the magnetisation itself."""

from __future__ import annotations

import math

import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.phantom.signal import (
    R1_RELAXIVITY,
    TISSUES,
    Sequence,
    TissueProperties,
    inversion_recovery,
    signal_model,
    spin_echo,
    spoiled_gradient_echo,
    tissue_at_field,
)

WHITE = {"pd": 0.70, "t1": 832.0}
GREY = {"pd": 0.82, "t1": 1331.0}


# Worked out with a calculator from the closed forms, for white (T2 78, T2* 45 ms) and grey matter (T2 105, T2* 42 ms).
@pytest.mark.parametrize(("tissue", "t2", "expected"), [(WHITE, 78.0, 0.266349), (GREY, 105.0, 0.224521)])
def test_spin_echo_of_two_tissues(tissue: dict[str, float], t2: float, expected: float) -> None:
    assert spin_echo(**tissue, t2=t2, tr=500, te=12) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(("tissue", "t2_star", "expected"), [(WHITE, 45.0, 0.060087), (GREY, 42.0, 0.048071)])
def test_gradient_echo_of_two_tissues(tissue: dict[str, float], t2_star: float, expected: float) -> None:
    assert spoiled_gradient_echo(**tissue, t2_star=t2_star, tr=20, te=4, flip=22) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize(("tissue", "t2", "expected"), [(WHITE, 78.0, 0.133505), (GREY, 105.0, 0.175654)])
def test_inversion_recovery_of_two_tissues(tissue: dict[str, float], t2: float, expected: float) -> None:
    assert inversion_recovery(**tissue, t2=t2, tr=9000, te=120, ti=2400) == pytest.approx(expected, abs=2e-6)


def test_gradient_echo_is_the_steady_state_of_repeated_pulses() -> None:
    t1, tr, flip = 832.0, 20.0, math.radians(22)
    mz = 1.0
    for _ in range(2000):  # spoiled: nothing transverse is left before the next pulse
        mz = 1 + (mz * math.cos(flip) - 1) * math.exp(-tr / t1)
    expected = mz * math.sin(flip) * math.exp(-4 / 45)
    assert spoiled_gradient_echo(1.0, t1, 45.0, tr=tr, te=4, flip=22) == pytest.approx(expected, rel=1e-6)


def test_spin_echo_is_the_steady_state_with_its_refocusing_pulse() -> None:
    t1, tr, te = 1331.0, 500.0, 12.0
    mz = 1.0
    for _ in range(200):  # 90 degrees, TE/2, 180 degrees, the rest of TR
        before_180 = 1 - math.exp(-te / 2 / t1)
        mz = 1 + (-before_180 - 1) * math.exp(-(tr - te / 2) / t1)
    assert spin_echo(1.0, t1, 105.0, tr=tr, te=te) == pytest.approx(mz * math.exp(-te / 105), rel=1e-6)


def test_inversion_nulls_a_fluid_at_ln2_of_its_t1() -> None:
    assert inversion_recovery(1.0, 4000.0, 2000.0, tr=1e6, te=100, ti=4000 * math.log(2)) == pytest.approx(0, abs=1e-9)
    assert inversion_recovery(1.0, 4000.0, 2000.0, tr=1e6, te=100, ti=1000) < 0  # the sign is kept


def test_tensors_and_numbers_agree() -> None:
    t1 = torch.tensor([832.0, 1331.0], dtype=torch.float64)
    both = spin_echo(1.0, t1, 90.0, tr=500, te=12)
    assert both.tolist() == pytest.approx([spin_echo(1.0, float(t), 90.0, tr=500, te=12) for t in t1])


def test_contrast_agent_adds_to_the_rates() -> None:
    plain = TissueProperties(pd=1, t1=1500, t2=100, t2_star=50, gadolinium=0.5)
    agent = plain.with_contrast()
    assert 1000 / agent.t1 == pytest.approx(1000 / 1500 + R1_RELAXIVITY * 0.5)
    assert agent.t2 < plain.t2
    assert TissueProperties(pd=1, t1=1500, t2=100, t2_star=50).with_contrast().t1 == pytest.approx(1500)


def test_model_derivatives_are_those_of_the_signal() -> None:
    sequence = Sequence(kind="gre", tr=20, te=4, flip=22, contrast=True)
    model = signal_model(sequence, ("white", "enhancing"), tesla=3.0)
    tissue = TISSUES["enhancing"]
    more = TissueProperties(
        pd=tissue.pd, t1=tissue.t1, t2=tissue.t2, t2_star=tissue.t2_star, gadolinium=tissue.gadolinium * 1.05
    )
    change = sequence.signal(more) - sequence.signal(tissue)
    assert float(model.by_contrast[1]) * 0.05 == pytest.approx(change, rel=0.05)
    assert float(model.signal[1]) == pytest.approx(sequence.signal(tissue))
    assert float(model.by_water[0]) < 0  # more water, longer T1, less signal on T1


@pytest.mark.parametrize("tesla", [1.5, 3.0])
def test_contrasts_that_every_reader_knows(tesla: float) -> None:
    names = ("csf", "grey", "white", "oedema", "enhancing", "necrosis")

    def signals(sequence: Sequence) -> dict[str, float]:
        return dict(zip(names, signal_model(sequence, names, tesla=tesla).signal.abs().tolist(), strict=True))

    t1 = signals(Sequence(kind="se", tr=550, te=12))
    assert t1["white"] > t1["grey"] > t1["necrosis"] > t1["csf"]
    t1ce = signals(Sequence(kind="se", tr=550, te=12, contrast=True))
    assert t1ce["enhancing"] > 1.4 * t1ce["white"] > 1.4 * t1ce["necrosis"]
    t2 = signals(Sequence(kind="se", tr=5000, te=100))
    assert t2["csf"] > t2["oedema"] > t2["grey"] > t2["white"]
    flair = signals(Sequence(kind="ir", tr=9000, te=120, ti=2450))
    assert flair["oedema"] > flair["grey"] > flair["white"] > 2 * flair["csf"]


def test_impossible_sequences_and_fields() -> None:
    with pytest.raises(RadlibError, match="TR 10 ms, TE 20 ms"):
        Sequence(kind="se", tr=10, te=20)
    with pytest.raises(RadlibError, match="inversion time 0"):
        Sequence(kind="ir", tr=9000, te=100)
    with pytest.raises(RadlibError, match=r"7\.0 T"):
        tissue_at_field("white", 7.0)
