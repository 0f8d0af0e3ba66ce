"""Relations of Li 2017: the description of its patients, and predictions that must come from whole counts."""

from __future__ import annotations

import math

from scipy import stats

from radlib.data.published.arithmetic import Recompute, add, confusion_metrics, pooled_sd, product

GROUPS = ("mutation", "wildtype")
BLOCKS = {
    "sex": ("male", "female"),
    "histology": ("astrocytoma", "oligodendroglioma", "oligoastrocytoma"),
    "diagnosis": ("before_2015", "after_2015"),
}


def li2017(r: Recompute) -> None:
    """Record every relation of the paper."""
    _patients(r)
    _overlap(r)
    _predictions(r)
    _text(r)


def _patients(r: Recompute) -> None:
    """Table 1: sums, shares, p-values, means and standard deviations of both groups together."""
    for cohort in ("all", "first", "second"):
        sizes = {column: f"table1.{cohort}.samples.{column}" for column in ("total", *GROUPS)}
        n = [r.integer(sizes[group]) for group in GROUPS]
        r.derived("sum", sizes["total"], [sizes[group] for group in GROUPS], add)
        for block, rows in BLOCKS.items():
            if block == "diagnosis" and cohort != "first":
                continue
            for column, size in sizes.items():
                parts = [f"table1.{cohort}.{row}.{column}" for row in rows]
                r.derived("sum", size, parts, add)
                for count in parts:
                    r.derived("share", f"{count}.share", [count, size], lambda k, n: 100 * k / n)
            counted = [[r.number(f"table1.{cohort}.{row}.{group}") for group in GROUPS] for row in rows]
            for row in rows:
                parts = [f"table1.{cohort}.{row}.{group}" for group in GROUPS]
                r.derived("sum", f"table1.{cohort}.{row}.total", parts, add)
            _p_value(r, f"table1.{cohort}.{block}.p", _contingency_tests(counted))
        for measure in ("age", "volume"):
            everyone = f"table1.{cohort}.{measure}.total"
            parts = [f"table1.{cohort}.{measure}.{group}" for group in GROUPS]
            r.derived("weighted_mean", everyone, parts, lambda a, b, n=n: (n[0] * a + n[1] * b) / sum(n))
            r.derived(
                "pooled_sd",
                everyone,
                parts,
                lambda a, b, s, t, n=n: pooled_sd(n, (a, b), (s, t)),
                spread=True,
                spreads=parts,
            )
            _p_value(r, f"table1.{cohort}.{measure}.p", _t_tests(r, parts, n))


def _overlap(r: Recompute) -> None:
    """The two cohorts share as many patients as their sizes exceed the whole."""
    for row in ("samples", *BLOCKS["sex"], *BLOCKS["histology"]):
        for column in ("total", *GROUPS):
            first, second = (r.integer(f"table1.{cohort}.{row}.{column}") for cohort in ("first", "second"))
            both = first + second - r.integer(key := f"table1.all.{row}.{column}")
            r.claim("overlap", key, f"{both} in both cohorts", holds=0 <= both <= min(first, second))


def _predictions(r: Recompute) -> None:
    """Tables 2 and 3."""
    for table, row, cohort in (
        *(("table2", row, "second") for row in ("a.radiomics", "a.dlr")),
        *(("table2", row, "first") for row in ("b.single", "b.multiple", "b.selected")),
        *(("table3", row, "first") for row in ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc7", "fc8")),
    ):
        counts = [r.integer(f"table1.{cohort}.samples.{group}") for group in GROUPS]
        _confusion(r, f"{table}.{row}", positives=counts[0], negatives=counts[1])
    counts = [r.integer(f"table1.first.after_2015.{group}") for group in GROUPS]
    _confusion(r, "table2.c.multiple", positives=counts[0], negatives=counts[1])
    for measure in ("auc", "accuracy", "sensitivity", "specificity", "ppv", "npv", "mcc"):
        r.same("same", f"table3.conv6.{measure}", r[f"table2.b.multiple.{measure}"])


def _text(r: Recompute) -> None:
    """Numbers of the text that repeat a table, and those that follow from the method."""
    for key, source in (
        ("auc_radiomics", "table2.a.radiomics.auc"),
        ("auc_dlr", "table2.a.dlr.auc"),
        ("auc_multiple", "table2.b.selected.auc"),
        ("accuracy_radiomics", "table2.a.radiomics.accuracy"),
    ):
        r.same("same", f"text.{key}", r[source], factor=100)
    for key, source in (
        ("patients", "all.samples.total"),
        ("first_cohort", "first.samples.total"),
        ("second_cohort", "second.samples.total"),
        ("training_by_time", "first.before_2015.total"),
        ("training_by_time.mutation", "first.before_2015.mutation"),
        ("training_by_time.wildtype", "first.before_2015.wildtype"),
        ("test_by_time", "first.after_2015.total"),
        ("test_by_time.mutation", "first.after_2015.mutation"),
        ("test_by_time.wildtype", "first.after_2015.wildtype"),
    ):
        r.same("same", f"text.{key}", r[f"table1.{source}"])
    parts = ["text.segmentation_training", "text.segmentation_test"]
    r.derived("sum", "text.first_cohort", parts, add)
    dimensions = ["text.filters", "text.gaussians", "text.statistics_per_gaussian"]
    r.derived("product", "text.dlr_features", dimensions, product)
    for name, kernel, order in (("first_feature", 36, 1), ("second_feature", 28, 2)):
        number, per_filter = r.integer(f"text.{name}"), 2 * r.integer("text.gaussians")
        position = (number - 1) % per_filter
        found = (position // 2 + 1, position % 2 + 1)  # kernel and order of statistics, both counted from one
        says = f"filter {(number - 1) // per_filter}, kernel {found[0]}, order {found[1]}"
        r.claim("feature_number", f"text.{name}", says, holds=found == (kernel, order))
    depth = [r.number(f"table3.conv{layer}.auc") for layer in range(1, 7)]
    r.claim("monotone_depth", "text.depth_claim", depth, holds=depth == sorted(depth))
    full = max(r.number(f"table3.{layer}.auc") for layer in ("fc7", "fc8"))
    r.claim("ranking", "text.fully_connected_claim", full, holds=full <= depth[-1])


def _confusion(r: Recompute, row: str, *, positives: int, negatives: int) -> None:
    """One row of prediction results: whole counts, what follows from them, and an AUC that so many pairs allow."""
    tp = r.share_of("whole_count", f"{row}.sensitivity", positives)
    tn = r.share_of("whole_count", f"{row}.specificity", negatives)
    metrics = confusion_metrics(tp, tn, positives, negatives)
    for name in ("accuracy", "ppv", "npv", "mcc"):
        key, value = f"{row}.{name}", metrics[name]
        holds = r[key].low - 1e-9 <= value <= r[key].high + 1e-9
        r.claim("confusion", key, f"{value:.6f} with {tp} of {positives}, {tn} of {negatives}", holds=holds)
    r.share_of("auc_of_pairs", f"{row}.auc", 2 * positives * negatives)  # ties count half


def _contingency_tests(counts: list[list[float]]) -> dict[str, float]:
    """p-values of the customary tests of a table of counts (rows x 2)."""
    tests = {
        "chi-squared": stats.chi2_contingency(counts, correction=False).pvalue,
        "G-test": stats.chi2_contingency(counts, correction=False, lambda_="log-likelihood").pvalue,
    }
    if len(counts) == 2:
        tests["Yates"] = stats.chi2_contingency(counts, correction=True).pvalue
        tests["Fisher"] = stats.fisher_exact(counts).pvalue
    return {name: float(p) for name, p in tests.items()}


def _t_tests(r: Recompute, parts: list[str], n: list[int]) -> dict[str, float]:
    """p-values of Student's and Welch's t-test from the printed means and standard deviations."""
    (a, s), (b, t) = ((r.number(part), float(r[part].spread or math.nan)) for part in parts)
    return {
        name: float(stats.ttest_ind_from_stats(a, s, n[0], b, t, n[1], equal_var=equal).pvalue)
        for name, equal in (("Student", True), ("Welch", False))
    }


def _p_value(r: Recompute, key: str, tests: dict[str, float]) -> None:
    """Whether one of the customary tests gives the printed p-value."""
    entry = r[key]
    says = ", ".join(f"{name} {p:.4f}" for name, p in tests.items())
    r.claim("p_value", key, says, holds=any(entry.low <= p <= entry.high for p in tests.values()))
