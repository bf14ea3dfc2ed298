"""The real launch against NumPy, and under compute-sanitizer. The host tests execute the same source."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.plugins.plugin_cases import SMALL_GPU, TYPES, Case, CaseRunner

pytestmark = pytest.mark.gpu

MODEST_GPU = (99 << 10, 100 << 10, 40)
"""Limits that every GPU since sm_80 has. The kernels are planned for them, whatever GPU is here."""


def cases(type_: str) -> list[Case]:
    return [
        *(Case((32, 1, 55, 55, 1), size, type_, gpu=SMALL_GPU) for size in range(1, 18)),
        *(Case((3, 1, 224, 224, 1), size, type_, gpu=MODEST_GPU) for size in (2, 3, 5, 15)),
        *(Case((700, 1, 7, 7, 1), size, type_, gpu=(*SMALL_GPU[:2], 2)) for size in (3, 4)),
        *(Case((2, 1, 27, 27, 100), size, type_, pitch=104, gpu=SMALL_GPU) for size in (3, 4, 15)),
        *(
            Case((1, 1, 61, 301, 1), 5, type_, input_offset=i, output_offset=o)
            for i in range(4)
            for o in (i, 0)
        ),
        Case((2, 1, 1, 30011, 1), 101, type_, rank=1, gpu=SMALL_GPU),
        Case((1, 19, 23, 29, 1), 5, type_, rank=3, gpu=SMALL_GPU),
        Case((1, 6, 11, 13, 10), 3, type_, rank=3, pitch=16, gpu=SMALL_GPU),
        Case((1, 1, 150, 140, 1), 121, type_),
        *(Case((4, 1, 31, 37, 1), 5, type_, beta=beta, gpu=SMALL_GPU) for beta in (0.5, 1.0, 0.6)),
    ]


@pytest.mark.parametrize("type_", sorted(TYPES))
def test_launches_agree_with_numpy(device: CaseRunner, type_: str) -> None:
    device.check(cases(type_))


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
def test_compute_sanitizer_finds_nothing(device: CaseRunner, tmp_path: Path, tool: str) -> None:
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not installed")
    command = [sanitizer, f"--tool={tool}", "--error-exitcode=9", *device.command]
    CaseRunner(command, tmp_path).check([case for type_ in TYPES for case in cases(type_)])
