"""What fake patients show of IDH, apart from any network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from radlib.core.seeds import named_seed
from radlib.data.cohort import MODALITIES
from radlib.data.splits import k_fold
from radlib.papers.ge2020.cases import Case, Record, Translated, assemble
from radlib.papers.ge2020.study import Study


def what_is_shown(
    study: Study, cases: Mapping[str, Case], made: Translated, *, run: int, seed: int, n_folds: int = 5
) -> pd.DataFrame:
    """What real and fake training patients show of IDH to a plain rule, cross-validated by real patient.

    The rule is a logistic regression on mean, standard deviation and maximum of each modality within the tumour, means
    over slices. It asks what the first stage can learn, apart from any network.

    Args:
        study: patients.
        cases: of the partition; ``Prop-A`` has the fake patients, three ways of each real one in turn.
        made: translations of the training patients.
        run: number of the partition, times 10, plus the way (0 to 2), is the ``run`` of a row.
        seed: of the folds.
        n_folds: at most; never more than the smaller class has patients.

    Returns:
        Columns as :func:`~radlib.papers.ge2020.classifier.judge` gives, ``arm`` names the patients shown; empty
        where a class has fewer than two patients.
    """
    fake = cases["Prop-A"].augmented
    ways = len(MODALITIES) - 1
    sets = {"real patients (S1)": cases["Prop-A"].real, "fake patients (S2), all": fake}
    for way in range(ways):
        sets[f"fake patients (S2), {_way(fake[way])}"] = fake[way::ways]
    parts = []
    for name, records in sets.items():
        ids = [record.subject for record in records]
        everyone = list(dict.fromkeys(ids))
        truth = study.mutant.loc[ids].to_numpy(dtype=bool)
        smaller = int(min(study.mutant.loc[everyone].sum(), (~study.mutant.loc[everyone]).sum()))
        if smaller < 2:
            return pd.DataFrame()
        features = _tumour_statistics(assemble(records, study.slices, made), study.slices.masks[study.slices.rows(ids)])
        probability = np.zeros(len(ids))
        folds = k_fold(
            everyone, n_folds=min(n_folds, smaller), stratify=study.mutant.loc[everyone], seed=named_seed(seed, "shown")
        )
        for fold in folds:
            test = np.isin(ids, fold.test)
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            model.fit(features[~test], truth[~test])
            probability[test] = model.predict_proba(features[test])[:, 1]
        place = np.arange(len(ids)) % (len(ids) // len(everyone))
        parts.append(pd.DataFrame({
            "arm": name, "run": 10 * run + place, "subject": ids, "truth": truth, "predicted": probability > 0.5,
            "probability": probability,
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _way(record: Record) -> str:
    pairs = [(k, source) for k, source in enumerate(record.sources) if k < source]
    return " and ".join(f"{MODALITIES[a]} with {MODALITIES[b]}" for a, b in pairs)


def _tumour_statistics(images: Tensor, masks: Tensor) -> np.ndarray:
    """Mean, standard deviation and maximum within the tumour, means over slices: ``(R, 6, 4, S, S)`` to ``(R, 12)``."""
    inside = masks[:, :, None].float()
    size = inside.sum(dim=(3, 4)).clamp(min=1)
    mean = (images * inside).sum(dim=(3, 4)) / size
    spread = (((images - mean[..., None, None]) ** 2 * inside).sum(dim=(3, 4)) / size).sqrt()
    largest = (images * inside).amax(dim=(3, 4))
    return torch.cat([mean, spread, largest], dim=2).mean(dim=1).numpy()
