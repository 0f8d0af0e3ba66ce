"""Arms of IDH1 prediction in Li 2017: features of some patients, put to the question under every protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from radlib.core.seeds import named_seed
from radlib.data.cohort import Cohort
from radlib.data.store import prepare
from radlib.features.fisher import Mixture
from radlib.papers.li2017.features import Encoding, FeatureSet, encode
from radlib.papers.li2017.prediction import (
    SELECTION,
    Fold,
    Recipe,
    Table,
    leave_one_out,
    number_chosen_inside,
    permutation_table,
    predict,
    repeated_folds,
    run_folds,
)
from radlib.papers.li2017.segmentation import TumourNetwork, network_input
from radlib.phantom.make import make
from radlib.phantom.templates import load_template
from radlib.phantom.templates.schema import MODALITY_ORDER, Scans
from radlib.stats.binary import Question, predictions_of, run_controls
from radlib.stats.classification import Predictions, evaluate
from radlib.stats.protocols import AS_PUBLISHED, CONTROL, LEAKAGE_FREE, LeaveOneOutFolds, out_of_fold

#: Schemes of testing, as tables call them.
LEAVE_ONE_OUT, FOLDS = "leave-one-out", "repeated folds"
#: Under which each arm is run.
PROTOCOLS = (AS_PUBLISHED, LEAKAGE_FREE)

#: (arm, scheme, protocol) to predictions.
Results = dict[tuple[str, str, str], Predictions]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Features of some patients, put to the question.

    Attributes:
        name: as tables call it.
        row: the row of the paper's tables, such as ``table2.b.multiple``; empty without one.
        ids: patients.
        table: features and labels.
    """

    name: str
    row: str
    ids: tuple[str, ...]
    table: Table


def arm(name: str, row: str, values: npt.NDArray[np.float32], truth: pd.Series) -> Arm:
    """An arm from features ``(patients, features)`` and labels in the same order."""
    ids = tuple(str(subject) for subject in truth.index)
    return Arm(name=name, row=row, ids=ids, table=Table(values, truth.to_numpy(dtype=bool)))


def filled(table: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Calculated features with gaps as the feature's median, which knows no labels; a feature without values is 0."""
    finite = table.where(np.isfinite(table))
    return finite.fillna(finite.median()).fillna(0).to_numpy(dtype=np.float64)


def run_arm(one: Arm, recipe: Recipe, *, n_folds: int, n_repeats: int, seed: int) -> Results:
    """An arm under both protocols, by leave-one-out and by repeated folds."""
    folds = leave_one_out(len(one.ids))
    repeats = repeated_folds(one.table.truth, n_folds=n_folds, n_repeats=n_repeats, seed=seed)
    found: Results = {}
    for protocol, selection in SELECTION.items():
        (found[one.name, LEAVE_ONE_OUT, protocol],), _ = predict(one.table, folds, recipe, selection=selection)
        found[one.name, FOLDS, protocol] = run_folds(one.table, repeats, recipe, selection=selection)
    return found


def run_selected(
    one: Arm, recipe: Recipe, numbers: Sequence[int], *, seed: int
) -> tuple[Results, pd.DataFrame, npt.NDArray[np.intp]]:
    """The further selection: the best so many features by F-score, leave-one-out.

    As published, the number is the one with the best result, as one sees it who tries them all. Leakage-free, each
    training set chooses it by inner folds.

    Returns:
        Predictions, the AUC over the number under both protocols (``features, protocol, value, low, high``), and the
        numbers chosen in the folds.
    """
    folds, rows, best = leave_one_out(len(one.ids)), [], {}
    for protocol, selection in SELECTION.items():
        tried, _ = predict(one.table, folds, recipe, selection=selection, numbers=numbers)
        for k, found in zip(numbers, tried, strict=True):
            area = evaluate(found, n_boot=1)["auc"]
            rows.append({"features": k, "protocol": protocol, **area.as_dict()})
        if protocol == AS_PUBLISHED:
            areas = [row["value"] for row in rows]
            best[protocol] = tried[int(np.argmax(areas))]
    name = f"{one.name}, selected"
    inside, chosen = number_chosen_inside(one.table, folds, recipe, numbers, seed=seed)
    results = {(name, LEAVE_ONE_OUT, AS_PUBLISHED): best[AS_PUBLISHED], (name, LEAVE_ONE_OUT, LEAKAGE_FREE): inside}
    return results, pd.DataFrame(rows), chosen


def controls(cohort: Cohort, truth: pd.Series, volume: pd.Series) -> Results:
    """The majority class, age, and age with sex and tumour volume: leave-one-out on the same patients."""
    table = cohort.participants.loc[truth.index]
    numbers = pd.DataFrame(
        {"age": table["age"].astype(float), "male": (table["sex"] == "M").astype(float), "volume": volume[truth.index]},
        index=truth.index,
    )
    asked = Question(name="controls", features=numbers, truth=truth.astype(bool), clinical=table[["age"]])
    found = {(name, LEAVE_ONE_OUT, CONTROL): p for (_, name), p in run_controls(asked, LeaveOneOutFolds()).items()}
    rule = Pipeline(
        [("fill", SimpleImputer(keep_empty_features=True)), ("scale", StandardScaler()), ("fit", LogisticRegression())]
    )
    name = "age, sex, volume"
    run = out_of_fold(numbers, asked.truth, models={name: rule}, splitter=LeaveOneOutFolds(), protocol=CONTROL)
    return found | {(name, LEAVE_ONE_OUT, CONTROL): predictions_of(run, CONTROL, name, order=truth.index)}


def run_time_split(
    one: Arm, train: Sequence[str], test: Sequence[str], recipe: Recipe, numbers: Sequence[int], *, seed: int
) -> Results:
    """Trained on patients diagnosed early, tested on the later ones, with further selection (Table 2c).

    As published the features, and how many, were chosen on all patients, those tested included.
    """
    fold = _fold(one, train, test)
    tried, _ = predict(one.table, leave_one_out(len(one.ids)), recipe, selection="outside", numbers=numbers)
    areas = [evaluate(found, n_boot=1)["auc"].value for found in tried]
    published_recipe = replace(recipe, n_selected=numbers[int(np.argmax(areas))])
    (first,), _ = predict(one.table, [fold], published_recipe, selection="outside")
    second, _ = number_chosen_inside(one.table, [fold], recipe, numbers, seed=seed)
    name = f"{one.name}, by time"
    return {(name, "split", AS_PUBLISHED): first, (name, "split", LEAKAGE_FREE): second}


def splits_at_random(one: Arm, *, n_test: tuple[int, int], recipe: Recipe, draws: int, seed: int) -> pd.DataFrame:
    """AUC and accuracy of other splits of the same size: rows ``split, auc, accuracy`` (leakage-free)."""
    rows = []
    for number in range(draws):
        generator = np.random.default_rng(named_seed(seed, "split", number))
        test = np.concatenate(
            [
                generator.permutation(np.flatnonzero(one.table.truth == status))[:count]
                for status, count in zip((True, False), n_test, strict=True)
            ]
        )
        train = np.setdiff1d(np.arange(len(one.ids)), test)
        (found,), _ = predict(one.table, [(train, np.sort(test))], recipe, selection="inside")
        result = evaluate(found, n_boot=1)
        rows.append({"split": number, "auc": result["auc"].value, "accuracy": result["accuracy"].value})
    return pd.DataFrame(rows, columns=["split", "auc", "accuracy"])


def _fold(one: Arm, train: Sequence[str], test: Sequence[str]) -> Fold:
    place = {subject: row for row, subject in enumerate(one.ids)}
    return np.array([place[s] for s in train], dtype=np.intp), np.array([place[s] for s in test], dtype=np.intp)


# The null cohort


def null_features(
    folder: Path,
    model: TumourNetwork,
    mixture: Mixture,
    *,
    layer: str,
    encoding: Encoding,
    grid: tuple[int, int, int],
    like: Mapping[str, object],
    n: int,
    seed: int,
) -> tuple[FeatureSet, pd.Series]:
    """A simulated hospital in which IDH does nothing to an image: features by the same network and dictionary.

    Args:
        folder: where the cohort is made (again only what lacks).
        model, mixture, layer, encoding: as for the first cohort.
        grid: voxels of its images, coarser than elsewhere to save time; both classes alike.
        like: header of the network's weights, for the grid on which it works.
        n: patients, all of whom have the network's modalities.
        seed: other than that of the cohort it is compared with.
    """
    hospital = load_template("huashan")
    modalities = tuple(name for name in MODALITY_ORDER if name in model.modalities)
    strata = tuple(
        stratum.model_copy(update={"scans": (Scans(modalities=modalities, count=stratum.count),)})
        for stratum in hospital.strata
    )
    everyone = hospital.model_copy(update={"strata": strata})
    cohort = make(everyone, out=folder, n=n, grid=grid, seed=seed, preset="null")
    size, spacing = tuple(int(v) for v in like["grid"]), float(like["spacing"])  # type: ignore[attr-defined, arg-type]
    store = prepare(cohort, modalities=model.modalities, grid=size, spacing=spacing)
    store = network_input(store, model.scaling.kind, patch=model.network.patch)
    sets, _ = encode(model, store, cohort.ids, arms={"null": (layer, mixture)}, encoding=encoding, seed=seed)
    return sets["null"], cohort.participants["idh"] == "mutant"


# Controls


def shuffled(
    arms: Mapping[str, Table],
    recipe: Recipe,
    *,
    permutations: int,
    n_folds: int,
    one_by_one: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """:func:`permutation_table` for several arms, with a column ``features``.

    Args:
        arms: name to features and labels.
        recipe: selection and machine.
        permutations: shuffles by folds.
        n_folds: folds of each.
        one_by_one: shuffles of the first arm by leave-one-out, which takes longer.
        seed: of the shuffles.
    """
    parts = []
    for number, (name, table) in enumerate(arms.items()):
        folds = permutation_table(table, recipe, permutations=permutations, n_folds=n_folds, seed=seed)
        parts.append(folds.assign(features=name))
        if number == 0 and one_by_one:
            found = permutation_table(
                table, recipe, permutations=one_by_one, n_folds=n_folds, scheme="leave-one-out", seed=seed
            )
            parts.append(found.assign(features=name))
    return pd.concat(parts, ignore_index=True)
