import importlib.util
from pathlib import Path

import pytest

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.backends.catalog import BACKENDS, find
from normdeploy.backends.hardware import GpuStatus
from normdeploy.errors import BackendFailure, UsageError
from tests.builders import conv_lrn


def test_the_names_are_those_of_the_interface():
    assert list(BACKENDS) == [
        "onnxruntime",
        "onnxruntime-cuda",
        "onnxruntime-tensorrt",
        "tensorrt",
        "tensorrt-rtx",
    ]


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all():
    with pytest.raises(UsageError, match="there is no backend 'onnx-runtime': did you mean 'onnxruntime'"):
        find("onnx-runtime")
    with pytest.raises(UsageError, match=r"no backend 'caffe': choose from onnxruntime, .*tensorrt-rtx$"):
        find("caffe")


@pytest.mark.parametrize("name", BACKENDS)
def test_every_factory_can_be_named_without_its_runtime(name):
    module, _, function = find(name).factory.partition(":")
    source = Path(*module.split(".")).with_suffix(".py")
    assert f"def {function}(" in (Path(__file__).parents[2] / source).read_text()


@pytest.mark.parametrize("name", ["onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt", "tensorrt-rtx"])
def test_a_machine_without_a_driver_is_the_reason(name, tmp_path, monkeypatch):
    without_driver = GpuStatus(False, "no NVIDIA driver (libcuda.so.1 not found): install it")
    monkeypatch.setattr(catalog, "gpu_status", lambda: without_driver)
    with pytest.raises(BackendFailure, match=r"no NVIDIA driver \(libcuda.so.1 not found\)") as caught:
        find(name).start(tmp_path / "model.onnx", 1)
    assert caught.value.status == "unavailable"


def test_the_processor_needs_no_driver(monkeypatch):
    monkeypatch.setattr(catalog, "gpu_status", lambda: GpuStatus(False, "none"))
    assert find("onnxruntime").missing() is None


def test_building_for_a_gpu_may_need_none(monkeypatch):
    monkeypatch.setattr(catalog, "gpu_status", lambda: GpuStatus(False, "none"))
    assert "none" in (find("tensorrt-rtx").missing() or "")
    assert "none" not in (find("tensorrt-rtx").missing(without_gpu=True) or "")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("onnxruntime", "onnxruntime is not installed: run  pip install 'normdeploy[cpu]'"),
        ("onnxruntime-cuda", "onnxruntime-gpu is not installed: run  pip install 'normdeploy[gpu]'"),
        ("tensorrt", "tensorrt is not installed: run  pip install 'normdeploy[gpu]'"),
        ("tensorrt-rtx", "tensorrt-rtx is not installed: run  pip install 'normdeploy[rtx]'"),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_its_install_line(name, line, monkeypatch):
    monkeypatch.setattr(catalog, "gpu_status", lambda: GpuStatus(True, "CUDA 13.0: a GPU"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    assert find(name).missing() == line


def test_everything_that_is_missing_is_named_at_once(monkeypatch):
    monkeypatch.setattr(catalog, "gpu_status", lambda: GpuStatus(False, "no NVIDIA driver"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    assert find("tensorrt").missing() == (
        "tensorrt is not installed: run  pip install 'normdeploy[gpu]'; no NVIDIA driver"
    )


def test_a_check_lists_every_backend_with_its_true_status():
    report = nd.check(conv_lrn(batch=1, spatial=4), samples=1)
    assert [found.name for found in report.backends] == list(BACKENDS)
    for found in report.backends:
        missing = find(found.name).missing()
        if missing is not None:
            assert (found.status, found.reason) == ("unavailable", missing)


def test_plugins_go_to_the_backends_that_use_them(tmp_path):
    library = tmp_path / "plugin.so"
    assert find("tensorrt").with_plugins([library]).options == {"plugins": [str(library)]}
    for name in BACKENDS:
        assert find(name).with_plugins([]).options == {}
    for name in ("onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt-rtx"):
        assert find(name).with_plugins([library]).options == {}


def test_ranges_of_shapes_go_to_the_backends_that_build_engines_for_them():
    ranges = {"x": ((1, 3), (2, 3), (4, 3))}
    for name in ("tensorrt", "tensorrt-rtx"):
        assert find(name).with_shapes(ranges).options == {"shapes": ranges}
        assert find(name).with_shapes({}).options == {}
    assert find("onnxruntime").with_shapes(ranges).options == {}


def test_onnxruntime_can_do_without_optimizations():
    assert find("onnxruntime").unoptimized().options == {"optimize": False}
    assert find("onnxruntime-cuda").unoptimized().name == "onnxruntime-cuda"
    for name in ("onnxruntime-tensorrt", "tensorrt", "tensorrt-rtx"):
        assert find(name).unoptimized() is None
