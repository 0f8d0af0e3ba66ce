"""The training sets S1 to S5 of Ge 2020 (Figure 6): which image of whom comes from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from radlib.core.errors import RadlibError
from radlib.data.cohort import MODALITIES
from radlib.data.splits import Split
from radlib.papers.ge2020.data import SLICES, Patients

ABSENT = -1
"""In place of a source: the patient has no such image."""

_SUBSTITUTES: Mapping[str, tuple[str, ...]] = {
    # T1 and T1e stand in for each other, T2 and FLAIR for each other; where both of a pair are missing, one of the
    # other pair (section II-B1; "FLAIR or T2": the first that is there).
    "t1": ("t1ce", "flair", "t2"), "t1ce": ("t1", "flair", "t2"),
    "t2": ("flair", "t1ce", "t1"), "flair": ("t2", "t1ce", "t1"),
}  # fmt: skip


def directions(channels: int = len(MODALITIES)) -> tuple[tuple[int, int], ...]:
    """From which channel to which: of four modalities six pairs, both ways."""
    return tuple(permutations(range(channels), 2))


def pairs(channels: int = len(MODALITIES)) -> tuple[tuple[int, int], ...]:
    """The pairs of channels, one pairwise GAN each: six of four modalities, three of three."""
    return tuple(pair for pair in directions(channels) if pair[0] < pair[1])


@dataclass(frozen=True)
class Record:
    """A patient as the classifier sees them.

    Attributes:
        subject: the real patient behind it.
        sources: by modality, the channel that its image is made from: the same channel is the real image, another one
            is translated, :data:`ABSENT` is an empty image.
    """

    subject: str
    sources: tuple[int, ...]

    @property
    def fake(self) -> bool:
        """Whether no image of it is real."""
        return all(source not in (channel, ABSENT) for channel, source in enumerate(self.sources))


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a classifier is trained on.

    Attributes:
        augmented: records of the first stage; empty for the baselines.
        real: records of the second stage.
    """

    augmented: tuple[Record, ...]
    real: tuple[Record, ...]


def real_patients(ids: Sequence[str], present: Mapping[str, Sequence[bool]]) -> list[Record]:
    """S1: patients as they are; ``present`` says which modalities each has."""
    return [Record(subject, tuple(k if has else ABSENT for k, has in enumerate(present[subject]))) for subject in ids]


def fake_patients(ids: Sequence[str], channels: int = len(MODALITIES)) -> list[Record]:
    """S2 and S5: three fake patients of each real one with all (four) modalities.

    Four modalities divide into two pairs in three ways (T1 with T1e and T2 with FLAIR, T1 with T2 and T1e with FLAIR,
    T1 with FLAIR and T1e with T2). A fake patient is one of these: both outputs of two pairwise GANs. Each of the six
    GANs is used once a patient, in both directions, and 99 patients make 297.

    Three modalities have no such division. What is kept is that every image is synthetic and that every translation is
    used once: the modalities are exchanged in a circle, in one sense and in the other, which makes two fake patients.
    """
    return [
        Record(subject, tuple(_source(channel, number, channels) for channel in range(channels)))
        for subject in ids
        for number in range(1, channels)
    ]


def _source(channel: int, number: int, channels: int) -> int:
    """What the ``number``-th fake patient's channel is made from."""
    if channels & (channels - 1):  # not a power of two: no division into pairs that uses every translation once
        return (channel + number) % channels
    return channel ^ number  # exclusive or with 1, 2 and 3 exchanges the channels of the two pairs


def substitute(channel: int, present: Sequence[bool], modalities: Sequence[str] = MODALITIES) -> int:
    """The channel that a missing one is made from (section II-B1), of those that are there.

    Raises:
        RadlibError: if the modality is not missing, or no other is there.
    """
    if present[channel]:
        raise RadlibError(f"{modalities[channel]} is not missing", remedy="use the image that is there")
    for name in _SUBSTITUTES[modalities[channel]]:
        if name in modalities and present[modalities.index(name)]:
            return modalities.index(name)
    raise RadlibError("a patient without any modality", remedy="leave such patients out")


def completed(record: Record, modalities: Sequence[str] = MODALITIES) -> Record:
    """S4: a patient whose missing modalities are made from others."""
    present = [source != ABSENT for source in record.sources]
    return Record(
        record.subject,
        tuple(
            substitute(channel, present, modalities) if source == ABSENT else source
            for channel, source in enumerate(record.sources)
        ),
    )


def build_cases(split: Split, patients: Patients, missing: Mapping[str, int]) -> dict[str, Case]:
    """The four training sets of a partition: ``bas_1``, ``prop_a``, ``bas_2`` and ``prop_b``.

    Case A is S1 + S2, case B is S3 + S4 + S5. In case B the completed patients (S3 with S4) take part in both stages:
    neither wholly real nor wholly synthetic, they would otherwise be lost to one.

    Args:
        split: of patients; records come from ``split.train`` alone.
        patients: all of them.
        missing: of :func:`~radlib.papers.ge2020.data.take_scans`.

    Raises:
        RadlibError: if someone outside the training set loses a scan, which would tell that they are in it.
    """
    if outside := sorted(set(missing) - set(split.train)):
        raise RadlibError(f"{outside[0]!r} is no training patient", remedy="take scans from training patients only")
    present = {subject: has for subject, has in patients.available.items() if subject in set(split.train)}
    left = {
        subject: [has and missing.get(subject) != k for k, has in enumerate(flags)]
        for subject, flags in present.items()
    }
    s1, s3 = real_patients(split.train, present), real_patients(split.train, left)
    count = len(patients.modalities)
    s2 = fake_patients([subject for subject in split.train if all(present[subject])], count)
    s5 = fake_patients([subject for subject in split.train if all(left[subject])], count)
    incomplete = [record for record in s3 if ABSENT in record.sources]
    s4 = [completed(record, patients.modalities) for record in incomplete]
    whole = [record for record in s3 if ABSENT not in record.sources]
    return {
        "bas_1": Case(augmented=(), real=tuple(s1)),
        "prop_a": Case(augmented=tuple(s2), real=tuple(s1)),
        "bas_2": Case(augmented=(), real=tuple(s3)),
        "prop_b": Case(augmented=(*s5, *s4), real=(*whole, *s4)),
    }


@dataclass(frozen=True, kw_only=True)
class Translated:
    """Synthetic slices of patients.

    Attributes:
        ids: ``(N,)`` patients.
        images: by direction (from channel, to channel), ``(N, 6, S, S)`` float32 in [0, 1].
    """

    ids: tuple[str, ...]
    images: Mapping[tuple[int, int], Tensor]


def assemble(records: Sequence[Record], patients: Patients, made: Translated | None) -> Tensor:
    """The slices of records, ``(R, 6, K, S, S)``.

    Args:
        records: real and fake patients.
        patients: the real images.
        made: what synthetic images are taken from; None where no record has any.
    """
    out = torch.zeros((len(records), SLICES, len(patients.modalities), patients.size, patients.size))
    place = {} if made is None else {subject: number for number, subject in enumerate(made.ids)}
    rows = patients.rows([record.subject for record in records])
    for number, (record, row) in enumerate(zip(records, rows, strict=True)):
        for channel, source in enumerate(record.sources):
            if source == channel:
                out[number, :, channel] = patients.images[row, :, channel]
            elif source != ABSENT:
                if made is None or record.subject not in place:
                    raise RadlibError(f"nothing was made of {record.subject!r}", remedy="translate their slices")
                out[number, :, channel] = made.images[source, channel][place[record.subject]]
    return out
