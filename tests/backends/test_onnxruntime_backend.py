from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper

from normdeploy.backends import onnxruntime as backend
from normdeploy.backends.hardware import gpus
from normdeploy.backends.onnxruntime import open_cpu, open_cuda, open_tensorrt
from normdeploy.errors import BackendUnavailable


def identity(path: Path, element_type: int) -> Path:
    x = helper.make_tensor_value_info("x", element_type, ["n"])
    y = helper.make_tensor_value_info("y", element_type, ["n"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("element_type", "array"),
    [
        (onnx.TensorProto.FLOAT, np.array([1.5, -2], np.float32)),
        (onnx.TensorProto.DOUBLE, np.array([1.5, -2])),
        (onnx.TensorProto.FLOAT16, np.array([1.5, -2], np.float16)),
        (onnx.TensorProto.BFLOAT16, np.array([1.5, -2, 3e38], ml_dtypes.bfloat16)),
        (onnx.TensorProto.FLOAT8E4M3FN, np.array([1.5, -2], ml_dtypes.float8_e4m3fn)),
        (onnx.TensorProto.FLOAT8E5M2, np.array([1.5, -2], ml_dtypes.float8_e5m2)),
        (onnx.TensorProto.BOOL, np.array([True, False])),
        (onnx.TensorProto.UINT8, np.array([1, 255], np.uint8)),
        (onnx.TensorProto.STRING, np.array(["a", "ü"], dtype=object)),
        (onnx.TensorProto.FLOAT, np.zeros(0, np.float32)),
        (onnx.TensorProto.BFLOAT16, np.zeros(0, ml_dtypes.bfloat16)),
    ],
)
def test_types_pass_unchanged(element_type, array, tmp_path):
    session = open_cpu(identity(tmp_path / "model.onnx", element_type))
    (output,) = session.run({"x": array}).values()
    assert output.dtype == array.dtype
    assert output.tolist() == array.tolist()


def test_it_says_its_version(tmp_path):
    assert set(open_cpu(identity(tmp_path / "model.onnx", onnx.TensorProto.FLOAT)).versions) == {
        "onnxruntime"
    }


@pytest.mark.parametrize(
    ("opened", "provider"),
    [(open_cuda, "CUDAExecutionProvider"), (open_tensorrt, "TensorrtExecutionProvider")],
)
def test_a_build_without_a_provider_says_how_to_get_one_with_it(opened, provider, tmp_path, monkeypatch):
    monkeypatch.setattr(backend.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    with pytest.raises(BackendUnavailable, match=f"built without {provider}: run  pip uninstall onnxruntime"):
        opened(identity(tmp_path / "model.onnx", onnx.TensorProto.FLOAT))


@pytest.mark.skipif(gpus().usable, reason="there is a GPU")
def test_a_provider_that_onnxruntime_drops_is_not_taken_for_another(tmp_path, monkeypatch):
    """onnxruntime itself would go on with the CPU and say nothing to the caller."""
    monkeypatch.setattr(backend.onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    message = (
        "does not get its CUDAExecutionProvider to work: .*libonnxruntime_providers_cuda.so: cannot open"
    )
    with pytest.raises(BackendUnavailable, match=message):
        backend._on_gpu(
            identity(tmp_path / "model.onnx", onnx.TensorProto.FLOAT),
            [("CUDAExecutionProvider", {}), ("CPUExecutionProvider", {})],
        )


@pytest.mark.parametrize(
    ("obstacle", "remedy"),
    [
        ("libcublasLt.so.13: cannot open shared object file", r"onnxruntime-gpu[cuda,cudnn]"),
        ("libnvinfer.so.10: cannot open shared object file", "tensorrt==10.*"),
        ("libcuda.so.1: cannot open shared object file", "NVIDIA's driver"),
    ],
)
def test_each_missing_library_has_its_remedy(obstacle, remedy):
    """The loader's words as they were seen with onnxruntime-gpu 1.31 on a machine without a GPU."""
    assert remedy in backend._remedy(obstacle)
