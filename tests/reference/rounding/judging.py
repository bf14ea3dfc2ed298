"""Runs onnxruntime on random cases, and judges it as `check` does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from normdeploy.graph.inference import infer
from normdeploy.graph.intra_channel_lrn import add_function
from normdeploy.graph.io import load
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import compare
from normdeploy.validation.noise import RoundingNoise, factor
from tests.reference.against_onnxruntime import session
from tests.reference.rounding.case import CASES, KINDS, Array, Case, Operator, Random, with_types


@dataclass(frozen=True)
class Run:
    """One sample of one model.

    Attributes:
        attributes: of the node.
        ratio: error / allowed error of onnxruntime's outputs, the largest.
        planted: the same with an error put into one element of the first output; None if that is no float32
            of which an element is not 0. See `spoiled`.
    """

    attributes: Mapping[str, Any]
    ratio: float
    planted: float | None


@dataclass(frozen=True)
class Sample:
    """What was computed from one sample's inputs.

    Attributes:
        noise: how much rounding can do.
        exact: the reference's outputs.
        outputs: onnxruntime's, in the same order.
    """

    noise: RoundingNoise
    exact: Mapping[str, Array]
    outputs: Sequence[Array]


def opened(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Without optimizations that would change the node; with the body of normdeploy's own."""
    if any(item.domain == "normdeploy" for item in model.opset_import):
        graph = ir.from_proto(model)
        add_function(graph)
        model = ir.to_proto(graph)
    return session(model)


def runs(operator: Operator, models: int, samples: int, kinds: Sequence[str] = tuple(KINDS)) -> Iterator[Run]:
    """Every sample of so many random models of an operator."""
    for index in range(models):
        random = Random([index, *operator[1].encode()], kinds)
        generators = CASES[operator]
        case = generators[index % len(generators)](random)
        computed = list(_samples(operator, case, random, samples, samples * index))
        own = OwnNoise(computed)
        for sample in computed:
            yield judged(sample, own, case.attributes)


def _samples(operator: Operator, case: Case, random: Random, count: int, seed: int) -> Iterator[Sample]:
    arrays = case.draw(random)
    proto = case.model(operator, arrays)
    backend = opened(proto)
    graph = load(with_types(proto, backend.run(None, fed(arrays))))
    infer(graph)
    ours = Evaluator(graph)
    for sample in range(count):
        inputs = fed(arrays)
        exact = ours.run(inputs)
        noise = RoundingNoise(ours, inputs, seed + sample, lambda exact=exact: exact)
        yield Sample(noise, exact, backend.run(None, inputs))
        arrays = case.draw(random)


def fed(arrays: Sequence[Array | None]) -> dict[str, Array]:
    """The inputs by name."""
    return {f"x{index}": array for index, array in enumerate(arrays) if array is not None}


class OwnNoise:
    """The errors that onnxruntime makes in the first output of a model, by the size of the element.

    Args:
        samples: of one model.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        pairs = [(sample.outputs[0], next(iter(sample.exact.values()))) for sample in samples]
        floating = [(actual, exact) for actual, exact in pairs if actual.dtype == np.float32]
        sizes = np.concatenate([np.zeros(0), *(np.abs(actual).ravel() for actual, _ in floating)])
        with np.errstate(all="ignore"):
            errors = [np.abs(actual - exact).ravel() for actual, exact in floating]
        known = np.concatenate([np.zeros(0), *errors])
        finite = np.isfinite(sizes) & np.isfinite(known)
        self._sizes, self._errors = sizes[finite], known[finite]

    def largest(self, size: float) -> float:
        """The largest error of elements of half to twice a size."""
        alike = (self._sizes >= size / 2) & (self._sizes <= size * 2)
        return float(np.max(self._errors, where=alike, initial=0.0))


def judged(sample: Sample, own: OwnNoise, attributes: Mapping[str, Any]) -> Run:
    """One sample's run, and the same with an error planted in it."""
    noise, exact, outputs = sample.noise, sample.exact, sample.outputs
    ratios = [ratio(noise, name, exact[name], actual) for name, actual in zip(exact, outputs, strict=True)]
    name = next(iter(exact))
    wrong = spoiled(outputs[0], own)
    return Run(attributes, max(ratios), None if wrong is None else ratio(noise, name, exact[name], wrong))


def ratio(noise: RoundingNoise, name: str, exact: Array, actual: Array) -> float:
    """Error / allowed error, as a verdict has it; but amplified runs are asked above a half, not above 1."""
    if exact.dtype != np.float64:
        found = compare(actual, exact)
        return compare(actual, exact, noise.reach(name)).noise_ratio if found.wrong else 0.0
    allowed = factor(exact.size) * noise.expected(name)
    found = compare(actual, exact, allowed)
    if found.noise_ratio > 0.5:
        allowed = np.maximum(allowed, noise.reach(name))
        found = compare(actual, exact, allowed, undefined=noise.undefined(name))
    return found.noise_ratio


def spoiled(actual: Array, own: OwnNoise) -> Array | None:
    """An output with an error in one element: 10 ulp, or ten times the operator's own noise.

    The element is not smaller than most, and of these the one whose ulp is largest against it.
    """
    size = np.where(np.isfinite(actual), np.abs(actual), 0) if actual.dtype == np.float32 else np.zeros(1)
    if not size.any():
        return None
    usual = size >= np.median(size[size > 0])
    at = np.unravel_index(np.argmin(np.where(usual, np.frexp(size)[0], 2)), size.shape)
    wrong = actual.copy()
    wrong[at] += np.float32(10 * max(np.spacing(size[at]), own.largest(float(size[at]))))
    return wrong
