"""What is said that runtimes refuse or take, they really do."""

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from normdeploy import LRN
from normdeploy.native_support import unsupported_reasons
from tests.builders import unary

CASES = [
    ({}, 4, "float32"),
    ({}, 4, "float16"),
    ({}, 4, "float64"),
    ({}, 4, "bfloat16"),
    ({}, 3, "float32"),
    ({}, 5, "float32"),
    *(
        (parameters, 4, "float32")
        for parameters in (
            {"size": 1},
            {"size": 4},
            {"size": 15},
            {"size": 17},
            {"k": 0.0},
            {"k": 1e-5},
            {"k": 9e-6},
            {"k": -1.0},
            {"alpha": 0.0},
            {"alpha": -1.0},
            {"alpha": 1e20},
            {"alpha": 1e21},
            {"beta": 0.0},
            {"beta": 0.005},
            {"beta": 0.01},
            {"beta": -1.0},
            {"beta": 1e6},
        )
    ),
]
ELEMENTS = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "float64": TensorProto.DOUBLE,
    "bfloat16": TensorProto.BFLOAT16,
}
NOT_TRUSTED = [({}, 5, "float32"), ({}, 4, "float64")]
"""What TensorRT's parser takes and counts as refused: no documentation says that it is computed so."""


def model(parameters: dict[str, float], rank: int, dtype: str) -> onnx.ModelProto:
    spec = LRN(**{"size": 5, **parameters}, convention="onnx")
    attributes = {"size": spec.size, "alpha": spec.alpha, "beta": spec.beta, "bias": spec.k}
    return unary("LRN", [1, 6, 5, 4, 3][:rank], ELEMENTS[dtype], **attributes)


def stated(parameters: dict[str, float], rank: int, dtype: str) -> dict[str, str]:
    return unsupported_reasons(LRN(**{"size": 5, **parameters}, convention="onnx"), rank, dtype)


@pytest.mark.parametrize(("parameters", "rank", "dtype"), CASES)
def test_onnxruntime(parameters: dict[str, float], rank: int, dtype: str) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    data = model(parameters, rank, dtype).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
        session.run(None, {"x": np.ones([1, 6, 5, 4, 3][:rank], dtype)})
        taken = True
    except Exception:  # its own types for each kind of failure
        taken = False
    assert taken == ("onnxruntime" not in stated(parameters, rank, dtype))


_PARSE = """
import sys
import tensorrt_rtx_bindings as trt
logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
builder = trt.Builder(logger)
for path in sys.argv[1:]:
    network = builder.create_network(0)
    print(path, int(trt.OnnxParser(network, logger).parse(open(path, "rb").read())))
"""


def test_tensorrt(tmp_path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    paths = []
    for number, case in enumerate(CASES):
        paths.append(str(tmp_path / f"{number}.onnx"))
        onnx.save(model(*case), paths[-1])
    command = [sys.executable, "-c", _PARSE, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines() if line.startswith(str(tmp_path)))
    assert len(taken) == len(CASES)
    for path, case in zip(paths, CASES, strict=True):
        refused = "tensorrt" in stated(*case)
        assert (taken[path] == "0") == (refused and case not in NOT_TRUSTED), case


def test_reasons_name_the_value() -> None:
    assert stated({"size": 4}, 4, "float32") == dict.fromkeys(("onnxruntime", "tensorrt"), "size 4 is even")
    assert stated({"k": 0.0}, 4, "float32") == {"tensorrt": "k 0 is outside [1e-5, 1e10]"}
    assert stated({}, 3, "float32")["tensorrt"] == "the input has rank 3, not 4"
    assert stated({}, 4, "float64")["onnxruntime"] == "the input is float64"


def test_other_windows_have_no_operator() -> None:
    assert set(unsupported_reasons(LRN(4, convention="torch"))) == {"onnx", "onnxruntime", "tensorrt"}
    assert set(unsupported_reasons(LRN(3, region="within"))) == {"onnx", "onnxruntime", "tensorrt"}
