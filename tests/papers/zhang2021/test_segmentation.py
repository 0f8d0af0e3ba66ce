"""Trainings of segmentation networks on toy subjects, and what they find in whole brains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.data.store import ImageStore
from radlib.papers.zhang2021.data import PAIRS, SINGLES, WHOLE_ALONE, Recipe
from radlib.papers.zhang2021.networks import MONAI, FusionNet, UNet, build
from radlib.papers.zhang2021.segmentation import Segmenter, likeliest, scores_of, start_from, train_network
from radlib.training.players import Trained

# MONAI's own: deprecations inside its imports.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def segmenter(key: str, fitted: Trained, recipe: Recipe) -> Segmenter:
    return Segmenter(key=key, network=fitted.network, groups=PAIRS, recipe=recipe, window=recipe.windows[0])


def test_branches_start_from_the_generators_and_nothing_else_differs(tiny: Recipe, store: ImageStore) -> None:
    still = replace(tiny, steps=1, learning_rate=1e-12, validations=0)
    states = {name: UNet(2, 2, widths=tiny.widths).state_dict() for name in ("t1-t1ce", "t2-flair")}
    started, plain = (
        train_network("ours", store, store.ids[:4], states=one, recipe=still, seed=0).network for one in (states, None)
    )
    assert isinstance(started, FusionNet)
    assert isinstance(plain, FusionNet)
    for state, branch in zip(states.values(), started.branches, strict=True):
        for name, tensor in branch.state_dict().items():
            if not name.startswith("head."):
                assert torch.allclose(tensor, state[name], atol=1e-9), name
    for name, tensor in started.fusion.state_dict().items():
        assert torch.allclose(tensor, plain.fusion.state_dict()[name], atol=1e-9), name
    with pytest.raises(RadlibError, match=r"no weights for t1\b(?!\+)"):
        start_from(build("ours", groups=SINGLES, recipe=tiny), states, groups=SINGLES)


@pytest.fixture(scope="module")
def fitted(store: ImageStore, tiny: Recipe) -> Trained:
    return train_network("ours", store, store.ids[:5], tuning=store.ids[5:], recipe=tiny, seed=0)


@pytest.mark.slow
def test_fusion_learns_the_toy(fitted: Trained, tiny: Recipe, store: ImageStore) -> None:
    scores, labels, seconds = segmenter("ours", fitted, tiny).test(store, store.ids[5:])
    assert seconds > 0
    dice = scores[scores["metric"] == "dice"]
    assert dice.query("group == 'wt'")["value"].mean() > 0.6
    assert dice.groupby("group").size().tolist() == [3, 3, 3]
    assert set(scores["prediction"]) == {"ours"}
    for name, found in labels.items():
        brain = store.subject(name.removeprefix("ours/")).brain.numpy()
        assert (found[~brain] == 0).all()
        assert set(np.unique(found)) <= {0, 1, 2, 4}
    history = fitted.history
    assert history["loss"].dropna().iloc[-1] < history["loss"].dropna().iloc[0]
    assert history["fused"].notna().any()
    assert history.query("part == 'validation'")["dice_wt"].iloc[-1] > 0.5


@pytest.mark.slow
def test_the_window_is_chosen_by_the_tuning_subjects(fitted: Trained, tiny: Recipe, store: ImageStore) -> None:
    several = segmenter("ours", fitted, replace(tiny, windows=(4, 0, 12)))
    best, tried = several.tuned(store, store.ids[5:6])
    assert tried["window"].tolist() == [4, 0, 12]
    assert best.window == tried.loc[tried["dice"].idxmax(), "window"] != 4  # too little of the tumour is in a cube
    by_hand, *_ = replace(several, window=12).test(store, store.ids[5:6])
    assert tried["dice"].iloc[2] == pytest.approx(by_hand.loc[by_hand["metric"] == "dice", "value"].mean())
    with pytest.raises(RadlibError, match="no subject to choose a window by"):
        several.tuned(store, ())
    only, untried = segmenter("ours", fitted, tiny).tuned(store, ())
    assert only.window == 0
    assert untried["dice"].isna().all()


@pytest.mark.slow
def test_cube_by_cube_covers_the_brain(fitted: Trained, tiny: Recipe, store: ImageStore) -> None:
    found = segmenter("ours", fitted, replace(tiny, windows=(12,))).segment(store, store.ids[5])["ours"]
    truth = store.labels[5].numpy() > 0
    both = ((found > 0) & truth).sum()
    assert 2 * both / ((found > 0).sum() + truth.sum()) > 0.5


def test_branches_give_three_predictions(store: ImageStore, tiny: Recipe) -> None:
    short = replace(tiny, steps=2, validations=0)
    fitted = train_network("branches", store, store.ids[:4], recipe=short, seed=0)
    found = segmenter("branches", fitted, short).segment(store, "s6")
    assert list(found) == ["s_a", "s_b", "s_a_s_b"]
    # The mean of both branches' probabilities, by hand.
    image = store.images[6][:, 2:18, 2:18, 2:18][None]
    with torch.no_grad():
        p = torch.stack([one.softmax(dim=1) for one in fitted.network.outputs(image)]).mean(dim=0)[0]
    expected = (p.argmax(dim=0).numpy() > 0) & (image[0] != 0).any(dim=0).numpy()
    assert ((found["s_a_s_b"][2:18, 2:18, 2:18] > 0) == expected).all()


@pytest.mark.parametrize("key", MONAI)
def test_monai_networks_take_any_size(key: str, store: ImageStore, tiny: Recipe) -> None:
    short = replace(tiny, widths=(4, 4, 8), steps=1, validations=0)
    fitted = train_network(key, store, store.ids[:4], recipe=short, seed=0)
    assert segmenter(key, fitted, short).segment(store, "s7")[key].shape == store.grid


def test_a_missed_region_has_no_distance_and_is_counted(store: ImageStore) -> None:
    truth = store.labels[0].numpy()
    without = np.where(truth == 4, 2, truth).astype(np.uint8)
    table = scores_of(without, truth, store, "s0").set_index(["group", "metric"])["value"]
    assert table["et", "missed"] == 1
    assert np.isnan(table["et", "hd95"])
    assert (table["wt", "missed"], table["wt", "hd95"], table["wt", "dice"]) == (0, 0, 1)


def test_unknown_network(tiny: Recipe) -> None:
    with pytest.raises(RadlibError, match="unknown network 'other'"):
        build("other", recipe=tiny)
    with pytest.raises(RadlibError, match="DynUNet needs three levels"):
        build("dynunet", recipe=tiny)


def test_three_classes_are_one_where_the_whole_tumour_alone_is_outlined() -> None:
    p = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.6, 0.0, 0.4, 0.0]])
    assert likeliest(p, WHOLE_ALONE).tolist() == [2, 0]
    assert likeliest(p, ("et", "wt", "tc")).tolist() == [0, 0]


def test_one_outline_gives_one_region(store: ImageStore, tiny: Recipe) -> None:
    whole = replace(store, labels=torch.where(store.labels > 0, 2, 0).to(torch.uint8))
    short = replace(tiny, steps=4, patch=(12, 12, 4), windows=((12, 12, 4), 0))
    groups = (("t1", "t1ce"), ("flair",))
    fitted = train_network(
        "ours", whole, whole.ids[:4], tuning=whole.ids[4:5], groups=groups, recipe=short, seed=0, regions=WHOLE_ALONE
    )
    seen = fitted.history.dropna(subset=["dice_mean"])
    assert (seen["dice_mean"] == seen["dice_wt"]).all()
    assert "dice_et" not in seen
    plain = Segmenter(
        key="ours", network=fitted.network, groups=groups, recipe=short, window=short.windows[0], regions=WHOLE_ALONE
    )
    chosen, tried = plain.tuned(whole, whole.ids[4:5])
    assert tried["window"].tolist() == [12, 0]
    assert chosen.window in short.windows
    scores, labels, _ = chosen.test(whole, whole.ids[5:6])
    assert set(scores["group"]) == {"wt"}
    assert set(np.unique(labels["ours/s5"])) <= {0, 2}
