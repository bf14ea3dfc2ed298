"""Spectra of frames against onnxruntime and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from normdeploy.reference.spectral import stft
from tests.reference.against_onnxruntime import assert_as_onnxruntime


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("onesided", [0, 1])
def test_real_signals(seed, rank, onesided):
    random = np.random.default_rng(seed)
    length = int(random.integers(4, 17))
    step = np.array(random.integers(1, 6), np.int64)
    signal = random.standard_normal((2, 40)).astype(np.float32)
    window = random.random(length).astype(np.float32)
    expected = torch.stft(
        torch.tensor(signal),
        length,
        int(step),
        win_length=length,
        window=torch.tensor(window),
        center=False,
        onesided=bool(onesided),
        return_complex=True,
    )
    actual = stft(signal.astype(float), step, window.astype(float), onesided=onesided)
    spectrum = actual[..., 0] + 1j * actual[..., 1]
    np.testing.assert_allclose(spectrum, expected.numpy().transpose(0, 2, 1), atol=1e-5)
    given = signal if rank == 2 else signal[..., None]
    keywords = {"domain": "", "onesided": onesided, "rtol": 1e-4}
    frame = np.array(length, np.int64)
    assert_as_onnxruntime("STFT", [given, step, window], **keywords)
    assert_as_onnxruntime("STFT", [given, step, None, frame], **keywords)
    np.testing.assert_array_equal(stft(given.astype(float), step, window, onesided=onesided), actual)


def test_complex_signals():
    random = np.random.default_rng(0)
    signal = random.standard_normal((2, 30, 2)).astype(np.float32)
    window = random.random(8).astype(np.float32)
    inputs = [signal, np.array(3, np.int64), window]
    assert_as_onnxruntime("STFT", inputs, domain="", onesided=0, rtol=1e-4)


def test_signals_that_are_neither():
    with pytest.raises(ValueError, match="neither"):
        stft(np.ones((1, 9, 2)), np.array(1), np.ones(4))
    with pytest.raises(ValueError, match="a window or a frame length"):
        stft(np.ones((1, 9)), np.array(1))
