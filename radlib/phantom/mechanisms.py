"""What makes real images hard, each as a mechanism whose strength is a number that can be zero."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from radlib.core.errors import RadlibError


def _of(what: str, source: str) -> Any:
    return dataclasses.field(default=1.0, metadata={"what": what, "source": source})


@dataclass(frozen=True, kw_only=True)
class Mechanisms:
    """The strengths: 0 takes a mechanism away, 1 is as calibrated, at most 3.

    Each mechanism draws from a random stream of its own, so a strength changes its mechanism and nothing else.
    :func:`mechanism_table` tells what each does and where that comes from. "Choice" stands for sizes that no source
    gives and that :mod:`radlib.phantom.realism` set.
    """

    lesions: float = _of(
        "white-matter lesions, more with age: patches and caps and rims of the lateral ventricles",
        "Fazekas 1987, AJR 149:351; Wardlaw 2015, J Am Heart Assoc 4:e001140; amounts a choice",
    )
    bright_cortex: float = _of(
        "insula, cingulate, hippocampus and patches of cortex bright on FLAIR",
        "Georgiades 2001, AJNR 22:1732, on the longer T2 of insula, cingulate and hippocampus; amounts a choice",
    )
    csf_flow: float = _of(
        "fresh spins flow into cisterns and inner ventricles, so FLAIR does not suppress them",
        "Bakshi 2000, AJNR 21:503; Lisanti 2007, AJR 188:716",
    )
    vessels: float = _of(
        "vessels in sulci and beside the falx, enhancing on T1ce, dark on T2", "anatomy; density a choice"
    )
    meninges: float = _of(
        "dura and falx left by skull stripping, enhancing in patches",
        "Smirniotopoulos 2007, RadioGraphics 27:525; amounts a choice",
    )
    plexus: float = _of("choroid plexus, bright on FLAIR and enhancing", "Smirniotopoulos 2007, RadioGraphics 27:525")
    fading: float = _of(
        "margins fade into normal tissue; infiltration inside and outside of the drawn border that FLAIR hardly shows",
        "Silbergeld and Chicoine 1997, J Neurosurg 86:525; Eidel 2017, PLoS One 12:e0169292",
    )
    faintness: float = _of(
        "tumours differ in brightness: oedema down to that of grey matter", "choice, from 110 lower-grade gliomas"
    )
    weak_enhancement: float = _of(
        "uptake differs between tumours, rims are patchy and thin, some of grade 3 and 4 enhance hardly",
        "Scott 2002, Neurology 59:947, on malignant gliomas without enhancement",
    )
    blood: float = _of(
        "methaemoglobin, bright on T1 before contrast, in tumours with necrosis more often",
        "Bradley 1993, Radiology 189:15",
    )
    calcification: float = _of(
        "calcified spots, dark on every sequence, in tumours without necrosis more often",
        "Smits 2016, Br J Radiol 89:20150857; share a choice",
    )
    cysts: float = _of("cysts with proteinaceous fluid, not quite dark on FLAIR", "Smits 2016, Br J Radiol 89:20150857")
    mismatch: float = _of("T2-FLAIR mismatch where the trait has it", "Patel 2017, Clin Cancer Res 23:6078")
    bias: float = _of(
        "bias fields of receive coils, mostly shared by the modalities", "Sled 1998, IEEE Trans Med Imaging 17:87"
    )
    misregistration: float = _of("movement between sequences that registration leaves", "choice, below a voxel")
    site: float = _of(
        "echo, repetition and inversion times, noise, thickness and resolution differ between scans of a site",
        "Bakas 2017, Sci Data 4:170117, on how widely the scans vary; sizes a choice",
    )
    rater: float = _of(
        "labels as a person draws them: smooth, on the whole conservative, a different bias for each subject",
        "Menze 2015, IEEE Trans Med Imaging 34:1993: raters agree with Dice 0.74 to 0.85",
    )

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 3:
                raise RadlibError(f"the strength of mechanism {name!r} is {value!r}", remedy="give 0 (none) to 3")


NAMES: tuple[str, ...] = tuple(field.name for field in dataclasses.fields(Mechanisms))
NONE = Mechanisms(**dict.fromkeys(NAMES, 0.0))
"""No mechanism: anatomy, tumour, slices and noise alone."""


def resolve_mechanisms(strengths: Mapping[str, float] | None = None) -> Mechanisms:
    """The calibrated strengths with some changed; the key ``all`` sets every one that is not named.

    Raises:
        RadlibError: for an unknown mechanism or an impossible strength.
    """
    changes = dict(strengths or {})
    base = changes.pop("all", 1.0)
    if unknown := [name for name in changes if name not in NAMES]:
        raise RadlibError(f"unknown mechanism {unknown[0]!r}", remedy=f"name one of {', '.join(NAMES)}")
    return Mechanisms(**{name: changes.get(name, base) for name in NAMES})


def mechanism_table() -> pd.DataFrame:
    """What each mechanism does and its source, one row each."""
    rows = [dict(field.metadata) for field in dataclasses.fields(Mechanisms)]
    return pd.DataFrame(rows, index=pd.Index(NAMES, name="mechanism"))


def spread(random: Any, sd: float, *, most: float = 2.5) -> float:
    """A lognormal factor of median 1 whose logarithm has ``sd`` and stays within ``most`` of them."""
    return math.exp(sd * float(min(max(random.standard_normal(), -most), most)))
