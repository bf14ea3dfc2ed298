"""Which runtimes compute an LRN by an operator of their own, and why the others do not.

Sources, all tried by tests/test_native_support.py:

- onnxruntime 1.32 (core/providers/cpu/nn/lrn.h): size odd, alpha and beta above 0; a kernel for float32 only,
  to which float16 is converted; input of rank 4.
- TensorRT's ILRNLayer: window odd in [1, 15], alpha in [-1e20, 1e20], beta in [0.01, 1e5], k in [1e-5, 1e10],
  no input below rank 4. Its parser also takes an input above rank 4, where no documentation says which axis
  it normalizes, and float64, which it computes in float32: both count as refused.
- the ONNX standard's window for LRN.
"""

from __future__ import annotations

from normdeploy.errors import ConventionError
from normdeploy.lrn import LRN

RUNTIMES = ("onnx", "onnxruntime", "tensorrt")
"""onnx: the standard's operator set. onnxruntime: the CPU provider. tensorrt: TensorRT and TensorRT-RTX."""


def unsupported_reasons(spec: LRN, rank: int | None = None, dtype: str | None = None) -> dict[str, str]:
    """Why each runtime has no native operator for this LRN; runtimes that have one are absent.

    Args:
        spec: the normalization.
        rank: of the tensor it normalizes; None where it is not known.
        dtype: NumPy's name of the tensor's type; None where it is not known.

    Returns:
        Name in `RUNTIMES` -> reason, which names the value that is refused.
    """
    if spec.region == "within":
        return dict.fromkeys(RUNTIMES, "no operator for LRN within a channel")
    try:
        standard = spec.to("onnx")
    except ConventionError as error:
        return dict.fromkeys(RUNTIMES, str(error))
    reasons = {
        "onnxruntime": _onnxruntime(standard, rank, dtype),
        "tensorrt": _tensorrt(standard, rank, dtype),
    }
    return {runtime: reason for runtime, reason in reasons.items() if reason is not None}


def _onnxruntime(spec: LRN, rank: int | None, dtype: str | None) -> str | None:
    if spec.size % 2 == 0:
        return f"size {spec.size} is even"
    if spec.alpha <= 0:
        return f"alpha {spec.alpha:g} is not above 0"
    if spec.beta <= 0:
        return f"beta {spec.beta:g} is not above 0"
    if rank not in (None, 4):
        return f"the input has rank {rank}, not 4"
    if dtype not in (None, "float32", "float16"):
        return f"the input is {dtype}"
    return None


def _tensorrt(spec: LRN, rank: int | None, dtype: str | None) -> str | None:
    if spec.size % 2 == 0:
        return f"size {spec.size} is even"
    if spec.size > 15:
        return f"size {spec.size} is above 15"
    if abs(spec.alpha) > 1e20:
        return f"alpha {spec.alpha:g} is outside [-1e20, 1e20]"
    if not 0.01 <= spec.beta <= 1e5:
        return f"beta {spec.beta:g} is outside [0.01, 1e5]"
    if not 1e-5 <= spec.k <= 1e10:
        return f"k {spec.k:g} is outside [1e-5, 1e10]"
    if rank not in (None, 4):
        return f"the input has rank {rank}, not 4"
    if dtype == "float64":
        return "the input is float64"
    return None
