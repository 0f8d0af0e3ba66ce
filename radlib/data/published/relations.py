"""Every relation that lets one recompute a printed number of the five papers from others.

``check(paper)`` gives one :class:`~radlib.data.published.arithmetic.Check` for each; those that fail are listed in the
paper's manifest as contradictions, and a test holds the two together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from radlib.data.published.arithmetic import (
    Check,
    Recompute,
    add,
    class_sizes,
    difference,
    mean,
    product,
    products,
    sample_sd,
    share_of_sums,
)
from radlib.data.published.manifest import published
from radlib.data.published.relations_li2017 import li2017
from radlib.data.published.schema import PAPERS

REGIONS = ("et", "wt", "tc")


@functools.cache
def check(paper: str) -> tuple[Check, ...]:
    """All relations of one paper, recomputed.

    Raises:
        RadlibError: if there is no such paper.
    """
    recompute = Recompute(paper)
    _RELATIONS[paper](recompute)
    return tuple(recompute.checks)


def check_all() -> tuple[Check, ...]:
    """All relations of the five papers."""
    return tuple(item for paper in PAPERS for item in check(paper))


def _islam2020(r: Recompute) -> None:
    folds = [f"table2.fold{number}" for number in range(1, 5)]
    classes = ("short", "medium", "long")
    columns = ["mse", "accuracy", *(f"{m}.{c}" for m in ("sensitivity", "specificity") for c in classes)]
    for column in columns:
        r.derived("mean", f"table2.avg.{column}", [f"{fold}.{column}" for fold in folds], mean)

    # Which class sizes, the same in every fold, give these sensitivities, accuracies and specificities?
    candidates = [class_sizes([r[f"{fold}.sensitivity.{c}"] for fold in folds], most=106) for c in classes]
    fitting = [
        sizes
        for sizes in products(*candidates)
        if 4 * sum(sizes) <= r.integer("text.expression_patients")
        and all(_fold_fits(r, fold, dict(zip(classes, sizes, strict=True))) for fold in folds)
    ]
    patients = {4 * sum(sizes) for sizes in fitting}
    for fold in folds:
        r.claim("fold_counts", f"{fold}.accuracy", f"class sizes {fitting}", holds=bool(fitting))
    key = "text.expression_and_mri_patients"
    r.claim("fold_sizes", key, f"{sorted(patients)} patients", holds=r.integer(key) in patients)

    best = max((r[f"{fold}.accuracy"] for fold in folds), key=lambda entry: entry.value)
    r.same("maximum", "text.best_fold_accuracy", best)
    parts = ["text.radiomic_features_selected", "text.genomic_features_selected"]
    r.derived("sum", "text.fused_features_selected", parts, add)
    for region in REGIONS:
        r.same("same", f"table3.t1c_flair_t2.dice.{region}", r[f"table1.unet.dice.{region}"])
    others = ("unet_scse", "unet", "deeplab_v3", "gcn")
    for region in REGIONS:
        higher = all(r.number(f"table1.ours.dice.{region}") > r.number(f"table1.{o}.dice.{region}") for o in others)
        nearer = all(
            r.number(f"table1.ours.hausdorff.{region}") < r.number(f"table1.{o}.hausdorff.{region}") for o in others
        )
        r.claim("ranking", "text.against_others", f"best in {region}: {higher and nearer}", holds=higher and nearer)
        rising = [r.number(f"table3.{row}.dice.{region}") for row in ("t1c", "t1c_flair", "t1c_flair_t2")]
        r.claim("monotone", "text.more_modalities", rising, holds=rising == sorted(rising))


def _fold_fits(r: Recompute, fold: str, sizes: dict[str, int]) -> bool:
    """Whether sensitivities, specificities and accuracy of one fold fit one confusion matrix with these class sizes."""
    total = sum(sizes.values())
    right = {name: round(r.number(f"{fold}.sensitivity.{name}") / 100 * n) for name, n in sizes.items()}
    accuracy = r[f"{fold}.accuracy"]
    if not accuracy.low <= 100 * sum(right.values()) / total <= accuracy.high:
        return False
    false_positives = 0
    for name, n in sizes.items():
        specificity = r[f"{fold}.specificity.{name}"]
        negatives = total - n
        true = round(specificity.value / 100 * negatives)
        if not specificity.low <= 100 * true / negatives <= specificity.high:
            return False
        false_positives += negatives - true
    return false_positives == total - sum(right.values())


def _ge2020(r: Recompute) -> None:
    test_sizes = {}
    for group, unknown in (("mutation", 0), ("wildtype", 1)):  # one patient without sex and age, by the caption
        a, b = f"table1a.{group}", f"table1b.{group}"
        for parts in (
            ("female", "male"),
            ("age_under_30", "age_30_to_60", "age_60_to_80", "age_80_and_over"),
        ):
            known = [f"{a}.{part}" for part in parts]
            r.derived("sum", f"{a}.patients", known, functools.partial(add, unknown))
        r.derived("scans", f"{a}.scans", [f"{a}.patients"], add)
        r.derived("slices", f"{a}.slices", [f"{a}.scans", "text.slices_per_scan"], product)
        r.derived("sum", f"{b}.training", [f"{b}.training_real", f"{b}.training_gan"], add)
        real = [f"{b}.{part}" for part in ("training_real", "validation", "testing")]
        r.derived("sum", f"{a}.slices", real, add)
        for part in ("training_real", "training_gan", "validation", "testing"):
            patients = r.integer(f"{b}.{part}") / r.integer("text.slices_per_scan")
            r.claim("whole_patients", f"{b}.{part}", patients, holds=patients.is_integer())
        test_sizes[group] = r.integer(f"{b}.testing") // r.integer("text.slices_per_scan")
        r.same("quoted", f"table7.proposed.{group}", r[f"{a}.patients"])
        r.same("quoted", f"table7.liang.{group}", r[f"{a}.patients"])

    training = [f"table1b.{group}.training_real" for group in test_sizes]
    slices = [f"table1a.{group}.slices" for group in test_sizes]
    r.derived("training_share", "text.training_share", [*training, *slices], share_of_sums)
    fake = [f"table1b.{group}.training_gan" for group in test_sizes]
    r.derived("sum", "text.fake_slices_a", fake, add)
    for case in "ab":
        counted = [f"text.fake_patients_{case}", "text.slices_per_scan"]
        r.derived("slices", f"text.fake_slices_{case}", counted, product)
    # Every modality holds the same number of scans, so the mean over modalities is the share of all scans.
    r.derived("removed_share", "text.removed_share", ["text.removed_share_per_modality"], add)
    r.derived("pairs", "text.gan_pairs", ["text.modalities"], lambda n: n * (n - 1) / 2)

    for table, methods in (("table3", ("prop_a", "bas_1")), ("table4", ("prop_b", "bas_2"))):
        for method in methods:
            _ge_runs(r, table, method, positives=test_sizes["mutation"], negatives=test_sizes["wildtype"])
    for key, source in (
        ("table2.prop_a", "table3.mean.prop_a"),
        ("table2.prop_b", "table4.mean.prop_b"),
        ("table5.with_mask", "table3.mean.prop_a"),
    ):
        for measure in ("accuracy", "sensitivity", "specificity"):
            r.same("same", f"{key}.{measure}", r[f"{source}.{measure}"])
    r.same("same", "table7.proposed.accuracy", r["table2.prop_a.accuracy"])
    r.same("same", "text.accuracy", r["table2.prop_a.accuracy"])
    _rates_give_accuracy(r, "table5.without_mask.{}", test_sizes["mutation"], test_sizes["wildtype"])

    for key, more, less in (
        ("text.gain_a.accuracy", "table3.mean.prop_a.accuracy", "table3.mean.bas_1.accuracy"),
        ("text.gain_a.sensitivity", "table3.mean.prop_a.sensitivity", "table3.mean.bas_1.sensitivity"),
        ("text.loss_a.specificity", "table3.mean.bas_1.specificity", "table3.mean.prop_a.specificity"),
        ("text.gain_b.accuracy", "table4.mean.prop_b.accuracy", "table4.mean.bas_2.accuracy"),
        ("text.gain_b.sensitivity", "table4.mean.prop_b.sensitivity", "table4.mean.bas_2.sensitivity"),
        ("text.b_minus_a.accuracy", "table2.prop_b.accuracy", "table2.prop_a.accuracy"),
        ("text.b_minus_a.sensitivity", "table2.prop_b.sensitivity", "table2.prop_a.sensitivity"),
        ("text.mask_gain.accuracy", "table5.with_mask.accuracy", "table5.without_mask.accuracy"),
    ):
        r.derived("difference", key, [more, less], difference)
    deviations = ["table3.mean.prop_a.accuracy", "table3.mean.bas_1.accuracy"]
    r.derived("difference", "text.gain_a.accuracy_sd", [], difference, spreads=deviations)
    layers = len(r["text.autoencoder_filters"].printed.split(","))
    r.claim("length", "text.autoencoder_layers", layers, holds=layers == r.integer("text.autoencoder_layers"))


def _ge_runs(r: Recompute, table: str, method: str, *, positives: int, negatives: int) -> None:
    """The five runs of one method: whole counts, accuracy from the counts, means and standard deviations."""
    runs = [f"{table}.run{number}" for number in range(1, 6)]
    for run in runs:
        right = r.share_of("whole_count", f"{run}.{method}.sensitivity", positives, scale=100)
        right += r.share_of("whole_count", f"{run}.{method}.specificity", negatives, scale=100)
        key, accuracy = f"{run}.{method}.accuracy", 100 * right / (positives + negatives)
        holds = r[key].low - 1e-9 <= accuracy <= r[key].high + 1e-9
        r.claim("accuracy_from_counts", key, f"{right} of {positives + negatives} = {accuracy:.4f}", holds=holds)
    for measure in ("accuracy", "sensitivity", "specificity"):
        key, inputs = f"{table}.mean.{method}.{measure}", [f"{run}.{method}.{measure}" for run in runs]
        r.derived("mean", key, inputs, mean)
        r.derived("sample_sd", key, inputs, sample_sd, spread=True)
    _rates_give_accuracy(r, f"{table}.mean.{method}.{{}}", positives, negatives)


def _rates_give_accuracy(r: Recompute, pattern: str, positives: int, negatives: int) -> None:
    """Mean accuracy from mean sensitivity and specificity; each may lie 0.01 low, being means of cut-off numbers."""
    key = pattern.format("accuracy")
    sensitivity, specificity = r.number(pattern.format("sensitivity")), r.number(pattern.format("specificity"))
    accuracy = (positives * sensitivity + negatives * specificity) / (positives + negatives)
    slack = 0.005 + 0.005 + 0.01  # rounding of the result, of the inputs, and the cut-off digits
    r.claim("accuracy_from_rates", key, f"{accuracy:.4f}", holds=abs(accuracy - r.number(key)) <= slack)


def _zhang2021(r: Recompute) -> None:
    for layer in range(1, 12):
        a, b = f"table1.l{layer}", f"table1.l{layer + 1}"
        convolution = "Conv" in r[f"{a}.type"].printed
        channels = f"{a}.filters" if convolution else f"{a}.input_channels"
        r.derived("layer", f"{b}.input_channels", [channels], add)
        halved = [f"{a}.input_size", f"{a}.stride"] if convolution else [f"{a}.input_size"]
        r.derived("layer", f"{b}.input_size", halved, lambda size, stride=1.0: size / stride)

    rows: dict[str, list[str]] = {}
    for key in r.values:
        _, table, *rest = key.split(".")
        if table in ("table2", "table3", "table4", "table5") and rest[1:] == ["dice", "et"]:
            rows.setdefault(table, []).append(rest[0])
    for table, names in rows.items():
        measures = ("dice", "sensitivity", "hd95") if table in ("table2", "table4") else ("dice", "hd95")
        for name in names:
            for measure in measures:
                cells = [f"{table}.{name}.{measure}.{region}" for region in REGIONS]
                r.derived("average", f"{table}.{name}.{measure}.average", cells, mean)
    for first, second in (("table2", "table3"), ("table4", "table5")):
        for measure in ("dice", "hd95"):
            for part in (*REGIONS, "average"):
                cell = f"ours.{measure}.{part}"
                r.same("same_method", f"{first}.{cell}", r[f"{second}.{cell}"])
    for cell, region in (("dice", "dice"), ("hausdorff", "hd95")):
        for part in REGIONS:
            emma = published(f"islam2020.table1.emma.{cell}.{part}")
            r.same("same_source", f"table3.kamnitsas.{region}.{part}", emma)

    dice = ["table4.ours.dice.average", "table4.s_a_s_b.dice.average"]
    r.derived("difference", "text.dice_gain_2018", dice, lambda a, b: 100 * (a - b))
    for year, table in ((2017, "table3"), (2018, "table5")):
        others = [name for name in rows[table] if name != "ours"]
        for kind in ("ensemble", "single"):
            named = [n for n in others if kind in r[f"{table}.{n}.dice.et"].row]
            key = f"text.{kind}s_compared_{year}"
            r.claim("count_of_rows", key, len(named), holds=len(named) == r.integer(key))
            if year == 2017:
                _zhang_beaten(r, table, kind, named)
    ensembles = [n for n in rows["table3"] if "ensemble" in r[f"table3.{n}.dice.et"].row]
    key = "text.ensembles_listed_2017"
    r.claim("count_of_rows", key, len(ensembles), holds=len(ensembles) == r.integer(key))

    for table in ("table2", "table4"):
        a, b, both = (f"{table}.{name}" for name in ("s_a", "s_b", "s_a_s_b"))
        order = r.number(f"{b}.dice.average") < r.number(f"{both}.dice.average") < r.number(f"{a}.dice.average")
        r.claim("dice_order", "text.fusion_order", f"{table}: {order}", holds=order)
        distances = [r.number(f"{name}.hd95.average") for name in (a, both, b)]
        r.claim("distance_order", "text.fusion_order", distances, holds=distances == sorted(distances))
        ours, own = (r.number(f"{table}.{name}.hd95.average") for name in ("ours", "ours_self"))
        r.claim("distance_order", "text.self_reconstruction", f"{own} against {ours}", holds=own > ours)
        ours, own = (r.number(f"{table}.{name}.dice.average") for name in ("ours", "ours_self"))
        r.claim("dice_order", "text.self_reconstruction", f"{own} against {ours}", holds=own < ours)
    for part, sign in (("sensitivity.average", 1), ("dice.et", 1), ("hd95.et", -1)):
        guided, plain = (r.number(f"table2.{name}.{part}") for name in ("ours", "ours_without_mg"))
        r.claim(
            "mask_guidance",
            "text.mask_guidance",
            f"{part}: {guided} against {plain}",
            holds=sign * guided > sign * plain,
        )


def _zhang_beaten(r: Recompute, table: str, kind: str, names: list[str]) -> None:
    """How many of the named rows the proposed network is above in average Dice and in average Hausdorff95."""
    ours_dice, ours_distance = (r.number(f"{table}.ours.{m}.average") for m in ("dice", "hd95"))
    dice = sum(ours_dice > r.number(f"{table}.{name}.dice.average") for name in names)
    distance = sum(ours_distance < r.number(f"{table}.{name}.hd95.average") for name in names)
    key = f"text.{kind}s_beaten_2017"
    holds = dice == distance == r.integer(key)
    r.claim("count_beaten", key, f"{dice} in Dice, {distance} in Hausdorff95, of {len(names)}", holds=holds)


def _mehra2022(r: Recompute) -> None:
    for group in ("hgg", "lgg"):
        parts = [f"text.{part}_patients.{group}" for part in ("training", "test")]
        r.derived("sum", f"text.patients.{group}", parts, add)
    for total in ("text.patients", "text.training_slices", "text.test_slices"):
        r.derived("sum", total, [f"{total}.hgg", f"{total}.lgg"], add)
    r.derived("sum", "text.slices", ["text.training_slices", "text.test_slices"], add)
    training = [f"text.training_patients.{group}" for group in ("hgg", "lgg")]
    everyone = [f"text.patients.{group}" for group in ("hgg", "lgg")]
    r.derived("training_share", "text.training_share", [*training, *everyone], share_of_sums)
    test = ["text.test_slices.hgg", "text.test_slices"]
    r.derived("share", "text.test_share_hgg", test, lambda k, n: 100 * k / n)

    hgg, lgg = r.integer("text.test_slices.hgg"), r.integer("text.test_slices.lgg")
    for row in ("baseline", "augmented"):
        classes = [f"table3.{row}.hgg", f"table3.{row}.lgg"]
        r.share_of("whole_count", classes[0], hgg)
        r.share_of("whole_count", classes[1], lgg)
        r.share_of("whole_count", f"table3.{row}.total", hgg + lgg)
        key = f"table3.{row}.total"
        r.derived("total_from_classes", key, classes, lambda a, b: (hgg * a + lgg * b) / (hgg + lgg))
    for key, source in (
        ("baseline_accuracy", "baseline.total"),
        ("augmented_accuracy", "augmented.total"),
        ("lgg_accuracy_before", "baseline.lgg"),
        ("lgg_accuracy_after", "augmented.lgg"),
    ):
        r.same("same", f"text.{key}", r[f"table3.{source}"], factor=100)
    for row in ("training", "validation"):
        # Dice is a concave function of IOU: a mean Dice is at most that function of the mean IOU, and at least the IOU.
        iou, dice = r[f"table2.{row}.iou"], r[f"table2.{row}.hard_dice"]
        most = 2 * iou.high / (1 + iou.high)
        r.claim(
            "dice_of_iou",
            f"table2.{row}.hard_dice",
            f"at most {most:.4f}",
            holds=iou.low <= dice.high and dice.low <= most,
        )


_RELATIONS: dict[str, Callable[[Recompute], None]] = {
    "islam2020": _islam2020,
    "ge2020": _ge2020,
    "zhang2021": _zhang2021,
    "li2017": li2017,
    "mehra2022": _mehra2022,
}
