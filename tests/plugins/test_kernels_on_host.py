"""The kernels' own source, indexing, shared memory and barriers included, executed on the host against NumPy.

The program runs under the address and undefined-behaviour sanitizers with poisoned outputs and shared memory,
so an access out of bounds, a misaligned vector, an element not written and a padding that is read all fail.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import normdeploy as nd
from tests.plugins.plugin_cases import (
    LARGE_GPU,
    SMALL_GPU,
    TOLERANCE,
    TYPES,
    Case,
    CaseRunner,
    within_channel,
)

TYPE_NAMES = sorted(TYPES)
ORDERS = ("ascending", "descending")
PLANES = ((1, 1), (1, 13), (13, 1), (2, 2), (7, 7), (13, 13), (17, 29), (55, 55))


@pytest.mark.parametrize("type_", TYPE_NAMES)
@pytest.mark.parametrize("order", ORDERS)
def test_whole_planes_of_every_size_of_window(host: CaseRunner, type_: str, order: str) -> None:
    sizes = [*range(1, 16), 21, 64] if order == "ascending" else [2, 5, 7, 8, 15]
    cases = [
        Case((3, 1, height, width, 1), size, type_, order=order)
        for size in sizes
        for height, width in PLANES
        if height * width < 1000 or size in (3, 4, 15)
    ]
    launches = host.check(cases)
    assert {launch["runs"] for launch in launches} == {"block"}


@pytest.mark.parametrize("type_", TYPE_NAMES)
@pytest.mark.parametrize("order", ORDERS)
def test_planes_larger_than_a_tile(host: CaseRunner, type_: str, order: str) -> None:
    cases = [
        Case((1, 1, height, width, 1), size, type_, gpu=SMALL_GPU, order=order)
        for height, width in ((131, 137), (97, 293), (3, 20011))
        for size in (2, 5, 15)
    ]
    launches = host.check(cases)
    assert {launch["runs"] for launch in launches} == {"slab", "row"}
    assert all(launch["blocks"] > 1 for launch in launches)


@pytest.mark.parametrize("type_", TYPE_NAMES)
def test_small_planes_share_a_block(host: CaseRunner, type_: str) -> None:
    gpu = (*LARGE_GPU[:2], 1)
    launches = host.check(
        [Case((203, 1, 7, 7, 1), 3, type_, gpu=gpu), Case((101, 1, 3, 5, 1), 4, type_, gpu=gpu)]
    )
    assert all(launch["planes"] > 1 for launch in launches)


@pytest.mark.parametrize("type_", TYPE_NAMES)
def test_every_alignment(host: CaseRunner, type_: str) -> None:
    offsets = range(16 // np.dtype(TYPES[type_]).itemsize)
    base = Case((2, 1, 11, 13, 1), 5, type_)
    cases = [replace(base, input_offset=i, output_offset=o) for i in offsets for o in (i, 0, 1)]
    tiles = Case((1, 1, 61, 301, 1), 5, type_, gpu=SMALL_GPU)
    host.check([*cases, *(replace(tiles, input_offset=i, output_offset=i) for i in offsets)])


@pytest.mark.parametrize("type_", TYPE_NAMES)
@pytest.mark.parametrize("order", ORDERS)
def test_channels_last(host: CaseRunner, type_: str, order: str) -> None:
    cases = [
        Case((2, 1, height, width, channels), size, type_, pitch=-(-channels // multiple) * multiple, gpu=gpu,
             order=order)
        for multiple in (1, 8, 16)
        for channels, height, width, gpu in (
            (3, 9, 40, LARGE_GPU),
            (8, 13, 13, LARGE_GPU),
            (20, 31, 37, SMALL_GPU),
            (70, 9, 10, SMALL_GPU),
        )
        for size in (1, 4, 5)
    ]  # fmt: skip
    launches = host.check(cases)
    assert {"block", "slab", "pixel"} <= {launch["runs"] for launch in launches}


@pytest.mark.parametrize("type_", TYPE_NAMES)
@pytest.mark.parametrize("order", ORDERS)
def test_one_and_three_spatial_axes(host: CaseRunner, type_: str, order: str) -> None:
    cases = [
        Case((5, 1, 1, 1, 1), 3, type_, rank=1, order=order),
        Case((5, 1, 1, 101, 1), 6, type_, rank=1, order=order),
        Case((2, 1, 1, 30011, 1), 101, type_, rank=1, gpu=SMALL_GPU, order=order),
        Case((2, 5, 7, 9, 1), 3, type_, rank=3, order=order),
        Case((1, 1, 7, 9, 1), 3, type_, rank=3, order=order),
        Case((1, 19, 23, 29, 1), 5, type_, rank=3, gpu=SMALL_GPU, order=order),
        Case((1, 17, 10, 31, 1), 4, type_, rank=3, gpu=SMALL_GPU, order=order),
        Case((1, 6, 11, 13, 10), 3, type_, rank=3, pitch=16, gpu=SMALL_GPU, order=order),
        Case((2, 4, 5, 6, 5), 2, type_, rank=3, order=order),
    ]
    launches = host.check(cases)
    assert all(launch["kernel"] == "tile" for launch in launches)


@pytest.mark.parametrize("type_", TYPE_NAMES)
def test_windows_too_large_for_shared_memory(host: CaseRunner, type_: str) -> None:
    cases = [
        Case((1, 1, 1, 9001, 1), 7001, type_, rank=1),
        Case((2, 1, 150, 140, 1), 121, type_),
        Case((1, 30, 31, 35, 1), 29, type_, rank=3),
        Case((1, 1, 90, 91, 3), 80, type_, pitch=8),
        Case((1, 20, 21, 22, 3), 30, type_, rank=3, pitch=8),
    ]
    launches = host.check(cases)
    assert all(launch["kernel"] == "axis" for launch in launches)


def test_a_window_far_beyond_the_plane(host: CaseRunner) -> None:
    size = 10**9
    cases = [Case((1, 1, edge, edge, 1), size, alpha=float(size) ** 2) for edge in (5, 140)]
    for case, result in zip(cases, host.run(cases), strict=True):
        # NumPy cannot pad as much; 299 reaches every pixel as well, and alpha makes up for the divisor.
        expected = within_channel(case.x, size=299, alpha=299.0**2, beta=case.beta, bias=case.bias, rank=2)
        np.testing.assert_allclose(result.y, expected, rtol=TOLERANCE["float32"])


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize(
    ("shape", "rank"), [((6, 1, 1, 31, 1), 1), ((6, 1, 9, 11, 1), 2), ((6, 5, 7, 9, 1), 3)]
)
def test_agrees_with_the_reference_of_the_package(
    host: CaseRunner, shape: tuple[int, int, int, int, int], rank: int, size: int
) -> None:
    case = Case(shape, size, rank=rank, alpha=0.5, bias=2.0)
    spec = nd.LRN(size, alpha=0.5, beta=0.75, k=2.0, region="within", convention="torch")
    spatial = shape[4 - rank : 4]
    expected = nd.lrn(case.x.reshape(2, 3, *spatial), spec)
    [result] = host.run([case])
    np.testing.assert_allclose(result.y.reshape(expected.shape), expected, rtol=TOLERANCE["float32"])


@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.0, 0.3, 1.7, -0.5])
@pytest.mark.parametrize("bias", [1.0, 2.0, 1e-5])
def test_powers(host: CaseRunner, beta: float, bias: float) -> None:
    host.check([Case((3, 1, 13, 13, 1), 5, type_, beta=beta, bias=bias, alpha=0.1) for type_ in TYPE_NAMES])


@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.6])
def test_without_bias_zero_by_zero_is_nan(host: CaseRunner, beta: float) -> None:
    case = Case((1, 1, 9, 9, 1), 3, beta=beta, bias=0.0)
    case.x[0, 0, :4, :4] = 0
    [result] = host.run([case])
    expected = case.expected()
    np.testing.assert_array_equal(np.isnan(result.y), np.isnan(expected))
    assert np.isnan(expected).sum() == 9
    np.testing.assert_allclose(result.y, expected, rtol=2e-6)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("type_", TYPE_NAMES)
@pytest.mark.parametrize("size", [2, 5, 15])
def test_a_nan_or_an_infinity_stays_inside_of_its_windows(
    host: CaseRunner, special: float, type_: str, size: int
) -> None:
    case = Case((1, 1, 29, 31, 1), size, type_, beta=0.5)
    clean = host.run([case])[0].y
    case.x[0, 0, 11, 17, 0] = special
    with_special = host.run([case])[0].y
    # The windows that hold pixel p are those of p - after ... p + before.
    before, after = size // 2, size - 1 - size // 2
    touched = np.zeros(case.shape, bool)
    touched[0, 0, 11 - after : 11 + before + 1, max(17 - after, 0) : 17 + before + 1, 0] = True
    np.testing.assert_array_equal(with_special[~touched], clean[~touched])
    inside = with_special[touched].astype(np.float64)
    assert np.isnan(with_special[0, 0, 11, 17, 0])
    assert (
        np.isnan(inside).all()
        if np.isnan(special)
        else (np.isnan(inside).sum() == 1 and np.nanmax(abs(inside)) == 0)
    )


def test_half_precision_sums_do_not_overflow(host: CaseRunner) -> None:
    cases = [Case((1, 1, 11, 11, 1), 5, type_, alpha=1e-4) for type_ in ("float16", "bfloat16")]
    for case in cases:
        case.x[...] = 300
    host.check(cases)


def test_cancellation_does_not_lose_small_pixels_beside_large_ones(host: CaseRunner) -> None:
    case = Case((1, 1, 40, 40, 1), 9, bias=0.0, beta=1.0)
    case.x[0, 0, :20, :20] *= 1e6
    host.check([case])
