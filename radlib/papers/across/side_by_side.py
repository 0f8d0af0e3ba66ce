"""Methods of several papers on the same patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from radlib.stats.classification import Predictions, evaluate, tidy
from radlib.stats.paired import compare
from radlib.stats.roc import delong_test
from radlib.stats.segmentation import subject_mean
from radlib.stats.tables import format_interval


def common_subjects(scores: pd.DataFrame, *, role: str, chapters: Sequence[str]) -> list[str]:
    """The patients of a role whom every one of the chapters that have any has scored, sorted."""
    part = scores[(scores["role"] == role) & scores["chapter"].isin(list(chapters))]
    sets = [set(rows["subject"]) for _, rows in part.groupby("chapter")]
    return sorted(set.intersection(*sets)) if sets else []


def one_chapter_a_model(scores: pd.DataFrame) -> pd.DataFrame:
    """Rules that two chapters have under one name, from the first of them only."""
    return scores[scores["chapter"] == scores.groupby("model")["chapter"].transform("first")]


def means(
    scores: pd.DataFrame, *, metrics: Sequence[str], within: str, n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Means over patients with intervals, each patient counting once.

    Args:
        scores: of :func:`radlib.book.scores.read_scores`, of one role.
        metrics: columns to average.
        within: what to keep apart, ``region`` or ``direction``.
        n_boot, seed: of the bootstrap over patients.

    Returns:
        One row a chapter, model, group and metric: ``chapter``, ``model``, ``within``, ``metric``, ``value``, ``low``,
        ``high``, ``n``.
    """
    rows = []
    for (chapter, model, group), part in scores.groupby(["chapter", "model", within], sort=False):
        for metric in metrics:
            found = subject_mean(part, metric, n_boot=n_boot, seed=seed).as_dict()
            rows.append({"chapter": chapter, "model": model, within: group, "metric": metric, **found})
    return pd.DataFrame(rows, columns=["chapter", "model", within, "metric", "value", "low", "high", "n"])


def wide(found: pd.DataFrame, *, across: str, titles: dict[str, str], digits: int = 2) -> pd.DataFrame:
    """:func:`means` to read: a line a chapter and model, a column a region (or direction, or metric)."""
    cells = found.assign(
        cell=[format_interval(v, a, b, digits=digits) for v, a, b in found[["value", "low", "high"]].to_numpy(float)]
    )
    table = cells.pivot_table(
        index=["chapter", "model", "n"], columns=across, values="cell", aggfunc="first", sort=False
    ).reset_index()
    order = [name for name in titles if name in table]
    return table[["model", "n", *order]].rename(columns={"n": "patients", **titles})


def best_model(found: pd.DataFrame, *, metric: str) -> str:
    """The model with the largest mean of a metric over its groups."""
    means_of = found[found["metric"] == metric].groupby("model", sort=False)["value"].mean()
    return str(means_of.idxmax())


def differences(
    scores: pd.DataFrame, *, reference: str, metric: str, within: str, n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Every model minus a reference on the patients of both, with intervals and Wilcoxon's p; ready for a dot plot.

    Returns:
        Columns ``model``, ``metric`` (the group), ``value``, ``low``, ``high``, ``n``, ``p``.
    """
    found = compare(
        scores, metric=metric, reference=reference, within=(within,), pair=("subject",), n_boot=n_boot, seed=seed
    )
    return found.rename(columns={within: "metric"})


def ranking_sentence(gaps: pd.DataFrame, *, best: str, groups: Sequence[str]) -> str:
    """Which models cannot be told from the best in any group (all intervals of :func:`differences` hold 0), which are
    behind it in one, and which ahead."""
    holds = gaps[(gaps["low"] <= 0) & (gaps["high"] >= 0)].groupby("model", sort=False).size()
    equal = [str(model) for model in holds.index[holds == len(groups)]]
    behind, ahead = (gaps[side]["model"].unique() for side in (gaps["high"] < 0, gaps["low"] > 0))
    parts = [f"{best} has the largest mean Dice."]
    parts += [f"Not told apart from it in any region: {', '.join(equal)}."] if equal else []
    parts += [f"{len(behind)} of the {gaps['model'].nunique()} others are behind it in a region."]
    parts += [f"Ahead of it in a region: {', '.join(ahead)}."] if len(ahead) else []
    return " ".join(parts)


def rule_sentence(gaps: pd.DataFrame, *, rule: str) -> str:
    """Which models are behind a rule without a network, and which ahead: :func:`differences` with it as reference.

    Behind or ahead in a group means that the whole interval lies on that side of 0.
    """
    behind = gaps[gaps["high"] < 0]["model"].unique()
    ahead = gaps[gaps["low"] > 0]["model"].unique()
    others = gaps["model"].nunique()
    parts = [f"Against {rule}, for which nothing is trained, {len(behind)} of {others} networks are behind in a region"]
    parts += [f" ({', '.join(behind)})"] if len(behind) else []
    parts += [f" and {len(ahead)} ahead in one", f" ({', '.join(ahead)})" if len(ahead) else "", "."]
    return "".join(parts)


def prediction_rows(models: Mapping[str, Predictions], subjects: Sequence[str]) -> pd.DataFrame:
    """Predictions as rows to keep (:func:`radlib.book.scores.keep_scores`): one a model, run and patient."""
    parts = []
    for model, found in models.items():
        score = found.predicted.astype(float) if found.score is None else found.score
        for run in range(found.runs):
            parts.append(pd.DataFrame({
                "model": model, "subject": list(subjects), "run": run, "truth": found.truth, "score": score[run],
                "predicted": found.predicted[run],
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def predictions(rows: pd.DataFrame) -> Predictions:
    """A model's predictions of patients, each counting once: its mean score, and what most of its runs decided.

    A patient who was tested in several runs has several rows; half of the runs for mutant is mutant.
    """
    by_patient = rows.groupby("subject", sort=True)
    return Predictions.of(
        by_patient["truth"].first().to_numpy(dtype=bool),
        by_patient["predicted"].mean().to_numpy(dtype=float) >= 0.5,
        score=by_patient["score"].mean().to_numpy(dtype=float),
    )


def classifiers(scores: pd.DataFrame, *, n_boot: int = 2000, seed: int = 0) -> pd.DataFrame:
    """AUC and accuracy of every model on its patients: columns ``model``, ``metric``, ``value``, ``low``, ``high``."""
    estimates = {
        str(model): evaluate(predictions(part), n_boot=n_boot, seed=seed)
        for model, part in scores.groupby("model", sort=False)
    }
    return tidy(estimates)


def classifier_tests(scores: pd.DataFrame, *, reference: str) -> pd.DataFrame:
    """Every model's AUC minus the reference's on the same patients, with DeLong's interval and p."""
    rows = []
    second = scores[scores["model"] == reference]
    for model, part in scores.groupby("model", sort=False):
        shared = set(part["subject"]) & set(second["subject"])
        if model == reference or not shared:
            continue
        a, b = (predictions(table[table["subject"].isin(shared)]) for table in (part, second))
        if a.truth.all() or not a.truth.any() or a.score is None or b.score is None:
            continue
        test = delong_test(a.truth, a.score[0], b.score[0])
        gap = format_interval(test.difference, test.low, test.high)
        rows.append({"model": model, "patients": len(shared), "AUC difference": gap, "p (DeLong)": test.p_value})
    return pd.DataFrame(rows, columns=["model", "patients", "AUC difference", "p (DeLong)"])


def best_classifier_sentence(judged: pd.DataFrame) -> str:
    """The largest AUC of :func:`classifiers`, and that of the rule without any image."""
    areas = judged[judged["metric"] == "auc"].dropna(subset="value").set_index("model")
    if areas.empty:
        return "No model of IDH has an AUC on these patients."
    cells = {str(m): format_interval(v, a, b) for m, v, a, b in areas[["value", "low", "high"]].itertuples()}
    best = str(areas["value"].idxmax())
    text = f"The largest AUC for IDH is {cells[best]}, of {best}"
    if "collection rule" not in cells or best == "collection rule":
        return f"{text}."
    return f"{text}; the collection rule has {cells['collection rule']}."
