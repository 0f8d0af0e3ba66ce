"""Tables of the chapter on the multi-stream classifier: from predictions, and from what the paper prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from radlib.core.titles import METRIC_TITLES, MODALITY_TITLES
from radlib.data.cohort import MODALITIES
from radlib.data.published import published
from radlib.papers.ge2020.data import SLICES, partition
from radlib.papers.ge2020.study_classifier import TITLES, rules
from radlib.stats.classification import mcnemar_exact
from radlib.stats.intervals import Estimate, corrected_resampled_interval, proportion
from radlib.stats.protocols import CONTROL, LEAKAGE_FREE
from radlib.stats.tables import format_interval
from radlib.study.estimates import CLASS_METRICS, class_contrasts, class_estimates, standard_table

THRESHOLDED = CLASS_METRICS[1:]
RULES = (
    "majority", "collection_rule", "age_model", "age_collection", "grade_model", "age_grade", "codel", "traits",
)  # fmt: skip
SHUFFLED = "prop_a_permuted"
NULL = "null_"
"""Before the name of an arm on the cohort without signal."""
PAIRS = (
    ("prop_a", "bas_1"), ("prop_a", "bas_1_updates"), ("prop_a", "bas_1_real"), ("prop_b", "bas_2"),
    ("prop_b", "prop_a"), ("prop_a", "no_mask"), ("prop_a", "densenet"), ("prop_a", "collection_rule"),
    ("bas_1", "collection_rule"), ("no_mask", "majority"), ("prop_a", "age_collection"),
)  # fmt: skip
"""Arms that are compared on the same test patients."""
WITHOUT_COLLECTION = tuple(
    (arm, rule) for rule in ("age_model", "grade_model", "age_grade", "codel") for arm in ("prop_a", "bas_1")
)
"""Those that are compared beside them in patients of one collection."""


def beside_images(arms: Iterable[str]) -> list[str]:
    """The rules without an image that the answer names: by collection and age, or in one collection by all that is
    known."""
    there = set(arms)
    if "collection_rule" in there:
        named: tuple[str, ...] = ("collection_rule", "age_model", "age_collection")
    else:
        named = ("age_model", "grade_model", "age_grade", "codel")
    return [arm for arm in named if arm in there]


def title_of(arm: str) -> str:
    """The title of an arm, also of one on the cohort without signal."""
    title = TITLES[arm.removeprefix(NULL)]
    return f"{title}, without signal" if arm.startswith(NULL) else title


def estimated(predictions: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Every arm's AUC, its metrics by the vote, and (``accuracy_calibrated`` ...) at the threshold of the validation.

    Returns:
        Rows of :func:`~radlib.study.estimates.class_estimates` with the ``protocol`` of each arm.
    """
    calibrated = predictions.assign(predicted=predictions["calibrated"])
    more = class_estimates(calibrated, metrics=THRESHOLDED, n_boot=n_boot, seed=seed)
    found = pd.concat([
        class_estimates(predictions, n_boot=n_boot, seed=seed), more.assign(metric=more["metric"] + "_calibrated")
    ])  # fmt: skip
    protocol = dict.fromkeys((*RULES, SHUFFLED), CONTROL)
    return found.assign(protocol=[protocol.get(arm, LEAKAGE_FREE) for arm in found["arm"]])


def wide(found: pd.DataFrame, metrics: Sequence[str] = CLASS_METRICS) -> pd.DataFrame:
    """Estimates to read: arms down, metrics across."""
    chosen = found[found["metric"].isin(metrics)]
    table = standard_table(chosen, titles={arm: title_of(arm) for arm in set(chosen["arm"])})
    names = {metric: METRIC_TITLES[metric.removesuffix("_calibrated")] for metric in metrics}
    return table.rename(columns={"": "arm", **names})


def paired(predictions: pd.DataFrame, *, n_boot: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Arms in :data:`PAIRS` on the same test patients.

    Returns:
        A table to read: the differences of AUC and accuracy (by the vote) with crossed intervals, and McNemar's exact
        test in which every patient counts once, with the first run that tests them. And all differences, as
        :meth:`radlib.book.report.Report.measured` takes them.
    """
    there = set(predictions["arm"])
    beside = () if "collection_rule" in there else WITHOUT_COLLECTION
    pairs = [pair for pair in (*PAIRS, *beside) if there.issuperset(pair)]
    gains = class_contrasts(predictions, pairs, metrics=CLASS_METRICS, n_boot=n_boot, seed=seed)
    rows = []
    for pair in pairs:
        own = gains[(gains["first"] == pair[0]) & (gains["second"] == pair[1])].set_index("metric")
        limits = own[["value", "low", "high"]].astype(float)
        one, two = (_independent(predictions[predictions["arm"] == arm]) for arm in pair)
        truth = one["truth"].to_numpy(dtype=bool)
        right, other = (part["predicted"].to_numpy(dtype=bool) == truth for part in (one, two))
        rows.append({
            "first": TITLES[pair[0]], "second": TITLES[pair[1]],
            **{f"difference in {METRIC_TITLES[metric]}": format_interval(*limits.loc[metric].round(12))
               for metric in ("auc", "accuracy")},
            "only first right": int((right & ~other).sum()), "only second right": int((other & ~right).sum()),
            "p (McNemar)": mcnemar_exact(truth, one["predicted"], two["predicted"]).p_value, "patients": len(one),
        })  # fmt: skip
    return pd.DataFrame(rows), gains


def _independent(table: pd.DataFrame) -> pd.DataFrame:
    """Every patient's prediction in the first run that tests them, as McNemar's test wants."""
    return table.sort_values(["run", "subject"]).drop_duplicates("subject").sort_values("subject")


def spread(predictions: pd.DataFrame, arm: str) -> float:
    """Standard deviation over runs of an arm's accuracy; NaN for a single run."""
    part = predictions[predictions["arm"] == arm]
    return float((part["predicted"] == part["truth"]).groupby(part["run"]).mean().std(ddof=1))


def run_table(predictions: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Tables 3 and 4 here: each run of two arms with Wilson's interval for its test patients."""
    rows = []
    for run, part in predictions[predictions["arm"].isin(arms)].groupby("run"):
        row: dict[str, object] = {"run": run}
        for metric, members in (("accuracy", None), ("sensitivity", True), ("specificity", False)):
            for arm in arms:
                own = part[part["arm"] == arm]
                found = _right(own if members is None else own[own["truth"] == members])
                row[f"{metric}, {TITLES[arm]}"] = format_interval(found.value, found.low, found.high, digits=2)
        rows.append(row)
    return pd.DataFrame(rows)


def _right(part: pd.DataFrame) -> Estimate:
    return proportion(int((part["truth"] == part["predicted"]).sum()), len(part))


def accuracies(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each run with Wilson's interval, with augmentation and without: printed, and here."""
    rows = []
    for case, table, *arms in (("A", "table3", "prop_a", "bas_1"), ("B", "table4", "prop_b", "bas_2")):
        for arm in arms:
            printed = [published(f"ge2020.{table}.run{run}.{arm}.accuracy") for run in range(1, 6)]
            counts = [(round(entry.value / 100 * (entry.n or 34)), entry.n or 34) for entry in printed]
            own = predictions[predictions["arm"] == arm]
            for where, found in (
                ("printed", [proportion(*count) for count in counts]),
                ("here", [_right(part) for _, part in own.groupby("run")]),
            ):  # fmt: skip
                training = "with fake patients" if arm.startswith("prop") else "real data alone"
                rows += [
                    {"where": where, "row": f"case {case}, run {run}", "training": training, "value": one.value,
                     "low": one.low, "high": one.high}
                    for run, one in enumerate(found, start=1)
                ]  # fmt: skip
    return pd.DataFrame(rows)


def published_gain(table: str, first: str, second: str) -> Estimate:
    """Accuracy of the first arm minus the second over the five runs that the paper prints, points; over runs.

    The interval is that of Nadeau and Bengio, since the runs' training sets overlap.
    """
    gaps = []
    for run in range(1, 6):
        one, two = (published(f"ge2020.{table}.run{run}.{name}.accuracy").value for name in (first, second))
        gaps.append(one - two)
    return corrected_resampled_interval(gaps, n_train=99, n_test=34)


def group_table(
    predictions: pd.DataFrame, collection: pd.Series, arms: Sequence[str], *, n_boot: int, seed: int,
    by: str = "collection",
) -> pd.DataFrame:  # fmt: skip
    """Metrics of arms within each collection (or what ``by`` says), with the numbers of tested and mutant patients."""
    parts = []
    for name in sorted(collection.dropna().unique(), reverse=True):
        part = predictions[(predictions["subject"].map(collection) == name) & predictions["arm"].isin(arms)]
        if part.empty:
            continue
        people = part.drop_duplicates("subject")
        there = [arm for arm in arms if arm in set(part["arm"])]
        table = wide(class_estimates(part, arms=there, n_boot=n_boot, seed=seed))
        table.insert(0, by, f"{name}: {len(people)} patients, {int(people['truth'].sum())} mutant")
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


def vote_table(predictions: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """What the vote does (Figure 4): slices right, patients right by Eq. (6), ties as mutant, mean probability."""
    rows = []
    for arm in arms:
        part = predictions[predictions["arm"] == arm]
        truth, votes = part["truth"].to_numpy(dtype=bool), part["votes"].to_numpy()
        rows.append({
            "arm": TITLES[arm],
            "slices right": float(np.where(truth, votes, SLICES - votes).sum() / (SLICES * len(part))),
            "patients right, Eq. (6)": float((part["predicted"] == truth).mean()),
            "ties as mutant": float(((2 * votes >= SLICES) == truth).mean()),
            "mean probability": float(((part["score"] > 0.5) == truth).mean()),
            "at the threshold of validation": float((part["calibrated"] == truth).mean()),
            "patients with a tie": int((2 * votes == SLICES).sum()), "predictions": len(part),
        })  # fmt: skip
    return pd.DataFrame(rows)


def shown_table(area: pd.DataFrame) -> pd.DataFrame:
    """AUC of the plain rule by what it is shown (:func:`~radlib.papers.ge2020.study_classifier.shown`)."""
    names = {"real": "real patients (S1)", "fake": "fake patients (S2), all"}
    return pd.DataFrame([
        {"training patients": names.get(row["arm"], f"fake patients (S2), {row['arm']}"),
         "AUC": format_interval(row["value"], row["low"], row["high"])}
        for row in area.to_dict("records")
    ])  # fmt: skip


def attention_table(attention: pd.DataFrame) -> pd.DataFrame:
    """The modalities' mean weights on test slices (Eq. 7) by run."""
    there = [name for name in MODALITIES if name in attention]
    return attention.groupby("run")[there].mean().rename(columns=MODALITY_TITLES)


def real_labels(table: pd.DataFrame, *, n_runs: int, n_boot: int, seed: int) -> pd.DataFrame:
    """Rules without images on the paper's own patients, rated by labels as counted and by known status.

    Args:
        table: of the real cohort, with ``idh`` (unknown counted as wild-type) and ``idh_ceccarelli``.
        n_runs, n_boot, seed: of the partitions and the intervals.
    """
    counted, known = table["idh"] == "mutant", table["idh_ceccarelli"]
    found = pd.concat([
        rules(table, counted, partition(list(table.index), counted, run=run, seed=seed), run=run)
        for run in range(1, n_runs + 1)
    ])  # fmt: skip
    parts = {}
    for arm, part in found.groupby("arm", sort=False):
        sure = part[part["subject"].map(known).notna()]
        parts[TITLES[str(arm)], "as counted"] = part
        parts[TITLES[str(arm)], "known status"] = sure.assign(truth=sure["subject"].map(known) == "mutant")
    return _rated(parts, ("rule", "rated by"), THRESHOLDED, n_boot=n_boot, seed=seed)


def _rated(
    parts: Mapping[tuple[str, str], pd.DataFrame], names: tuple[str, str], metrics: Sequence[str], *, n_boot: int,
    seed: int,
) -> pd.DataFrame:  # fmt: skip
    rows = []
    for key, part in parts.items():
        found = class_estimates(part, metrics=metrics, n_boot=n_boot, seed=seed)
        cells = {
            METRIC_TITLES[row["metric"]]: format_interval(row["value"], row["low"], row["high"])
            for row in found.to_dict("records")
        }
        rows.append({**dict(zip(names, key, strict=True)), "patients": part["subject"].nunique(), **cells})
    return pd.DataFrame(rows)


def methods_table(found: pd.DataFrame) -> pd.DataFrame:
    """Table 7: accuracies as printed, and here where the method was run."""
    ours = found[found["metric"] == "accuracy"].set_index("arm")
    rows = []
    for name, method, arm in (
        ("liang", "Liang, 3D DenseNet121", "densenet"), ("proposed", "Ge, Prop-A", "prop_a"), ("yu", "Yu", ""),
        ("zhang", "Zhang", ""), ("chang", "Chang", ""),
    ):  # fmt: skip
        printed = {c: published(f"ge2020.table7.{name}.{c}") for c in ("mutation", "wildtype", "accuracy")}
        here = "other patients" if not arm else "not run in this profile"
        if arm in ours.index:
            here = format_interval(*(100 * ours.loc[arm, ["value", "low", "high"]].astype(float)), digits=1)
        rows.append({
            "method": method, "patients, mutant and wild-type": f"{printed['mutation'].printed} and "
            f"{printed['wildtype'].printed}", "accuracy printed (%)": printed["accuracy"].printed,
            "accuracy here (%)": here,
        })  # fmt: skip
    return pd.DataFrame(rows)
