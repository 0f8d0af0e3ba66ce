"""How real simulated images are: the same measurements on simulated and on real subjects.

Nothing here needs a tissue map: brain outside the tumour is parted into three classes by its T1 intensity, on simulated
and real subjects alike, so that both meet the same errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr, wasserstein_distance

from radlib.core.errors import MissingDataError
from radlib.core.progress import track
from radlib.data.cohort import MODALITIES, Cohort

#: Classes of voxels whose mean intensities are compared: dark, middle and bright on T1, and the tumour's labels.
PARTS: tuple[str, ...] = ("dark on T1", "middle on T1", "bright on T1", "oedema", "core", "enhancing")
_LABELS = {"oedema": 2, "core": 1, "enhancing": 4}
#: Cycles per mm between which the power spectrum of brain texture is fitted; voxels of 2 mm still reach it.
BAND = (0.03, 0.2)


@dataclass(frozen=True)
class Appearance:
    """What is measured on one subject with all four modalities.

    Attributes:
        means: mean z-score by modality (rows) and part (columns of :data:`PARTS`); NaN where a part is absent.
        quantiles: 199 quantiles of the z-scores over the brain, by modality.
        slopes: exponent of the power spectrum of brain texture, by modality: power falls as frequency to this.
    """

    means: pd.DataFrame
    quantiles: Mapping[str, np.ndarray]
    slopes: pd.Series


def appearance(cohort: Cohort, subject: str) -> Appearance:
    """Measure one subject.

    Intensities are z-scored over the brain (voxels that are not zero). Means of the three T1 classes leave out the
    tumour and the voxels within 3 mm of it.

    Raises:
        MissingDataError: if the subject lacks a modality or the segmentation.
    """
    from scipy.ndimage import distance_transform_edt
    from sklearn.cluster import KMeans

    row = cohort.participants.loc[subject]
    if lacking := [name for name in (*MODALITIES, "seg") if not isinstance(row[name], str)]:
        raise MissingDataError(f"subject {subject!r} has no {', '.join(lacking)}")
    labels = cohort.labels(subject)
    volumes = {name: cohort.volume(subject, name) for name in MODALITIES}
    spacing = volumes["t1"].spacing
    brain = np.logical_and.reduce([volume.data != 0 for volume in volumes.values()])
    away = brain & (distance_transform_edt(labels.data == 0, sampling=spacing) > 3)
    scaled = {name: (v.data - v.data[brain].mean()) / v.data[brain].std() for name, v in volumes.items()}
    t1 = scaled["t1"][away][:, None]
    classes = KMeans(3, init=np.quantile(t1, [0.05, 0.4, 0.8])[:, None], n_init=1, random_state=0).fit_predict(t1)
    means = pd.DataFrame(index=list(MODALITIES), columns=list(PARTS), dtype=float)
    for name, image in scaled.items():
        for place, part in enumerate(PARTS[:3]):
            means.loc[name, part] = image[away][classes == place].mean()
        for part, label in _LABELS.items():
            inside = brain & (labels.data == label)
            means.loc[name, part] = image[inside].mean() if inside.sum() >= 10 else np.nan
    levels = np.linspace(0.005, 0.995, 199)
    return Appearance(
        means=means,
        quantiles={name: np.quantile(image[brain], levels) for name, image in scaled.items()},
        slopes=pd.Series({name: spectrum_slope(image, brain, spacing=spacing) for name, image in scaled.items()}),
    )


def spectrum_slope(image: np.ndarray, brain: np.ndarray, *, spacing: Sequence[float]) -> float:
    """Exponent of the radially averaged power spectrum of axial slices, fitted over :data:`BAND`.

    The five slices with most brain are taken; each is set to the brain's mean outside it and multiplied with a Hann
    window over the brain's box, so that the skull-stripped edge does not rule the spectrum.

    Args:
        image: ``(X, Y, Z)``.
        brain: ``(X, Y, Z)``, True inside.
        spacing: voxel edges in mm.
    """
    area = brain.sum(axis=(0, 1))
    powers, frequencies = [], []
    for z in np.argsort(area)[-5:]:
        inside = brain[:, :, z]
        x, y = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        box = np.s_[x[0] : x[-1] + 1, y[0] : y[-1] + 1]
        values = np.where(inside, image[:, :, z] - image[:, :, z][inside].mean(), 0)[box]
        values = values * np.hanning(values.shape[0])[:, None] * np.hanning(values.shape[1])
        powers.append((np.abs(np.fft.fft2(values)) ** 2).ravel())
        fx, fy = (np.fft.fftfreq(length, d) for length, d in zip(values.shape, spacing[:2], strict=True))
        frequencies.append(np.hypot(fx[:, None], fy[None, :]).ravel())
    power, frequency = np.concatenate(powers), np.concatenate(frequencies)
    edges = np.geomspace(*BAND, 13)
    rings = np.digitize(frequency, edges)
    found = [power[rings == ring] for ring in range(1, len(edges))]
    means = np.array([part.mean() if len(part) else np.nan for part in found])
    centres = np.sqrt(edges[:-1] * edges[1:])
    known = np.isfinite(means) & (means > 0)
    return float(np.polynomial.polynomial.polyfit(np.log(centres[known]), np.log(means[known]), 1)[1])


def appearances(cohort: Cohort, *, limit: int | None = None) -> dict[str, Appearance]:
    """:func:`appearance` of every complete subject (the first ``limit`` of them)."""
    subjects = cohort.complete(*MODALITIES, "seg").ids[:limit]
    return {name: appearance(cohort, name) for name in track(subjects, description="appearance")}


def mean_intensities(found: Mapping[str, Appearance]) -> pd.DataFrame:
    """Median over subjects of the mean z-scores: modalities as rows, parts as columns."""
    return pd.concat([item.means for item in found.values()]).groupby(level=0, sort=False).median()


def compare(simulated: Mapping[str, Appearance], real: Mapping[str, Appearance]) -> pd.DataFrame:
    """Simulated against real subjects, by modality.

    Returns:
        Columns ``order`` (Spearman's correlation of the mean intensities of the parts), ``difference`` (mean absolute
        difference of these means, in standard deviations of the brain), ``distance`` (median Wasserstein distance
        between the histograms of a simulated and a real subject, same unit), ``real distance`` (the same between two
        real subjects; NaN for fewer than two), ``slope`` and ``real slope`` (medians of the spectrum's exponent).
    """
    ours, theirs = mean_intensities(simulated), mean_intensities(real)
    rows = {}
    for name in MODALITIES:
        both = pd.DataFrame({"s": ours.loc[name], "r": theirs.loc[name]}).dropna()
        histograms = [item.quantiles[name] for item in real.values()]
        across = [wasserstein_distance(item.quantiles[name], h) for item in simulated.values() for h in histograms]
        among = [wasserstein_distance(a, b) for a, b in combinations(histograms, 2)]
        rows[name] = {
            "order": float(spearmanr(both["s"], both["r"]).statistic),
            "difference": float((both["s"] - both["r"]).abs().mean()),
            "distance": float(np.median(across)),
            "real distance": float(np.median(among)) if among else np.nan,
            "slope": float(np.median([item.slopes[name] for item in simulated.values()])),
            "real slope": float(np.median([item.slopes[name] for item in real.values()])),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("modality")
