"""Deep features of a cohort: who serves for what, dictionaries from some patients alone, vectors that lead back."""

import numpy as np
import pandas as pd
import pytest
import torch

from radlib.core.errors import RadlibError
from radlib.core.seeds import rng
from radlib.data.store import ImageStore
from radlib.features.deep import Sampling
from radlib.features.fisher import fisher_vectors
from radlib.papers.li2017 import figures, tables
from radlib.papers.li2017.data import Scaling
from radlib.papers.li2017.features import (
    Encoding,
    FeatureSet,
    agreement_with_libraries,
    describe,
    encode,
    fit_dictionaries,
    tumour_slices,
)
from radlib.papers.li2017.networks import TumourCNN
from radlib.papers.li2017.prediction import Classifier, Table, leave_one_out, predict
from radlib.papers.li2017.segmentation import TumourNetwork
from radlib.stats.roc import auc


@pytest.fixture(scope="module")
def model() -> TumourNetwork:
    torch.manual_seed(0)
    network = TumourCNN(2, filters=(3, 4), neurons=5).eval()
    scaling = Scaling(kind="training", mean=(0.5, 0.0), std=(2.0, 1.0))
    return TumourNetwork(network=network, modalities=("flair", "t1ce"), scaling=scaling)


@pytest.fixture(scope="module")
def store() -> ImageStore:
    n, grid = 6, (40, 36, 6)
    random = np.random.default_rng(0)
    images = random.normal(size=(n, 2, *grid)).astype(np.float32)
    labels = np.zeros((n, *grid), dtype=np.uint8)
    for row in range(n):
        labels[row, 12 : 22 + row, 10:20, 1:5] = 2
        labels[row, 12:14, 10:12, 5] = 1
        images[row, 0][labels[row] > 0] += 2 * (row % 2)
    return ImageStore(
        ids=tuple(f"s{row}" for row in range(n)), modalities=("flair", "t1ce"), spacing=2.0,
        images=torch.from_numpy(images), labels=torch.from_numpy(labels),
        present=torch.ones((n, 2), dtype=torch.bool), has_labels=torch.ones(n, dtype=torch.bool),
        affines=np.stack([np.eye(4)] * n), normalisation="none",
    )  # fmt: skip


def test_slices_with_most_tumour(store) -> None:
    images, masks = tumour_slices(store, "s1", modalities=("t1ce",))
    assert images.shape == (5, 1, 40, 36)
    torch.testing.assert_close(images[:, 0], store.images[1, 1].movedim(2, 0)[1:6])
    assert masks.sum(dim=(1, 2)).tolist() == [110, 110, 110, 110, 4]
    assert len(tumour_slices(store, "s1", modalities=("t1ce",), most=2)[0]) == 2


ENCODING = Encoding(sampling=Sampling(scales=(0.7, 1.4), per_map=40), slices=3, components=5, n_fit=300, fit_steps=5)


@pytest.mark.parametrize("dictionary", ["shared", "filter"])
def test_vectors_are_those_of_the_descriptors(model, store, dictionary: str) -> None:
    encoding = Encoding(**{**vars(ENCODING), "dictionary": dictionary})
    layers = ["conv2", "fc7"]
    mixtures = fit_dictionaries(model, store, ["s0", "s1"], layers=layers, encoding=encoding, seed=0)
    assert mixtures["conv2"].means.shape == ((1 if dictionary == "shared" else 3), 5, 1)
    arms = {"a": ("conv2", mixtures["conv2"]), "b": ("fc7", mixtures["fc7"])}
    sets, seconds = encode(model, store, ["s4", "s2"], arms=arms, encoding=encoding, seed=0)
    assert sets["a"].ids == ("s4", "s2")
    assert (sets["a"].filters, sets["b"].filters) == (3, 5)
    assert seconds["cells"] > 0
    found = dict(describe(model, store, ["s2"], layers=["conv2"], encoding=encoding, seed=0))
    # Alone or in company, a patient has the same cells and the same vector.
    expected = fisher_vectors(found["s2"]["conv2"], mixtures["conv2"]).flatten().numpy()
    other = dict(describe(model, store, ["s2"], layers=layers, encoding=encoding, seed=0))["s2"]
    again = fisher_vectors(other["conv2"], mixtures["conv2"]).flatten().numpy()
    np.testing.assert_allclose(sets["a"].values[1], again, atol=1e-6)
    assert expected.shape == again.shape
    assert sets["b"].values.shape == (2, 50)
    with pytest.raises(RadlibError, match="'s9'"):
        sets["a"].rows(["s9"])


def test_dictionary_does_not_depend_on_other_patients(model, store) -> None:
    changed = ImageStore(
        **{**{f: getattr(store, f) for f in store.__dataclass_fields__}, "images": store.images.clone()}
    )
    changed.images[3:] += 5
    options = {"layers": ["conv6"], "encoding": ENCODING, "seed": 0}
    first = fit_dictionaries(model, store, ["s0", "s2"], **options)["conv6"]
    second = fit_dictionaries(model, changed, ["s0", "s2"], **options)["conv6"]
    torch.testing.assert_close(first.means, second.means)


def test_a_network_without_maps_is_refused(store, model) -> None:
    other = TumourNetwork(
        network=model.network, modalities=model.modalities, scaling=Scaling(kind="patch", mean=(0, 0), std=(1, 1))
    )
    with pytest.raises(RadlibError, match="no maps"):
        next(describe(other, store, ["s0"], layers=["conv1"], encoding=ENCODING, seed=0))


def test_unknown_dictionaries_are_refused() -> None:
    with pytest.raises(RadlibError, match="dictionary"):
        Encoding(dictionary="each")  # type: ignore[arg-type]


def test_libraries_agree(model, store) -> None:
    mixtures = fit_dictionaries(model, store, ["s0"], layers=["conv3"], encoding=ENCODING, seed=0)
    found = dict(describe(model, store, ["s1"], layers=["conv3"], encoding=ENCODING, seed=0))
    agreement = agreement_with_libraries(found["s1"]["conv3"][0], mixtures["conv3"])
    assert set(agreement) == {"first order", "second order", "log-likelihood"}
    assert max(agreement.values()) < 1e-9


# What is said about them


def planted_set() -> tuple[FeatureSet, pd.Series]:
    """Twelve patients, three filters of two kernels; feature 7 (filter 1, kernel 2, order 1) tells classes apart."""
    names = [f"s{i:02}" for i in range(12)]
    truth = pd.Series([i % 2 == 0 for i in range(12)], index=names)
    values = rng(0, "set").normal(size=(12, 12)).astype(np.float32)
    values[:, 6] += 5 * truth.to_numpy()
    return FeatureSet(ids=tuple(names), values=values, components=2), truth


def test_significance_leads_back_to_the_place() -> None:
    found, truth = planted_set()
    table = tables.significance(found, truth)
    best = table.iloc[0]
    assert (best["number"], best["filter"], best["kernel"], best["order"]) == (7, 1, 2, 1)
    assert best["significant"]
    assert best["mutant"] - best["wild-type"] == pytest.approx(5, abs=1.5)
    assert sorted(table["number"]) == list(range(1, 13))
    shuffled = tables.shuffled_significance(found, truth, alpha=0.05, draws=10, seed=0)
    assert best["F-score"] > shuffled["best F-score"][1]


def test_concentration_of_one_kernel_and_of_chance() -> None:
    table = pd.DataFrame({"kernel": np.tile(np.arange(1, 9), 16), "filter": np.repeat(np.arange(16), 8)})
    gathered = tables.concentration(table.assign(significant=table["kernel"] == 3)).set_index("by")
    assert gathered.loc["kernel", "hold half"] == 1
    assert gathered.loc["kernel", "by chance"] > 2
    assert gathered.loc["filter", "hold half"] == 8


def test_paper_s_numbers() -> None:
    table = tables.numbering_table().set_index("number")
    assert table.loc[13751, ["filter", "kernel", "order"]].tolist() == [107, 28, 1]
    assert table.loc[13768, ["filter", "kernel", "order"]].tolist() == [107, 36, 2]


def test_printed_f_scores_as_t_tests() -> None:
    table = tables.printed_f_scores().set_index("number")
    assert table.loc[13768, "t"] == pytest.approx(5.07, abs=0.01)
    assert table.loc[13768, "p"] == pytest.approx(1.5e-6, rel=0.05)
    assert table.loc[13768, "corrected for all features"] == pytest.approx(0.025, abs=0.001)


def test_the_trait_behind_a_feature() -> None:
    found, truth = planted_set()
    traits = pd.DataFrame({"planted": truth.astype(float), "other": rng(1).normal(size=12), "flat": 1.0})
    traits.index = truth.index
    table = tables.planted_correlations(found, tables.significance(found, truth), traits, n=1)
    assert table.loc[0, "follows most"] == "planted"
    assert table.loc[0, "Spearman"] > 0.8


def test_typical_patients_have_median_tumours(store) -> None:
    volumes = figures.tumour_volumes(store, store.ids)
    assert volumes["s1"] == 444
    truth = pd.Series([True, True, True, False, False, False], index=store.ids)
    assert figures.typical(truth, volumes) == {True: "s1", False: "s4"}


def test_figures_are_drawn(model, store) -> None:
    import matplotlib.pyplot as plt

    found, truth = planted_set()
    table = tables.significance(found, truth)
    mixtures = fit_dictionaries(model, store, ["s0", "s1"], layers=["conv6"], encoding=ENCODING, seed=0)
    cases = [figures.show(model, store, s, title=s, layers=["conv1", "conv6"]) for s in ("s0", "s5")]
    answers = [
        x["conv6"][2] for _, x in describe(model, store, ["s0", "s5"], layers=["conv6"], encoding=ENCODING, seed=0)
    ]
    options = {"layer": "conv6", "filter_number": 2, "mixture": mixtures["conv6"]}
    drawn = [
        figures.box_plot(found, truth, table),
        figures.significance_map(table),
        figures.layers_figure(cases, {"conv1": [0, 2], "conv6": [1, 3]}),
        figures.cases_figure(cases, answers, kernels=[1, 4], modalities=model.modalities, **options),
        figures.overview_figure(model, store, "s3", encoding=ENCODING, seed=0, **options),
    ]
    assert [len(figure.axes) for figure in drawn] == [1, 3, 8, 8, 6]
    first = drawn[2].axes
    # A filter has one colour scale for both cases, which stand side by side in a row.
    assert first[0].images[0].get_clim() == first[2].images[0].get_clim()
    for figure in drawn:
        plt.close(figure)


def test_a_difference_in_texture_is_found(model) -> None:
    """A positive control of the whole path: tumours of equal brightness, smooth in one class and rough in the other."""
    n, random = 20, np.random.default_rng(3)
    images = 0.1 * random.normal(size=(n, 2, 40, 36, 3)).astype(np.float32)
    labels = np.zeros((n, 40, 36, 3), dtype=np.uint8)
    labels[:, 12:26, 10:22] = 2
    rough = np.arange(n) % 2 == 0
    images[rough, :, 12:26, 10:22] *= 4
    names = tuple(f"s{row:02}" for row in range(n))
    cohort = ImageStore(
        ids=names, modalities=("flair", "t1ce"), spacing=2.0, images=torch.from_numpy(images),
        labels=torch.from_numpy(labels), present=torch.ones((n, 2), dtype=torch.bool),
        has_labels=torch.ones(n, dtype=torch.bool), affines=np.stack([np.eye(4)] * n), normalisation="none",
    )  # fmt: skip
    mixtures = fit_dictionaries(model, cohort, names[:6], layers=["conv2", "conv6"], encoding=ENCODING, seed=0)
    arms = {layer: (layer, mixture) for layer, mixture in mixtures.items()}
    sets, _ = encode(model, cohort, names, arms=arms, encoding=ENCODING, seed=0)
    for found in sets.values():
        (inside,), _ = predict(Table(found.values, rough), leave_one_out(n), Classifier(), selection="inside")
        assert auc(inside.truth, inside.score) > 0.9
