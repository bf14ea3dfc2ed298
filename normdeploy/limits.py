"""Which runtimes compute an LRN by an operator of their own, and why the others do not.

Sources: onnxruntime 1.32 (core/providers/cpu/nn/lrn.h: size odd, alpha and beta above 0; 4-D input),
TensorRT's ILRNLayer (window odd in [1, 15], beta in [0.01, 1e5], k in [1e-5, 1e10]), and the ONNX
standard's window for LRN.
"""

from __future__ import annotations

from normdeploy.errors import ConventionError
from normdeploy.lrn import LRN

RUNTIMES = ("onnx", "onnxruntime", "tensorrt")
"""onnx: the standard's operator set. onnxruntime: the CPU provider. tensorrt: TensorRT and TensorRT-RTX."""


def refusals(spec: LRN, rank: int | None = None) -> dict[str, str]:
    """For each runtime that has no native operator for this LRN, the reason; runtimes that have one are absent.

    Args:
        spec: the normalization.
        rank: of the tensor it normalizes; None where it is not known.
    """
    reasons: dict[str, str] = {}
    if spec.region == "within":
        return dict.fromkeys(RUNTIMES, "no operator for LRN within a channel")
    try:
        standard = spec.to("onnx")
    except ConventionError as error:
        return dict.fromkeys(RUNTIMES, str(error))

    if standard.size % 2 == 0:
        reasons["onnxruntime"] = f"size {standard.size} is even"
    elif standard.alpha <= 0:
        reasons["onnxruntime"] = f"alpha {standard.alpha:g} is not above 0"
    elif standard.beta <= 0:
        reasons["onnxruntime"] = f"beta {standard.beta:g} is not above 0"
    elif rank not in (None, 4):
        reasons["onnxruntime"] = f"the input has rank {rank}, not 4"

    if standard.size % 2 == 0:
        reasons["tensorrt"] = f"size {standard.size} is even"
    elif standard.size > 15:
        reasons["tensorrt"] = f"size {standard.size} is above 15"
    elif not 0.01 <= standard.beta <= 1e5:
        reasons["tensorrt"] = f"beta {standard.beta:g} is outside [0.01, 1e5]"
    elif not 1e-5 <= standard.k <= 1e10:
        reasons["tensorrt"] = f"k {standard.k:g} is outside [1e-5, 1e10]"
    return reasons
