"""Cases for the kernels: what goes in, what must come out, and the program that executes them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

TYPES: dict[str, Any] = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}

TOLERANCE = {"float32": 2e-6, "float16": 2.0**-11 + 4e-6, "bfloat16": 2.0**-8 + 4e-6}
"""Largest relative error. float32: the sum of up to some hundred thousand positive numbers, a power and a
product; the others: half a unit in the last place from rounding the result once, and what float32 allows."""

SMALL_GPU = (49152, 65536, 40)
"""Bytes of shared memory for a block and for a multiprocessor, and multiprocessors: little, as on sm_75."""
LARGE_GPU = (232448, 233472, 132)
"""The same of sm_90."""


def within_channel(
    x: NDArray[Any], *, size: int, alpha: float, beta: float, bias: float, rank: int
) -> NDArray[np.float64]:
    """The operator's definition on [outer, depth, height, width, channel] with `rank` spatial axes."""
    x = x.astype(np.float64)
    total = x * x
    before, after = size // 2, size - 1 - size // 2
    for axis in (1, 2, 3)[3 - rank :]:
        margins = [(before, after) if other == axis else (0, 0) for other in range(x.ndim)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(total, margins), size, axis)
        total = windows.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(x / (bias + alpha / size**rank * total) ** beta)


@dataclass
class Case:
    """One call of the operator.

    `shape` is outer, depth, height, width, channels as the kernels see it. Channels beyond 1, or a `pitch`,
    make it channels-last, with pitch - channels elements of padding after each pixel.
    """

    shape: tuple[int, int, int, int, int]
    size: int
    type: str = "float32"
    alpha: float = 1.0
    beta: float = 0.75
    bias: float = 1.0
    rank: int = 2
    pitch: int | None = None
    input_offset: int = 0
    output_offset: int = 0
    gpu: tuple[int, int, int] = LARGE_GPU
    order: str = "ascending"
    x: NDArray[Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.pitch is None:
            self.pitch = self.shape[-1]
        seed = abs(hash((self.shape, self.size, self.rank))) % 2**32
        values = np.random.default_rng(seed).standard_normal(self.shape) * 3
        self.x = values.astype(TYPES[self.type])

    def line(self, source: Path, target: Path) -> str:
        outer, depth, height, width, channels = self.shape
        numbers = (outer, depth, height, width, channels, self.pitch, self.rank, self.size, self.alpha)
        more = (
            self.beta,
            self.bias,
            self.input_offset,
            self.output_offset,
            *self.gpu,
            self.order,
            source,
            target,
        )
        return " ".join(str(part) for part in (self.type, *numbers, *more))

    def stored(self) -> NDArray[Any]:
        """x as it lies in memory, with NaN as padding."""
        assert self.pitch is not None
        memory = np.full((*self.shape[:-1], self.pitch), np.nan, self.x.dtype)
        memory[..., : self.shape[-1]] = self.x
        return memory

    def expected(self) -> NDArray[np.float64]:
        return within_channel(
            self.x, size=self.size, alpha=self.alpha, beta=self.beta, bias=self.bias, rank=self.rank
        )


@dataclass
class Result:
    """What came out: y without the padding, the padding, and how the kernel was launched."""

    y: NDArray[Any]
    padding: NDArray[Any]
    launch: dict[str, Any]


class CaseRunner:
    """Runs cases through a program of plugins/tests/cases."""

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        self.command = list(command)
        self._folder = folder

    def run(self, cases: Sequence[Case]) -> list[Result]:
        """Execute all cases; fail if the program does, as it does for any access out of bounds."""
        lines = []
        for index, case in enumerate(cases):
            case.stored().tofile(self._folder / f"{index}.in")
            lines.append(case.line(self._folder / f"{index}.in", self._folder / f"{index}.out"))
        done = subprocess.run(
            self.command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        launches = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert len(launches) == len(cases)
        results = []
        for index, (case, launch) in enumerate(zip(cases, launches, strict=True)):
            memory = np.fromfile(self._folder / f"{index}.out", TYPES[case.type])
            memory = memory.reshape(*case.shape[:-1], case.pitch)
            results.append(Result(memory[..., : case.shape[-1]], memory[..., case.shape[-1] :], launch))
        return results

    def check(self, cases: Sequence[Case]) -> list[dict[str, Any]]:
        """Execute all cases, compare them with the definition, and return how they were launched."""
        results = self.run(cases)
        for case, result in zip(cases, results, strict=True):
            compare(case, result)
        return [result.launch for result in results]


def compare(case: Case, result: Result) -> None:
    expected = case.expected()
    actual = result.y.astype(np.float64)
    # The least of the floor is the spacing of float16's smallest numbers.
    bound = TOLERANCE[case.type] * np.abs(expected) + 2.0**-24
    wrong = ~(np.abs(actual - expected) <= bound)
    assert not wrong.any(), (
        f"{case} launched as {result.launch}: {wrong.sum()} of {wrong.size} are wrong; the first, at "
        f"{np.argwhere(wrong)[0]}, is {actual[wrong][0]} and should be {expected[wrong][0]}"
    )
    assert (result.padding.astype(np.float32) == 0).all(), f"{case}: the padding must be written as zeros"
