"""What `import normdeploy as nd` offers: these names, each at hand, none of them heavy before it is used."""

import importlib
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import pytest

import normdeploy as nd
from normdeploy.results import PageResult, Result

FUNCTIONS = {
    "batch_norm",
    "batch_norm_train",
    "build",
    "check",
    "doctor",
    "evaluate",
    "export",
    "inspect",
    "lrn",
    "optimize",
    "profile",
    "reduce",
}
RESULTS = {
    "CheckReport",
    "Diagnosis",
    "EngineRecord",
    "ModelInspection",
    "OptimizationReport",
    "Optimized",
    "Profile",
    "Reduction",
}
ERRORS = {
    "BackendCrashed",
    "BackendFailure",
    "BackendTimeout",
    "BackendUnavailable",
    "BudgetExceeded",
    "ConventionError",
    "ExportError",
    "InputError",
    "MissingDependencyError",
    "ModelError",
    "NormdeployError",
    "PluginUnavailable",
    "UnsupportedOperator",
    "UsageError",
}
NAMES = FUNCTIONS | RESULTS | ERRORS | {"LRN", "ImageOptions", "__version__"}
NEEDS_TORCH = {"export"}
HEAVY = ("numpy", "onnx", "onnx_ir", "ml_dtypes", "sympy", "rich", "click", "matplotlib", "torch")
RUNTIMES = ("onnxruntime", "tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings", "openvino")


def test_these_names_and_no_others():
    assert set(nd.__all__) == NAMES
    assert len(nd.__all__) == len(NAMES)
    assert dir(nd) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_is_at_hand(name):
    if name in NEEDS_TORCH:
        pytest.importorskip("torch")
    value = getattr(nd, name)
    assert not isinstance(value, ModuleType)
    assert isinstance(value, str) or value.__doc__


@pytest.mark.parametrize("name", sorted(FUNCTIONS - NEEDS_TORCH))
def test_functions_say_what_they_do(name):
    function = getattr(nd, name)
    assert callable(function)
    assert function.__name__ == name


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_results_print_and_have_json(name):
    assert issubclass(getattr(nd, name), Result)
    assert issubclass(getattr(nd, name), PageResult) == (name in {"CheckReport", "Profile"})


def test_star_imports_them_all():
    pytest.importorskip("torch")
    namespace: dict[str, object] = {}
    exec("from normdeploy import *", namespace)  # noqa: S102
    assert set(namespace) >= NAMES


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'normdeploy' has no attribute 'chekc'"):
        _ = nd.chekc


@pytest.mark.parametrize("name", ["lrn", "batchnorm", "inspection", "validation", "engine"])
def test_a_function_stays_when_a_module_is_imported(name):
    """The function `lrn` has the name of the module that it comes from."""
    importlib.import_module(f"normdeploy.{name}")
    assert callable(nd.lrn)
    assert callable(nd.inspect)


def test_the_version_is_the_one_of_the_distribution():
    assert nd.__version__ == version("normdeploy")


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import normdeploy", ()),
        ("import normdeploy; normdeploy.UsageError, normdeploy.__version__, dir(normdeploy)", ()),
        ("import normdeploy; normdeploy.lrn; normdeploy.LRN(5)", ("numpy", "ml_dtypes")),
    ],
)
def test_importing_it_is_light(code, allowed):
    code += f"\nimport sys\nprint(*(name for name in {(*HEAVY, *RUNTIMES)!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(allowed)


def test_no_runtime_is_imported_by_what_it_offers():
    """Backends run in processes of their own; torch is for exporting alone."""
    code = f"""
import normdeploy, sys
for name in {sorted(NAMES - NEEDS_TORCH)!r}:
    getattr(normdeploy, name)
print(*(name for name in {(*RUNTIMES, "torch", "matplotlib", "click")!r} if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
