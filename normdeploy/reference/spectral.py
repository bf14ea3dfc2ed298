"""Spectra of pieces of a signal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from normdeploy.budget import require_memory
from normdeploy.dtypes import Array
from normdeploy.reference.rounding_model import Deviation, Keywords, RoundingModel
from normdeploy.reference.rounding_of_delegated import of_transform
from normdeploy.reference.signature import operator


def _length(window: Array | None, frame_length: Array | None) -> int:
    if frame_length is not None:
        return int(frame_length.item())
    if window is None:
        raise ValueError("STFT needs a window or a frame length")
    return int(window.shape[0])


def _errors(keywords: Keywords, inputs: Sequence[Any], outputs: Sequence[Array]) -> Sequence[Deviation]:
    """Of each frame, whose norm is at most that of the window times the largest number."""
    signal, _, window, frame_length = [*inputs, None, None][:4]
    length = _length(window, frame_length)
    norm = math.sqrt(length) if window is None else np.sqrt(np.square(window).sum())
    largest = np.abs(signal).max(axis=tuple(range(1, signal.ndim)), initial=0.0)
    return (Deviation(1.0, of_transform(length) * norm * largest.reshape(-1, 1, 1, 1)),)


@operator("STFT", since=17, rounding=RoundingModel(_errors))
def stft(
    signal: Array,
    frame_step: Array,
    window: Array | None = None,
    frame_length: Array | None = None,
    *,
    onesided: int = 1,
) -> Array:
    """The discrete Fourier transform of each windowed frame: (batch, frames, frequencies, 2).

    signal: real, (batch, length) or (batch, length, 1), or complex, (batch, length, 2). A real signal's
    spectrum stops at half the frame with `onesided`.
    """
    length = _length(window, frame_length)
    require_memory((length,))
    if signal.ndim == 3:
        signal = signal[..., 0] + 1j * signal[..., 1] if signal.shape[2] == 2 else signal[..., 0]
    if signal.ndim != 2 or (onesided and np.iscomplexobj(signal)):
        raise ValueError("the signal is neither (batch, length), nor with 1 or, for both sides, 2 at its end")
    frames = sliding_window_view(signal, length, axis=1)[:, :: int(frame_step.item())]
    require_memory((*frames.shape, 2))
    if window is not None:
        frames = frames * window
    spectrum = np.fft.rfft(frames, axis=2) if onesided else np.fft.fft(frames, axis=2)
    return np.stack([spectrum.real, spectrum.imag], axis=-1)
