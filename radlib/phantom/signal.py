"""MR signal of tissues: signal equations, relaxation times, contrast agent.

All functions take and return floats, NumPy arrays or tensors alike (they only use ``exp`` of what they are given) and
give the magnitude of the transverse magnetisation relative to ``pd = 1``. Times are in ms.

Equations: Bernstein, King and Zhou 2004, "Handbook of MRI Pulse Sequences", chapters 14 (spoiled gradient echo, spin
echo) and 6 (inversion recovery).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from radlib.core.errors import RadlibError

Number = TypeVar("Number", float, np.ndarray, torch.Tensor)
Kind = Literal["gre", "se", "ir"]

R1_RELAXIVITY = 4.3
"""1 / (mM s), a gadolinium chelate in plasma at 1.5 T (Rohrer et al. 2005, Invest Radiol 40:715, Magnevist 4.1, others
4 to 5)."""

R2_RELAXIVITY = 5.2
"""1 / (mM s), as above (Magnevist 4.6, others 5 to 6)."""


@dataclass(frozen=True, kw_only=True)
class TissueProperties:
    """What the signal depends on.

    Attributes:
        pd: proton density relative to CSF.
        t1: ms.
        t2: ms.
        t2_star: ms.
        gadolinium: mM of contrast agent minutes after the injection.
    """

    pd: float
    t1: float
    t2: float
    t2_star: float
    gadolinium: float = 0.0

    def with_contrast(self) -> TissueProperties:
        """The tissue after the injection: rates grow in proportion to concentration."""
        r1 = 1000 / self.t1 + R1_RELAXIVITY * self.gadolinium
        r2 = R2_RELAXIVITY * self.gadolinium
        return replace(
            self,
            t1=1000 / r1,
            t2=1000 / (1000 / self.t2 + r2),
            t2_star=1000 / (1000 / self.t2_star + r2),
        )


TISSUES: dict[str, TissueProperties] = {
    # 3 T. T1, T2, T2* of grey and white matter: Wansapura et al. 1999, J Magn Reson Imaging 9:531 (1331 and 832 ms,
    # 110 and 80 ms, 42 and 45 ms). Proton density: Tofts 2003, "Quantitative MRI of the Brain", chapter 4. CSF: long
    # relaxation times, Spijkerman et al. 2018, MAGMA 31:415 (T2 about 2 s).
    "csf": TissueProperties(pd=1.0, t1=4160.0, t2=1900.0, t2_star=1000.0),
    "grey": TissueProperties(pd=0.82, t1=1331.0, t2=105.0, t2_star=42.0, gadolinium=0.02),
    "white": TissueProperties(pd=0.70, t1=832.0, t2=78.0, t2_star=45.0, gadolinium=0.01),
    # Blood: Stanisz et al. 2005, Magn Reson Med 54:507 (1932 and 275 ms, oxygenated); T2 is set low because flow voids
    # the signal of a spin echo.
    "vessel": TissueProperties(pd=0.8, t1=1932.0, t2=60.0, t2_star=40.0, gadolinium=1.1),
    # Dura and what partial volume with bone leaves at the edge of a skull-stripped brain: little signal everywhere.
    "dura": TissueProperties(pd=0.35, t1=1000.0, t2=35.0, t2_star=15.0, gadolinium=0.10),
    # Tumour and oedema: choices, within the ranges of relaxometry of gliomas (Just and Thelen 1988, Radiology 169:779;
    # Blystad et al. 2017, PLoS One 12:e0177135). Their water content is between that of grey matter and of CSF.
    "oedema": TissueProperties(pd=0.90, t1=1480.0, t2=190.0, t2_star=110.0, gadolinium=0.01),
    "solid": TissueProperties(pd=0.89, t1=1580.0, t2=195.0, t2_star=100.0, gadolinium=0.03),
    "enhancing": TissueProperties(pd=0.86, t1=1500.0, t2=135.0, t2_star=80.0, gadolinium=0.32),
    "necrosis": TissueProperties(pd=0.94, t1=2050.0, t2=260.0, t2_star=150.0, gadolinium=0.03),
    # The T2-FLAIR mismatch: microcysts, near water (Patel et al. 2017, Clin Cancer Res 23:6078 describe the sign).
    "microcystic": TissueProperties(pd=0.95, t1=2700.0, t2=330.0, t2_star=200.0),
    # What misleads (radlib.phantom.mechanisms), choices between the tissues above. Lesions of white matter hold water.
    "lesion": TissueProperties(pd=0.86, t1=1400.0, t2=145.0, t2_star=90.0, gadolinium=0.01),
    # Insula and limbic cortex have a longer T2 than other cortex (Georgiades et al. 2001, AJNR 22:1732).
    "bright grey": TissueProperties(pd=0.86, t1=1380.0, t2=138.0, t2_star=55.0, gadolinium=0.02),
    # CSF that flowed in after the inversion is not suppressed, as if its T1 were shorter; flow voids a long echo.
    "flow": TissueProperties(pd=1.0, t1=2350.0, t2=420.0, t2_star=200.0),
    "plexus": TissueProperties(pd=0.88, t1=1700.0, t2=160.0, t2_star=70.0, gadolinium=0.40),
    "meninges": TissueProperties(pd=0.60, t1=1100.0, t2=60.0, t2_star=30.0, gadolinium=0.45),
    # Methaemoglobin in the weeks after a bleed; calcium has few mobile protons; a cyst holds protein.
    "blood": TissueProperties(pd=0.85, t1=480.0, t2=70.0, t2_star=30.0),
    "calcium": TissueProperties(pd=0.30, t1=900.0, t2=35.0, t2_star=8.0),
    "cyst": TissueProperties(pd=0.98, t1=2900.0, t2=750.0, t2_star=400.0),
}
"""Relaxation times of every tissue of the simulation, at 3 T."""

FIELD_T1 = {1.5: 0.78, 3.0: 1.0}
"""T1 of brain tissue (not of fluids) relative to 3 T: white matter 640 ms and grey matter 1100 ms at 1.5 T are within
what Rooney et al. 2007, Magn Reson Med 57:308 report for the dependence on field."""

FLUIDS = frozenset({"csf"})


def spoiled_gradient_echo(pd: Any, t1: Any, t2_star: Any, *, tr: float, te: float, flip: float) -> Any:
    """pd sin(a) (1 - E1) / (1 - cos(a) E1) exp(-TE / T2*), with E1 = exp(-TR / T1); ``flip`` in degrees."""
    angle = math.radians(flip)
    e1 = _exp(-tr / t1)
    return pd * math.sin(angle) * (1 - e1) / (1 - math.cos(angle) * e1) * _exp(-te / t2_star)


def spin_echo(pd: Any, t1: Any, t2: Any, *, tr: float, te: float) -> Any:
    """pd (1 - 2 exp(-(TR - TE/2) / T1) + exp(-TR / T1)) exp(-TE / T2)."""
    return pd * (1 - 2 * _exp(-(tr - te / 2) / t1) + _exp(-tr / t1)) * _exp(-te / t2)


def inversion_recovery(pd: Any, t1: Any, t2: Any, *, tr: float, te: float, ti: float) -> Any:
    """Spin echo after an inversion, with its sign.

    pd (1 - 2 exp(-TI / T1) + 2 exp(-(TR - TE/2) / T1) - exp(-TR / T1)) exp(-TE / T2). The sign is kept so that tissues
    in one voxel can cancel; the scanner takes the magnitude.
    """
    recovery = 1 - 2 * _exp(-ti / t1) + 2 * _exp(-(tr - te / 2) / t1) - _exp(-tr / t1)
    return pd * recovery * _exp(-te / t2)


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """One pulse sequence.

    Attributes:
        kind: ``gre`` spoiled gradient echo, ``se`` spin echo, ``ir`` inversion-recovery spin echo.
        tr, te, ti: ms; ``ti`` for ``ir`` only.
        flip: degrees, for ``gre`` only.
        contrast: after gadolinium.
        in_plane: mm between acquired points of an axial slice.
        slice_mm: mm between slices (their thickness).
    """

    kind: Kind
    tr: float
    te: float
    ti: float = 0.0
    flip: float = 90.0
    contrast: bool = False
    in_plane: float = 1.0
    slice_mm: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.te < self.tr) or self.in_plane <= 0 or self.slice_mm <= 0:
            raise RadlibError(
                f"sequence with TR {self.tr} ms, TE {self.te} ms, {self.in_plane} x {self.slice_mm} mm is impossible",
                remedy="give 0 < TE < TR and positive millimetres",
            )
        if self.kind == "ir" and not 0 < self.ti < self.tr:
            raise RadlibError(f"inversion time {self.ti} ms is not between 0 and TR {self.tr} ms")

    def signal(self, tissue: TissueProperties) -> float:
        """Signal of a pure voxel of the tissue, negative where an inversion has not recovered."""
        if self.contrast:
            tissue = tissue.with_contrast()
        if self.kind == "gre":
            value = spoiled_gradient_echo(tissue.pd, tissue.t1, tissue.t2_star, tr=self.tr, te=self.te, flip=self.flip)
        elif self.kind == "se":
            value = spin_echo(tissue.pd, tissue.t1, tissue.t2, tr=self.tr, te=self.te)
        else:
            value = inversion_recovery(tissue.pd, tissue.t1, tissue.t2, tr=self.tr, te=self.te, ti=self.ti)
        return float(value)


def tissue_at_field(name: str, tesla: float) -> TissueProperties:
    """Relaxation times of a tissue at 1.5 or 3 T.

    Raises:
        RadlibError: for another field strength.
    """
    if tesla not in FIELD_T1:
        raise RadlibError(f"no relaxation times at {tesla} T", remedy=f"use one of {sorted(FIELD_T1)} T")
    tissue = TISSUES[name]
    return tissue if name in FLUIDS else replace(tissue, t1=tissue.t1 * FIELD_T1[tesla])


@dataclass(frozen=True)
class SignalModel:
    """Signals of a list of tissues under one sequence, and how they answer to small changes of the tissue.

    Attributes:
        signal: ``(K,)``, of a pure voxel of each tissue.
        by_water: ``(K,)``, change of the signal for a relative rise of T1 and T2 by 1 (first order): more free water.
        by_contrast: ``(K,)``, change for a relative rise of the gadolinium concentration by 1.
    """

    signal: torch.Tensor
    by_water: torch.Tensor
    by_contrast: torch.Tensor


def signal_model(sequence: Sequence, names: tuple[str, ...], *, tesla: float) -> SignalModel:
    """Evaluate a sequence for tissues; derivatives by central differences of 1 %."""
    tissues = [tissue_at_field(name, tesla) for name in names]
    h = 0.01

    def watered(tissue: TissueProperties, factor: float) -> TissueProperties:
        return replace(tissue, t1=tissue.t1 * factor, t2=tissue.t2 * factor, t2_star=tissue.t2_star * factor)

    water = [(sequence.signal(watered(t, 1 + h)) - sequence.signal(watered(t, 1 - h))) / (2 * h) for t in tissues]
    contrast = [
        (
            sequence.signal(replace(t, gadolinium=t.gadolinium * (1 + h)))
            - sequence.signal(replace(t, gadolinium=t.gadolinium * (1 - h)))
        )
        / (2 * h)
        for t in tissues
    ]
    return SignalModel(torch.tensor([sequence.signal(t) for t in tissues]), torch.tensor(water), torch.tensor(contrast))


def _exp(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return torch.exp(value)
    return np.exp(value)
