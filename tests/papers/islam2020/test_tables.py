"""Tables of segmentation and synthesis."""

from __future__ import annotations

import pandas as pd
import pytest

from radlib.nn.octave import conv_flops, octave_flops
from radlib.papers.islam2020 import tables
from radlib.papers.islam2020.recipes import METHODS, Recipe, SynthesisRecipe, build
from radlib.study.estimates import contrasts, estimates

TINY = Recipe(widths=(4, 8))


def test_sizes_are_those_of_the_networks() -> None:
    table = tables.size_table(["fcn", "unet"], TINY, side=24).set_index("network")
    small = build("unet", in_channels=3, recipe=TINY)
    assert table.loc["U-Net", "parameters (10³), here"] * 1e3 == sum(p.numel() for p in small.parameters())
    size = {"height": 240, "width": 240}
    shares = [
        100 * octave_flops(64, 64, ratio_in=ratio, ratio_out=ratio, **size) / conv_flops(64, 64, **size)
        for ratio in (0.0, 0.25, 0.5, 0.75)
    ]
    assert shares == pytest.approx([100, 67.1875, 43.75, 29.6875])
    sizes = tables.generator_sizes(SynthesisRecipe(widths=(4, 8)), n_sources=2, edge=32).set_index("method")
    assert list(sizes.index) == [tables.GENERATORS[name] for name in METHODS]
    assert sizes.loc["FCN cGAN (the paper's)", "verdicts on a slice"] == "32 x 32"


def test_directions_in_words() -> None:
    assert tables.direction("t1ce_flair_to_t2") == "T1ce + FLAIR to T2"
    assert tables.named(("t1ce", "flair")) == "T1ce, FLAIR"


def test_ours_stand_beside_the_published_ones() -> None:
    rows = [
        {"arm": arm, "run": 0, "subject": subject, "group": group, "metric": "hd95", "value": value}
        for arm, value in (("fcn", 3.0), ("dynunet", 4.0)) for subject in "ab" for group in ("et", "wt", "tc")
    ]  # fmt: skip
    scores = pd.DataFrame(rows)
    shown = tables.beside_print(
        estimates(scores, n_boot=20), titles=tables.MODELS, table="table1", rows={"fcn": "ours"}, printed="hausdorff"
    ).set_index("network")
    assert shown.loc["Octave FCN, skip-scSE", "WT"] == "3.0 (3.0 to 3.0)"
    assert shown["published, WT"].tolist() == ["5.08", ""]
    found = contrasts(scores, [("fcn", "dynunet")], metrics=["hd95"], n_boot=20)
    assert tables.contrast_table(found, titles=tables.MODELS).iloc[0].tolist() == [
        "Octave FCN, skip-scSE minus DynUNet (MONAI)", *["-1.000 (-1.000 to -1.000)"] * 3
    ]  # fmt: skip
