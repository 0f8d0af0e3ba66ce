"""Metrics of synthetic images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from radlib.core.errors import RadlibError
from radlib.stats.synthesis import psnr, ssim, synthesis_scores

TRUTH = np.random.default_rng(0).random((16, 16, 8))
PREDICTED = TRUTH + np.random.default_rng(1).normal(0, 0.1, TRUTH.shape)


def test_psnr_by_hand() -> None:
    assert psnr([0.0, 0.2], [0.0, 0.0], data_range=1.0) == pytest.approx(10 * math.log10(1 / 0.02))
    assert psnr([0.0, 0.2], [0.0, 0.0], data_range=1.0, mask=[0, 1]) == pytest.approx(10 * math.log10(1 / 0.04))
    assert psnr([1.0], [1.0], data_range=1.0) == math.inf
    assert math.isnan(psnr([1.0], [1.0], data_range=1.0, mask=[0]))


def test_equal_to_scikit_image() -> None:
    assert psnr(PREDICTED, TRUTH, data_range=1) == pytest.approx(
        peak_signal_noise_ratio(TRUTH, PREDICTED, data_range=1)
    )
    assert ssim(PREDICTED, TRUTH, data_range=1) == pytest.approx(structural_similarity(TRUTH, PREDICTED, data_range=1))


def test_scores_look_where_they_say() -> None:
    truth, tumour = TRUTH.copy(), np.zeros(TRUTH.shape, bool)
    truth[:8] = 0
    tumour[12:, :4] = True
    predicted = truth.copy()
    predicted[tumour] += 0.1
    scores = synthesis_scores(predicted, truth, tumour=tumour, data_range=1)
    assert scores["psnr_tumour"] == pytest.approx(20)
    assert scores["psnr_brain"] == pytest.approx(20 + 10 * math.log10((truth != 0).sum() / tumour.sum()))
    assert scores["psnr"] == pytest.approx(20 + 10 * math.log10(truth.size / tumour.sum()))
    assert scores["mae_brain"] == pytest.approx(0.1 * tumour.sum() / (truth != 0).sum())
    assert math.isnan(synthesis_scores(predicted, truth, tumour=np.zeros_like(tumour), data_range=1)["psnr_tumour"])


def test_wrong_input_is_named() -> None:
    with pytest.raises(RadlibError, match="bring both onto one grid"):
        psnr(TRUTH, TRUTH[1:], data_range=1)
    with pytest.raises(RadlibError, match="data_range is 0"):
        psnr(TRUTH, TRUTH, data_range=0)
    with pytest.raises(RadlibError, match="the mask has shape"):
        psnr(TRUTH, TRUTH, data_range=1, mask=[1])
    with pytest.raises(RadlibError, match="smaller than the window"):
        ssim(TRUTH[:3], TRUTH[:3], data_range=1)
