"""Ask about the kernels of a small model, as `check` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx

from normdeploy.choices import BACKEND_NAMES
from normdeploy.dtypes import Array
from normdeploy.inputs.samples import Batch, Samples
from normdeploy.validation.gate import Gate
from normdeploy.validation.kernels.result import KernelVerdict
from normdeploy.validation.kernels.run import KernelRun
from normdeploy.validation.stream import stream
from normdeploy.validation.tolerance import Tolerance
from tests.builders import Graph
from tests.validation.examinees import examinee


def verdicts(
    model: onnx.ModelProto,
    batches: Sequence[Mapping[str, Array]],
    *,
    original: onnx.ModelProto | None = None,
    tolerance: Tolerance | None = None,
    gate: Gate | None = None,
    backends: Sequence[str] = BACKEND_NAMES,
) -> dict[str, KernelVerdict]:
    """What becomes of each backend's kernels on these batches."""
    samples = Samples(None, iter([Batch(batch, len(next(iter(batch.values())))) for batch in batches]))
    subject = replace(examinee(model, original=original, tolerance=tolerance), samples=samples, gate=gate)
    run = KernelRun(subject, backends)
    done = stream(subject.judge, [run], samples, None, None, classify=gate is not None)
    found = run.result(done.accuracy)
    assert found is not None
    return {entry.backend: entry for entry in found.entries}


def alexnet(dtype: type = np.float16, scale: float = 1.0) -> onnx.ModelProto:
    """A small AlexNet with BVLC's LRN, whose inputs may be divided by a power of two.

    Args:
        dtype: of all tensors.
        scale: what the first convolution's weights are divided by; the LRNs' alpha is multiplied by its
            square, so that only their outputs are smaller by it.
    """
    graph = Graph(dtype, seed=0)
    x = graph.input("x", "N", 3, 35, 35)
    x = graph.node("Conv", x, graph.normal(16, 3, 11, 11, scale=2 / 363**0.5 / scale), strides=[2, 2])
    x = _lrn_and_pool(graph, x, scale)
    x = graph.node("Conv", x, graph.normal(32, 16, 5, 5, scale=1.5 / 400**0.5), pads=[2] * 4)
    x = _lrn_and_pool(graph, x, scale)
    x = graph.node("Flatten", x)
    return graph.model(graph.node("Gemm", x, graph.normal(128, 10, scale=128**-0.5)))


def _lrn_and_pool(graph: Graph, x: str, scale: float) -> str:
    x = graph.node("LRN", graph.node("Relu", x), size=5, alpha=1e-4 * scale**2, beta=0.75, bias=1.0)
    return graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])


def images(samples: int = 4, dtype: type = np.float16) -> Array:
    """Pixels less a mean: −117 to 138."""
    return (np.random.default_rng(1).uniform(0, 255, (samples, 3, 35, 35)) - 117).astype(dtype)
