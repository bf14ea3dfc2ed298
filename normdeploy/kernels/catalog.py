"""The choices that are known, and who makes them.

A runtime stands here where its documentation or its source says that it may make a choice, or says nothing
about an operator of which others are known to make it. What it is documented not to do is left out:
onnxruntime's CPU has no LRN, BatchNormalization or Softmax in float16 and computes them in float32; its CUDA
provider gives cuDNN float32 statistics, and sums reductions and Softmax in float32; TensorRT computes its
normalization layer in float32 (NvInfer.h, INormalizationLayer::setComputePrecision).
"""

from __future__ import annotations

from collections.abc import Iterable

from normdeploy.dtypes import Array
from normdeploy.kernels import emulation
from normdeploy.kernels.choice import KernelChoice, Maker
from normdeploy.kernels.number_types import BFLOAT16, FLOAT16, FLOAT32, TF32, NumberType
from normdeploy.reference.execution_plan import OperatorCall

_CPU, _CUDA = "onnxruntime", "onnxruntime-cuda"
_TENSORRT = ("tensorrt", "tensorrt-rtx", "onnxruntime-tensorrt")

_PRODUCTS = frozenset(("Conv", "Gemm", "MatMul"))
_NORMALIZATIONS = frozenset(("LayerNormalization", "RMSNormalization"))
_SUMS = frozenset(("ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL1", "ReduceL2",
                   "GlobalAveragePool", "AveragePool"))  # fmt: skip
_HALVES = frozenset((FLOAT16, BFLOAT16))
_ALL: frozenset[str] = frozenset()

_UNWRITTEN = "not written: the layer's type is that of its tensors"


def _made_by(names: Iterable[str], operators: frozenset[str], source: str) -> dict[str, Maker]:
    return {name: Maker(operators, source) for name in names}


def _to_tf32(stored_in: NumberType, array: Array) -> Array:
    return TF32.rounded(array)


def _keeps_short_statistics(call: OperatorCall) -> bool:
    """`stash_type` of LayerNormalization and RMSNormalization asks for float32 ones by default."""
    layered = call.node.op_type in ("LayerNormalization", "RMSNormalization")
    return not layered or call.keywords.get("stash_type", _FLOAT) != _FLOAT


_FLOAT = 1
"""float32 among ONNX's types."""


def _flushed(stored_in: NumberType, array: Array) -> Array:
    return stored_in.flushed(array)


FLOAT16_ACCUMULATORS = KernelChoice(
    "float16-accumulators",
    "the running sum of products is kept in float16 and rounds after each 16 terms",
    frozenset((FLOAT16,)),
    {
        **_made_by(
            _TENSORRT,
            _PRODUCTS,
            "TensorRT, Control of Computational Precision: the accumulation type of IMatrixMultiplyLayer is "
            "chosen by input types and performance, with a range at least that of the inputs",
        ),
        _CUDA: Maker(
            frozenset(("Gemm", "MatMul")), "onnxruntime, ORT_CUDA_GEMM_OPTIONS=1: aggregate in fp16"
        ),
        _CPU: Maker(_PRODUCTS, "onnxruntime, MlasFp16AccelerationSupported: float16 kernels on ARM64"),
    },
    emulation.HALF_PRODUCTS,
)

HALF_LRN = KernelChoice(
    "half-lrn",
    "squares, window sums and powers inside LRN are rounded to the type of its tensors",
    _HALVES,
    _made_by(
        _TENSORRT,
        frozenset(("LRN",)),
        f"{_UNWRITTEN}; seen elsewhere: ROCm/AMDMIGraphX#850, NVIDIA/caffe#135",
    )
    | {_CUDA: Maker(frozenset(("LRN",)), "cuDNN, cudnnLRNCrossChannelForward: no word on inner types")},
    {"LRN": emulation.lrn},
)

HALF_BATCH_NORM = KernelChoice(
    "half-batchnorm",
    "BatchNormalization is a scale and a shift that are rounded to the type of its tensors",
    _HALVES,
    _made_by(
        _TENSORRT,
        frozenset(("BatchNormalization",)),
        "TensorRT's ONNX parser makes an IScaleLayer of it, whose weights take the tensors' type",
    ),
    {"BatchNormalization": emulation.batch_norm},
)

HALF_NORMALIZATION = KernelChoice(
    "half-normalization",
    "means, squares and their sums inside a normalization are rounded to the type of its tensors",
    _HALVES,
    {
        **_made_by(
            _TENSORRT,
            _NORMALIZATIONS | {"MeanVarianceNormalization", "LpNormalization"},
            "ONNX: stash_type of LayerNormalization and RMSNormalization; the function body of "
            "MeanVarianceNormalization; LpNormalization leaves it open",
        ),
        _CUDA: Maker(
            frozenset(("MeanVarianceNormalization",)),
            "ONNX: the function body of MeanVarianceNormalization, which onnxruntime expands",
        ),
    },
    {
        "LayerNormalization": emulation.layer_norm,
        "RMSNormalization": emulation.layer_norm,
        "MeanVarianceNormalization": emulation.mean_variance,
        "LpNormalization": emulation.lp_norm,
    },
    where=_keeps_short_statistics,
)

HALF_SUMS = KernelChoice(
    "half-sums",
    "reductions and average pools add one term after the other in the type of their tensors",
    _HALVES,
    _made_by(_TENSORRT, _SUMS, f"{_UNWRITTEN}; seen elsewhere: ROCm/AMDMIGraphX#850"),
    dict.fromkeys(_SUMS, emulation.reduction) | {"AveragePool": emulation.average_pool},
)

HALF_SQUARES = KernelChoice(
    "half-squares",
    "the squares of ReduceSumSquare are rounded to the type of its tensors, their sum is float32",
    _HALVES,
    {
        _CUDA: Maker(
            frozenset(("ReduceSumSquare",)), "onnxruntime, cuda/reduction/reduction_ops.cc: Mul, then cuDNN"
        )
    },
    {"ReduceSumSquare": emulation.squared_sum},
)

HALF_SOFTMAX = KernelChoice(
    "half-softmax",
    "exponentials and their sum are rounded to the type of the tensors",
    _HALVES,
    _made_by(
        _TENSORRT,
        frozenset(("Softmax", "LogSoftmax")),
        f"{_UNWRITTEN}; ONNX's own function body of Softmax does so",
    ),
    {"Softmax": emulation.softmax, "LogSoftmax": emulation.softmax},
)

TF32_PRODUCTS = KernelChoice(
    "tf32",
    "operands of products are rounded to 11 bits of significand, sums are float32",
    frozenset((FLOAT32,)),
    {
        **_made_by(
            _TENSORRT,
            _PRODUCTS | {"ConvTranspose"},
            "TensorRT, NvInfer.h, BuilderFlag::kTF32: enabled by default (normdeploy's own builds clear it)",
        ),
        _CUDA: Maker(
            _PRODUCTS | {"ConvTranspose"},
            "onnxruntime, CUDA provider, use_tf32: 1 by default (normdeploy's own runs set 0, which "
            "convolutions of cuDNN 9 do not heed: microsoft/onnxruntime#19470)",
        ),
    },
    operand=_to_tf32,
    rounds_to=TF32,
)

FLUSH_TO_ZERO = KernelChoice(
    "flush-to-zero",
    "subnormal operands and results become 0",
    frozenset((FLOAT32, FLOAT16, BFLOAT16)),
    {
        _CPU: Maker(_ALL, "onnxruntime, session.set_denormal_as_zero; float16 by FPCR.FZ16 on ARM64"),
        **_made_by((_CUDA, *_TENSORRT), _ALL, "CUDA, nvcc -ftz=true; PTX ISA, .ftz of float16 instructions"),
    },
    operand=_flushed,
    result=_flushed,
)

SUMMATION_ORDER = KernelChoice(
    "summation-order",
    "float32 sums begin with their last terms",
    frozenset((FLOAT32, FLOAT16, BFLOAT16)),
    _made_by(
        (_CPU, _CUDA, *_TENSORRT),
        _PRODUCTS | {"ReduceSum", "ReduceMean", "GlobalAveragePool"},
        "no runtime promises an order; TensorRT, Algorithm Selection: implementations differ in it",
    ),
    {
        **emulation.BACKWARD_PRODUCTS,
        **dict.fromkeys(("ReduceSum", "ReduceMean", "GlobalAveragePool"), emulation.backward_sum),
    },
)

CHOICES = (
    FLOAT16_ACCUMULATORS,
    HALF_LRN,
    HALF_BATCH_NORM,
    HALF_NORMALIZATION,
    HALF_SUMS,
    HALF_SQUARES,
    HALF_SOFTMAX,
    TF32_PRODUCTS,
    FLUSH_TO_ZERO,
    SUMMATION_ORDER,
)
"""All that are known. Each is made or not for any node, whatever the others."""
