"""The distributions of the simulated cohort beside published ones: tumour volumes, genes, survival."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from radlib.core.progress import track
from radlib.data.cohort import Cohort
from radlib.phantom.biology import Subjects, sample_subjects
from radlib.phantom.templates import load_template

PARTS = ("ET", "NET", "ED")

BAKAS_QUARTILES: dict[str, dict[str, tuple[float, float, float]]] = {
    "GBM": {"ET": (12.3915, 26.338, 40.5745), "NET": (3.41, 9.287, 22.79775), "ED": (34.29825, 58.9705, 82.45625)},
    "LGG": {"ET": (0.0, 1.036, 3.815), "NET": (10.557, 50.291, 91.349), "ED": (23.249, 38.411, 76.349)},
}
"""Quartiles of the volumes (ml) of enhancing tumour, necrotic and non-enhancing core, and oedema over the expert
segmentations of 102 GBM and 65 LGG: computed from the tables of Bakas et al. 2017 (Scientific Data 4:170117)."""

NO_ENHANCEMENT_SHARE = {"GBM": 0.0, "LGG": 20 / 65}
"""Share of those patients whose segmentation has no enhancing part."""

PUBLISHED_GENES: dict[str, float] = {
    "median |r| of two genes": 0.178,
    "90th percentile of |r|": 0.428,
    "99th percentile of |r|": 0.687,
    "variance of the first component": 0.216,
    "variance of the first 5 components": 0.485,
    "variance of the first 50 components": 0.840,
    "median SD of a gene": 0.817,
}
"""The structure of the published table of 1740 genes x 202 glioblastomas (Verhaak et al. 2010, Cancer Cell 17:98)."""

PUBLISHED_SURVIVAL: dict[tuple[str, str], tuple[float, float, float]] = {
    ("tcga-gbm", "GBM"): (256.0, 422.0, 691.0),
    ("brats2017", "GBM"): (175.0, 362.0, 515.0),
    ("tcga-idh", "LGG"): (1183.0, 2660.0, 4229.0),
}
"""Kaplan-Meier quartiles of survival, days, by template and collection: the 201 patients of Verhaak et al. 2010 with
known survival and all TCGA-LGG patients (both Liu et al. 2018, Cell 173:400), and the 163 of the BraTS 2017 table."""


def part_volumes(subjects: Subjects) -> pd.DataFrame:
    """The volumes (ml) that the traits ask for: ``collection``, ``ET``, ``NET``, ``ED``, ``WT``."""
    traits = pd.DataFrame(
        {key: (t.volume_ml, t.fraction_et, t.fraction_core) for key, t in subjects.traits.items()},
        index=["WT", "ET", "NET"],
    ).T
    parts = traits[["ET", "NET"]].mul(traits["WT"], axis=0)
    table = parts.assign(ED=traits["WT"] - parts.sum(axis=1), WT=traits["WT"]).rename_axis("id")
    table.insert(0, "collection", subjects.participants["collection"])
    return table


def label_volumes(cohort: Cohort) -> pd.DataFrame:
    """The volumes (ml) of the label maps: ``collection``, ``ET``, ``NET``, ``ED``, ``WT``; zero where a part is absent.

    Subjects without a segmentation are left out.
    """
    rows = {}
    for subject in track(cohort.complete("seg").ids, description="label maps"):
        volume = cohort.labels(subject)
        counts = np.bincount(volume.data.ravel(), minlength=5) * float(np.prod(volume.spacing)) / 1000
        rows[subject] = {"ET": counts[4], "NET": counts[1], "ED": counts[2], "WT": counts[[1, 2, 4]].sum()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["ET", "NET", "ED", "WT"]).rename_axis("id")
    table.insert(0, "collection", cohort.participants["collection"])
    return table


def volume_agreement(volumes: pd.DataFrame) -> pd.DataFrame:
    """Simulated quartiles of the tumour parts beside those of Bakas et al. 2017.

    Args:
        volumes: of :func:`part_volumes` or :func:`label_volumes`.

    Returns:
        One row a collection and part: published and simulated quartiles, and ``inside``: whether the simulated
        median lies within the published quartiles.
    """
    rows = []
    for name, published in BAKAS_QUARTILES.items():
        of = volumes[volumes["collection"] == name]
        if of.empty:
            continue
        for part, (low, middle, high) in published.items():
            q25, q50, q75 = of[part].quantile([0.25, 0.5, 0.75])
            rows.append(
                {"collection": name, "part": part, "published_q25": low, "published_median": middle,
                 "published_q75": high, "q25": q25, "median": q50, "q75": q75, "inside": low <= q50 <= high}
            )  # fmt: skip
    return pd.DataFrame(rows)


def gene_structure(expression: pd.DataFrame) -> pd.DataFrame:
    """Correlation, leading components and spread of an expression table beside the published one's."""
    values = expression.to_numpy(dtype=float)
    correlation = np.abs(np.corrcoef(values.T)[np.triu_indices(values.shape[1], k=1)])
    centred = values - values.mean(axis=0)
    shares = np.linalg.svd(centred, compute_uv=False) ** 2
    shares = shares / shares.sum()
    found = [
        *np.quantile(correlation, [0.5, 0.9, 0.99]), shares[0], shares[:5].sum(), shares[:50].sum(),
        np.median(values.std(axis=0, ddof=1)),
    ]  # fmt: skip
    return pd.DataFrame(
        {"published": PUBLISHED_GENES.values(), "simulated": found},
        index=pd.Index(PUBLISHED_GENES, name="quantity"),
    )


def median_survival(subjects: Subjects) -> pd.DataFrame:
    """Kaplan-Meier quartiles of survival (days) and the share of deaths, by collection and IDH status."""
    from sksurv.nonparametric import kaplan_meier_estimator

    table = subjects.participants.dropna(subset=["survival_days"])
    groups: dict[str, pd.DataFrame] = {str(key): part for key, part in table.groupby("collection")}
    groups |= {" ".join(map(str, key)): part for key, part in table.groupby(["collection", "idh"])}
    rows: dict[str, dict[str, Any]] = {}
    for name, part in groups.items():
        days, alive = kaplan_meier_estimator(part["event"].to_numpy() > 0, part["survival_days"].to_numpy())
        quartiles = [days[np.argmax(alive <= q)] if alive.min() <= q else np.nan for q in (0.75, 0.5, 0.25)]
        rows[name] = {"n": len(part), "deaths": float(part["event"].mean())} | dict(
            zip(("q25", "median", "q75"), quartiles, strict=True)
        )
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")


def survival_agreement(*, n: int, seed: int) -> pd.DataFrame:
    """Kaplan-Meier quartiles of :data:`PUBLISHED_SURVIVAL` beside those of ``n`` subjects of each template.

    A quartile that follow-up does not reach is NaN.
    """
    rows = []
    for (role, collection), published in PUBLISHED_SURVIVAL.items():
        found = median_survival(sample_subjects(load_template(role), n=n, seed=seed)).loc[collection]
        row: dict[str, Any] = {"template": role, "collection": collection}
        for name, value in zip(("q25", "median", "q75"), published, strict=True):
            row |= {f"published_{name}": value, name: found[name]}
        rows.append(row)
    return pd.DataFrame(rows)
