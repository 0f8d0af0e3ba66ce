"""How hard and how real are simulated subjects? What two thresholds and small U-Nets reach on them and on real ones.

    RADLIB_DATA=DIR python benchmarks/phantom_transfer.py --work runs/transfer --note "what changed"

A network that has seen simulated subjects only and one trained on the 110 lower-grade gliomas (by folds) are tested on
held-out simulated and on real subjects (:mod:`radlib.phantom.realism`). The whole table goes to
`published/phantom_calibration.json`; the attempt is added to `published/phantom_transfer.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from radlib.book.provenance import describe
from radlib.core.files import write_json
from radlib.core.paths import data_root, project_root
from radlib.core.seeds import rng
from radlib.data.cohort import Cohort
from radlib.data.readers.brats import read_brats
from radlib.phantom import realism as c
from radlib.phantom.make import GENERATOR, make

Sets = dict[str, dict[str, c.Slices]]


def simulated_sets(work: Path, low: int, high: int, seed: int, mechanisms: dict[str, float]) -> tuple[Sets, Sets]:
    """Simulated subjects to train on and held out, a third of each kind."""
    train: Sets = {}
    held: Sets = {}
    for role, n in (("huashan", low), ("brats2017", high)):
        cohort: Cohort = make(role, out=work / f"{role}-{n}-{seed}", n=n, grid=(96, 96, 64), seed=seed,
                              mechanisms=mechanisms)  # fmt: skip
        found = c.cohort_slices(cohort)
        for group, members in cohort.participants.loc[list(found)].groupby("grade_group"):
            ids = list(members.index)
            name = "simulated, " + ("high grade" if group == "HGG" else f"low grade, {role}")
            count = max(1, len(ids) // 3)
            held[name], train[name] = ({i: found[i] for i in part} for part in (ids[:count], ids[count:]))
    return train, held


def row(test: str, method: str, wt: pd.Series, et: pd.Series, gain: dict[str, Any] | None = None) -> dict[str, Any]:
    """A line of the table: mean Dice, and the paired gain in whole-tumour Dice over the rule."""
    return {"test": test, "method": method, "n": len(wt), "wt": float(wt.mean()), "wt_median": float(wt.median()),
            "et": float(et.mean()), **(gain or {})}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the simulated subjects")
    parser.add_argument("--low", type=int, default=48, help="subjects of the low-grade template, a third held out")
    parser.add_argument("--high", type=int, default=60, help="subjects of the template brats2017, a third held out")
    parser.add_argument("--steps", type=int, default=1600, help="of training a network: two minutes of an idle core")
    parser.add_argument("--folds", type=int, default=5, help="of the 110 real subjects to train on, 5 for all of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mechanism", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    root = data_root()
    if root is None:
        parser.error("set RADLIB_DATA to the data root")
    torch.set_num_threads(1)
    mechanisms = {name: float(value) for name, value in (text.split("=") for text in arguments.mechanism)}
    train, held = simulated_sets(arguments.work, arguments.low, arguments.high, arguments.seed, mechanisms)
    low = c.lower_grade_slices(root)
    real: Sets = {
        "real, 110 lower grade": low,
        "real, 3 BraTS": c.cohort_slices(read_brats(root / "brats-sample")),
        "real, 6 of two modalities": c.two_modality_slices(root),
    }

    start = time.monotonic()
    subjects = [one for part in train.values() for one in part.values()]
    network = c.train_network(subjects, steps=arguments.steps, seed=arguments.seed)
    seconds = round(time.monotonic() - start)
    order = rng(arguments.seed, "folds").permutation(list(low))
    folds = np.array_split(order, 5)[: arguments.folds]
    others = []
    for number, fold in enumerate(folds):
        rest = [one for name, one in low.items() if name not in set(fold)]
        others.append(c.train_network(rest, steps=arguments.steps, seed=arguments.seed + number))

    rows, gains, scores = [], [], {}
    fits: dict[str, tuple[float, float]] = {}
    for test, members in (held | real).items():
        own = train.get(test, members)  # thresholds come from subjects alike: the training ones where there are any
        whole, enhancing = c.rule_scores(own)
        fits[test] = (whole.mean().idxmax(), enhancing.mean().fillna(0).idxmax())
        if test in train:
            whole, enhancing = c.rule_scores(members)
        rule_wt, rule_et = whole[fits[test][0]], enhancing[fits[test][1]]
        rows.append(row(test, "rule, two thresholds", rule_wt, rule_et))
        rows.append(row(test, "rule, each subject's best", whole.max(axis=1), enhancing.max(axis=1)))
        ours = scores[test] = c.network_scores(network, members)
        results = {"U-Net, simulated": ours}
        if not others:
            pass
        elif test == "real, 110 lower grade":
            parts = [c.network_scores(net, {i: low[i] for i in fold}) for net, fold in zip(others, folds, strict=True)]
            results["U-Net, other real"] = pd.concat(parts)
        else:
            results["U-Net, 110 real"] = c.network_scores(others[0], members).assign(et=np.nan)
        for method, found in results.items():
            gain = c.paired_gain(found["wt"], rule_wt)
            rows.append(row(test, method, found["wt"], found["et"], gain))
            if found["et"].notna().any():
                gains.append({"test": test, "method": method, "region": "et", **c.paired_gain(found["et"], rule_et)})
            gains.append({"test": test, "method": method, "region": "wt", **gain})

    every = {name: one for part in held.values() for name, one in part.items()}
    level = float(np.median([flair for name, (flair, _) in fits.items() if name in held]))
    t1ce = float(np.median([value for name, (_, value) in fits.items() if name in held]))
    fools = []
    for method, find in (
        ("U-Net, simulated", lambda s: c.segment(network, s)),
        ("rule", lambda s: c.rule(s, level, t1ce)),
    ):
        for region in (0, 1):
            table = c.what_fools({name: find(one) for name, one in every.items()}, every, region=region)
            fools += [
                {"method": method, "region": c.REGIONS[region], **r} for r in table.reset_index().to_dict("records")
            ]

    about = {
        "generator": GENERATOR,
        "settings": {key: value for key, value in vars(arguments).items() if key not in ("work", "mechanism")}
        | {"mechanisms": mechanisms},
        "provenance": describe(),
    }
    published = project_root() / "published"
    write_json(published / "phantom_calibration.json", {**about, "table": rows, "gains": gains, "fools": fools})
    file = published / "phantom_transfer.json"
    attempts = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    entry = {**about, "network": "2D, FLAIR and T1ce", "note": arguments.note, "training_seconds": seconds}
    keys = dict(zip(("lower_grade", "real", "two_modalities"), ([name] for name in real), strict=True))
    for key, names in {"simulated": list(held), **keys}.items():
        values = pd.concat([scores[name]["wt"] for name in names])
        entry[f"{key}_dice"] = {"n": len(values), "mean": float(values.mean()), "min": float(values.min()),
                                "max": float(values.max())}  # fmt: skip
    write_json(file, [*attempts, entry])
    print(pd.DataFrame(rows).round(3).to_string())
    print(pd.DataFrame(gains).round(3).to_string())


if __name__ == "__main__":
    main()
