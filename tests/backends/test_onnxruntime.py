"""onnxruntime's sessions, on the CPU; those on GPUs as far as they go without one."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import helper

from normdeploy.backends import onnxruntime as backend
from normdeploy.backends.hardware import gpu_status
from normdeploy.backends.onnxruntime import open_cpu, open_cuda, open_tensorrt
from normdeploy.backends.session import DeviceSession, LayeredSession, PhasedSession
from normdeploy.errors import BackendUnavailable
from tests.builders import conv_lrn, model, parsed


def identity(path: Path, element_type: int) -> Path:
    node = helper.make_node("Identity", ["x"], ["y"])
    declared = {"x": (element_type, ["n"])}, {"y": (element_type, ["n"])}
    onnx.save(model([node], *declared, opset=19), path)
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


def test_what_a_session_on_the_cpu_is(tmp_path):
    session = open_cpu(identity(tmp_path / "model.onnx", onnx.TensorProto.FLOAT))
    assert session.versions == {"onnxruntime": backend.onnxruntime.__version__}
    assert session.providers == ["CPUExecutionProvider"]
    assert isinstance(session, LayeredSession)
    assert isinstance(session, DeviceSession)
    assert session.device is None
    assert not isinstance(session, PhasedSession)


def test_layers_are_profiled_with_their_tensors(tmp_path):
    onnx.save(conv_lrn(), tmp_path / "model.onnx")
    x = np.ones((2, 3, 6, 6), np.float32)
    layers = open_cpu(tmp_path / "model.onnx").layer_times([{"x": x}] * 2)
    (lrn,) = [layer for layer in layers if layer.op_type == "LRN"]
    assert (lrn.name, list(lrn.outputs)) == ("lrn", ["y"])
    assert lrn.ms > 0
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]


def test_a_model_with_external_data_is_profiled(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(conv_lrn(), path, save_as_external_data=True, location="model.data", size_threshold=0)
    layers = open_cpu(path).layer_times([{"x": np.ones((2, 3, 6, 6), np.float32)}])
    assert "LRN" in {layer.op_type for layer in layers}


@pytest.mark.parametrize(
    ("opened", "provider"),
    [(open_cuda, "CUDAExecutionProvider"), (open_tensorrt, "TensorrtExecutionProvider")],
)
def test_a_build_without_a_provider_says_how_to_get_one_with_it(opened, provider, tmp_path, monkeypatch):
    monkeypatch.setattr(backend.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    with pytest.raises(BackendUnavailable, match=f"built without {provider}: run  pip uninstall onnxruntime"):
        opened(identity(tmp_path / "model.onnx", onnx.TensorProto.FLOAT))


@pytest.mark.skipif(gpu_status().usable, reason="there is a GPU")
@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider' is not:UserWarning")
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


def test_a_graph_stays_as_it_stands_where_that_is_wanted(tmp_path):
    """A Softmax between 8-bit numbers: onnxruntime 1.32's fused kernel gives 254 where 255 is right."""
    onnx.save(
        parsed("""g (float[1, 2] x) => (float[1, 2] y) {
            s = Constant <value_float = 0.05> ()
            t = Constant <value_float = 0.003921568859368563> ()
            zero = Constant <value = uint8 {0}> ()
            q = QuantizeLinear (x, s, zero)
            d = DequantizeLinear (q, s, zero)
            p = Softmax <axis = 1> (d)
            r = QuantizeLinear (p, t, zero)
            y = DequantizeLinear (r, t, zero)
        }"""),
        tmp_path / "model.onnx",
    )
    plain = open_cpu(tmp_path / "model.onnx", optimize=False)
    assert np.round(plain.run({"x": np.float32([[0, 12.75]])})["y"] * 255).tolist() == [[0, 255]]
    levels = backend.onnxruntime.GraphOptimizationLevel
    optimized = open_cpu(tmp_path / "model.onnx")
    for session, level in ((plain, levels.ORT_DISABLE_ALL), (optimized, levels.ORT_ENABLE_ALL)):
        assert session._session.get_session_options().graph_optimization_level == level
