"""Every operator's rounding model against onnxruntime: right runs pass with room to spare, and errors show.

Each operator of the reference is run on random shapes, attributes and numbers: of other sizes, of one sign,
with a mean that cancels, nearly all alike, with many zeros. ROUNDING_RUNS=1000 takes that many runs of each,
an hour of one core (`make rounding`); by default it is a few.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pytest

from normdeploy.reference import registry
from normdeploy.reference.delegated import DELEGATED
from tests.reference.rounding import functions, fused, layers, moves, places, sums
from tests.reference.rounding.case import CASES
from tests.reference.rounding.judging import runs

RUNS = int(os.environ.get("ROUNDING_RUNS", "8"))
SAMPLES = min(25, max(4, RUNS // 40))
"""Of one model: a session is made once for them."""

MODELS = -(-RUNS // SAMPLES)

OPERATORS = sorted({*registry.OPERATORS, *(("", op_type) for op_type in DELEGATED)})

PARTS = {
    ("normdeploy.reference", "ChannelsFirst"), ("normdeploy.reference", "ChannelsLast"),
    ("normdeploy.reference", "ConvInputOutOfBlocks"), ("normdeploy.reference", "FilterOutOfBlocks"),
    ("normdeploy.reference", "PaddingBias"),
}  # fmt: skip
"""Of what stands for onnxruntime's fused operators: nothing else runs them."""

WITHOUT_CASE = PARTS | {
    # onnxruntime has no kernel
    ("", "CausalConvWithState"), ("", "LinearAttention"), ("", "SwiGLU"),
    # they move numbers, in the layout of onnxruntime's kernels for the processor
    ("com.microsoft.nchwc", "ReorderInput"), ("com.microsoft.nchwc", "ReorderOutput"),
    # sequences and optionals, which no rounding is drawn for
    ("", "ConcatFromSequence"), ("", "Optional"), ("", "OptionalGetElement"), ("", "OptionalHasElement"),
    ("", "SequenceAt"), ("", "SequenceConstruct"), ("", "SequenceEmpty"), ("", "SequenceErase"),
    ("", "SequenceInsert"), ("", "SequenceLength"), ("", "SequenceMap"), ("", "SplitToSequence"),
}  # fmt: skip

IN_ORDER = "sums in the order of their terms are allowed, and onnxruntime adds in several lanes or in pairs"
FEW = "of a few numbers of very different sizes: elements of a size share what three runs tell of them"
FUNCTIONS = "of functions whose kernels differ, and onnxruntime's are among the better ones"

SEEN: Mapping[str, tuple[float, str]] = {
    **dict.fromkeys(
        ("ReduceMean", "ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum",
         "ReduceLogSumExp", "GlobalAveragePool", "GlobalLpPool", "LpPool", "STFT", "DeformConv", "QGemm",
         "SoftmaxCrossEntropyLoss", "Softmax"), (2.5, IN_ORDER),
    ),
    "NegativeLogLikelihoodLoss": (4.0, IN_ORDER),
    "MeanVarianceNormalization": (2.0, "a variance in one pass is allowed, as in the standard's function"),
    **dict.fromkeys(("Det", "Pow", "ReduceProd"), (2.5, FEW)),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (2.5, FUNCTIONS)),
    **dict.fromkeys(("Atan", "LogSoftmax", "Softplus"), (1.5, FUNCTIONS)),
}  # fmt: skip
"""How many times ten ulp, or ten times onnxruntime's own noise, it takes to be seen, and why."""


def test_the_cases_are_registered():
    modules = (functions, fused, layers, moves, places, sums)
    registered = {generator_home(generator) for generators in CASES.values() for generator in generators}
    assert registered == {module.__name__ for module in modules}


def generator_home(generator):
    return getattr(generator, "func", generator).__module__


def test_every_operator_has_a_case_or_a_reason():
    """Those that are composed of others may have a case, too."""
    assert set(OPERATORS) <= set(CASES) | WITHOUT_CASE <= {*OPERATORS, *registry.COMPOSITIONS}
    assert not set(CASES) & WITHOUT_CASE


@pytest.mark.parametrize("operator", sorted(CASES), ids=lambda operator: operator[1])
def test_right_runs_have_room(operator):
    worst = max(runs(operator, MODELS, SAMPLES), key=lambda run: run.ratio)
    assert worst.ratio < 0.8, worst


@pytest.mark.parametrize("operator", sorted(CASES), ids=lambda operator: operator[1])
def test_an_error_in_one_element_shows(operator):
    """Among normal numbers, in most runs. Ten ulp, or where its own noise is larger, ten times that."""
    planted = [run.planted for run in runs(operator, MODELS, SAMPLES, ("normal",)) if run.planted is not None]
    factor, _ = SEEN.get(operator[1], (1.0, ""))
    assert not planted or factor * np.median(planted) > 1, planted
