"""Tables that describe a cohort: made from its participants, and recomputed from what a paper prints.

Ge 2020, Table 1(a), counts patients by IDH1 status, sex and age; Li 2017, Table 1, adds percentages and p-values;
Mehra 2022 gives two counts of grades. Numbers that a paper prints come from :mod:`radlib.data.published`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from radlib.core.errors import RadlibError
from radlib.data.published import PublishedValue, published, published_values

GENOTYPES: Mapping[str, str] = {"mutant": "mutation", "wildtype": "wildtype"}
"""Our labels to the rows of the papers' tables."""

AGE_GROUPS: Mapping[str, tuple[float, float]] = {
    "age_under_30": (0, 30),
    "age_30_to_60": (30, 60),
    "age_60_to_80": (60, 80),
    "age_80_and_over": (80, np.inf),
}
"""The age groups of Ge 2020, years, closed on the left."""

LI2017_COHORTS: Mapping[str, str] = {"all": "All", "first": "First cohort", "second": "Second cohort"}
LI2017_BLOCKS: Mapping[str, tuple[str, ...]] = {
    "sex": ("male", "female"),
    "histology": ("astrocytoma", "oligodendroglioma", "oligoastrocytoma"),
    "diagnosis": ("before_2015", "after_2015"),
}


PAPER_COHORTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("Islam 2020", "BraTS 2017, training", "brats2017", ("islam2020.text.brats2017_training",)),
    ("Islam 2020", "TCGA-GBM with expression and MRI", "tcga-gbm", ("islam2020.text.expression_and_mri_patients",)),
    ("Ge 2020", "TCGA-GBM and TCGA-LGG", "tcga-idh", tuple(f"ge2020.table1a.{g}.patients" for g in GENOTYPES.values())),
    ("Zhang 2021", "BraTS 2017 and 2018, training", "brats2017", ("zhang2021.text.training_subjects",)),
    ("Li 2017", "Huashan Hospital", "huashan", ("li2017.table1.all.samples.total",)),
    ("Mehra 2022", "REMBRANDT", "rembrandt", ("mehra2022.text.patients",)),
)
"""Paper, its cohort, our role for it, and the published counts that add up to its size."""


def cohorts_of_the_papers(sizes: Mapping[str, int], *, absent: Mapping[str, str]) -> pd.DataFrame:
    """What each paper had and what is at hand.

    Args:
        sizes: role to number of subjects at hand.
        absent: role to the reason why there are none.

    Returns:
        One row a cohort of a paper: ``paper, cohort, role, published, at hand, remark``.
    """
    return pd.DataFrame([
        {"paper": paper, "cohort": name, "role": role,
         "published": int(sum(published(key).value for key in keys)),
         "at hand": sizes.get(role, 0), "remark": absent.get(role, "")}
        for paper, name, role, keys in PAPER_COHORTS
    ])  # fmt: skip


# From participants


def by_genotype(participants: pd.DataFrame, *, label: str = "idh") -> pd.DataFrame:
    """Patients, sexes and age groups by IDH status: Ge 2020, Table 1(a), without its scans and slices.

    Args:
        participants: a cohort's table.
        label: the column with ``mutant`` and ``wildtype``; patients without either are left out.

    Returns:
        Rows ``mutation`` and ``wildtype``, columns named as in the paper's manifest, counts. A patient without age
        or sex is counted under ``patients`` only.
    """
    rows = {}
    for status, name in GENOTYPES.items():
        group = participants[participants[label] == status]
        sexes = {word: int((group["sex"] == sex).sum()) for word, sex in (("female", "F"), ("male", "M"))}
        ages = {
            column: int(group["age"].between(low, high, inclusive="left").sum())
            for column, (low, high) in AGE_GROUPS.items()
        }
        rows[name] = {"patients": len(group), **sexes, **ages}
    return pd.DataFrame.from_dict(rows, orient="index")


def beside_published(table: pd.DataFrame, *, prefix: str) -> pd.DataFrame:
    """The cells of a table beside the published ones with the keys ``<prefix>.<row>.<column>``.

    Returns:
        One row a cell: ``key, row, column, published, at hand, equal``.
    """
    cells = []
    for row, column in itertools.product(table.index, table.columns):
        entry, value = published(f"{prefix}.{row}.{column}"), table.loc[row, column]
        cells.append({
            "key": entry.key, "row": entry.row, "column": entry.column, "published": entry.value, "at hand": value,
            "equal": bool(entry.low <= float(str(value)) <= entry.high),
        })  # fmt: skip
    return pd.DataFrame(cells)


def wildtype_contents(participants: pd.DataFrame) -> pd.DataFrame:
    """What stands behind the label wild-type: patients by collection, mutation table and Ceccarelli's IDH status.

    Args:
        participants: the table of the cohort ``tcga-idh``.

    Returns:
        One row a combination that occurs: ``collection``, ``mutation table`` (``not mutated`` or ``absent``),
        ``IDH by Ceccarelli`` (``wildtype``, ``mutant`` or ``unknown``), ``patients``.

    Raises:
        RadlibError: if the table lacks the columns of the TCGA reader.
    """
    needed = ("collection", "idh", "idh1_table", "idh_ceccarelli")
    if lacking := [column for column in needed if column not in participants]:
        raise RadlibError(
            f"the participants have no column {', '.join(lacking)}", remedy="use the real cohort of the role tcga-idh"
        )
    wildtype = participants[participants["idh"] == "wildtype"]
    table = pd.DataFrame({
        "collection": wildtype["collection"], "mutation table": wildtype["idh1_table"].fillna("absent"),
        "IDH by Ceccarelli": wildtype["idh_ceccarelli"].fillna("unknown"),
    })  # fmt: skip
    return table.value_counts().rename("patients").reset_index().sort_values(list(table.columns), ignore_index=True)


def grade_divisions(participants: pd.DataFrame, *, published_hgg: int, published_lgg: int) -> pd.DataFrame:
    """How the patients divide into low and high grade under each reading of those words.

    Args:
        participants: the table of the cohort ``rembrandt``.
        published_hgg, published_lgg: the numbers that a paper has. A subset of the patients can have them only where
            there are at least as many in both groups.

    Returns:
        One row a reading: ``definition, LGG, HGG, all, could hold the published``.
    """
    grade = participants["grade"]
    printed = participants["grade_printed"].notna() if "grade_printed" in participants else grade.notna()
    readings = {
        "LGG grade II, HGG grades III and IV (GBM without a printed grade is IV)": (grade == 2, grade >= 3),
        "LGG grade II, HGG grades III and IV, printed grades only": (printed & (grade == 2), printed & (grade >= 3)),
        "LGG grades II and III, HGG grade IV": (grade.isin([2, 3]), grade == 4),
    }
    if "vasari" in participants and (participants["vasari"] == "yes").any():
        scored = participants["vasari"] == "yes"
        readings["As the first, patients with VASARI scores"] = (scored & (grade == 2), scored & (grade >= 3))
    rows = []
    for definition, (low, high) in readings.items():
        n_low, n_high = int(low.sum()), int(high.sum())
        rows.append({
            "definition": definition, "LGG": n_low, "HGG": n_high, "all": n_low + n_high,
            "could hold the published": n_low >= published_lgg and n_high >= published_hgg,
        })  # fmt: skip
    return pd.DataFrame(rows)


# From printed counts


def contingency_p_values(counts: Sequence[Sequence[float]]) -> dict[str, float]:
    """p-values of the customary tests of independence, by name.

    Args:
        counts: rows (categories) x columns (groups).

    Returns:
        ``chi-squared`` and ``G-test``; for two rows ``chi-squared, Yates`` and ``Fisher`` too.
    """
    tests = {
        "chi-squared": stats.chi2_contingency(counts, correction=False).pvalue,
        "G-test": stats.chi2_contingency(counts, correction=False, lambda_="log-likelihood").pvalue,
    }
    if len(counts) == 2 and len(counts[0]) == 2:
        tests["chi-squared, Yates"] = stats.chi2_contingency(counts, correction=True).pvalue
        tests["Fisher"] = stats.fisher_exact(counts).pvalue
    return {name: float(p) for name, p in tests.items()}


def t_test_p_values(
    means: tuple[float, float], spreads: tuple[float, float], sizes: tuple[int, int]
) -> dict[str, float]:
    """p-values of Student's and Welch's t-test from means, standard deviations and sizes of two groups."""
    printed = [value for group in zip(means, spreads, sizes, strict=True) for value in group]
    return {
        name: float(stats.ttest_ind_from_stats(*printed, equal_var=equal).pvalue)
        for name, equal in (("Student", True), ("Welch", False))
    }


def li2017_p_values() -> pd.DataFrame:
    """Every p-value of Li 2017, Table 1, recomputed from the counts, means and deviations printed beside it.

    Returns:
        One row a p-value: ``key, cohort, characteristic, n, published, first test`` (the chi-squared or Student's
        test), ``p`` (of that test), ``all tests`` (as text), ``explained by`` (the tests that round to the printed
        value; empty if none).
    """
    rows = []
    for cohort, title in LI2017_COHORTS.items():
        sizes = _pair(f"li2017.table1.{cohort}.samples")
        for characteristic in ("sex", "age", "volume", "histology", "diagnosis"):
            key = f"li2017.table1.{cohort}.{characteristic}.p"
            if key not in published_values("li2017"):
                continue
            base = f"li2017.table1.{cohort}"
            if characteristic in LI2017_BLOCKS:
                counts = [[e.value for e in _pair(f"{base}.{row}")] for row in LI2017_BLOCKS[characteristic]]
                tests = contingency_p_values(counts)
            else:
                first, second = _pair(f"{base}.{characteristic}")
                tests = t_test_p_values(
                    (first.value, second.value),
                    (_spread(first), _spread(second)),
                    (int(sizes[0].value), int(sizes[1].value)),
                )
            entry = published(key)
            name = next(iter(tests))
            rows.append({
                "key": key, "cohort": title, "characteristic": characteristic,
                "n": int(sizes[0].value + sizes[1].value), "published": entry.value, "first test": name,
                "p": tests[name], "all tests": ", ".join(f"{test} {p:.3f}" for test, p in tests.items()),
                "explained by": ", ".join(t for t, p in tests.items() if entry.low <= p <= entry.high),
            })  # fmt: skip
    return pd.DataFrame(rows)


def li2017_shares() -> pd.DataFrame:
    """Every percentage of Li 2017, Table 1, recomputed from its count and the size of its column.

    Returns:
        One row a percentage: ``key, cohort, row, column, count, of, published, recomputed, agrees``.
    """
    rows = []
    for key, entry in published_values("li2017").items():
        if not (key.startswith("li2017.table1.") and key.endswith(".share")):
            continue
        cohort, row, column = key.split(".")[2:5]
        count = published(key.removesuffix(".share")).value
        size = published(f"li2017.table1.{cohort}.samples.{column}").value
        share = 100 * count / size
        rows.append({
            "key": key, "cohort": LI2017_COHORTS[cohort], "row": row.replace("_", " "), "column": column,
            "count": int(count), "of": int(size), "published": entry.value, "recomputed": share,
            "agrees": entry.low - 1e-9 <= share <= entry.high + 1e-9,
        })  # fmt: skip
    return pd.DataFrame(rows)


def li2017_pooled() -> pd.DataFrame:
    """Age and volume of all patients, recomputed from those of both groups.

    The mean of all is the mean of the groups weighted by their sizes; the variance of all is
    ``((n1 - 1) s1^2 + (n2 - 1) s2^2 + n1 n2 (m1 - m2)^2 / (n1 + n2)) / (n1 + n2 - 1)``. The printed numbers are
    rounded, so the result is known between two bounds only.

    Returns:
        One row a mean or deviation: ``key, cohort, characteristic, statistic, published, recomputed, low, high,
        agrees``; ``agrees`` where the intervals of both meet.
    """
    rows = []
    for cohort, title in LI2017_COHORTS.items():
        n1, n2 = (entry.value for entry in _pair(f"li2017.table1.{cohort}.samples"))
        for characteristic in ("age", "volume"):
            total = published(f"li2017.table1.{cohort}.{characteristic}.total")
            groups = _pair(f"li2017.table1.{cohort}.{characteristic}")
            means = (groups[0].value, groups[1].value)
            spreads = (_spread(groups[0]), _spread(groups[1]))
            half = total.step / 2
            shifts = list(itertools.product((-half, half), repeat=4))
            for statistic, printed in (("mean", total.value), ("standard deviation", _spread(total))):
                middle = _of_all(n1, n2, means, spreads)[statistic]
                corners = [
                    _of_all(n1, n2, (means[0] + a, means[1] + b), (spreads[0] + c, spreads[1] + d))[statistic]
                    for a, b, c, d in shifts
                ]
                rows.append({
                    "key": total.key, "cohort": title, "characteristic": characteristic, "statistic": statistic,
                    "published": printed, "recomputed": middle, "low": min(corners), "high": max(corners),
                    "agrees": min(corners) <= printed + half and max(corners) >= printed - half,
                })  # fmt: skip
    return pd.DataFrame(rows)


def _of_all(n1: float, n2: float, means: tuple[float, float], spreads: tuple[float, float]) -> dict[str, float]:
    between = n1 * n2 * (means[0] - means[1]) ** 2 / (n1 + n2)
    variance = ((n1 - 1) * spreads[0] ** 2 + (n2 - 1) * spreads[1] ** 2 + between) / (n1 + n2 - 1)
    return {"mean": (n1 * means[0] + n2 * means[1]) / (n1 + n2), "standard deviation": float(np.sqrt(variance))}


def _pair(prefix: str) -> tuple[PublishedValue, PublishedValue]:
    """The published entries of both genotypes."""
    return published(f"{prefix}.mutation"), published(f"{prefix}.wildtype")


def _spread(entry: PublishedValue) -> float:
    if entry.spread is None:
        raise RadlibError(f"{entry.key} has no printed spread", remedy="correct the manifest of the paper")
    return float(entry.spread)
