"""sympy is imported when something uses it, not before, and then whole.

Each test has a process of its own, in which nothing is loaded yet.
"""

import json
import subprocess
import sys

import pytest

_REPORT = """
import json, sys
report = {name: repr(value) for name, value in globals().get("found", {}).items()}
report["sympy"] = sorted(name for name in sys.modules if name.startswith("sympy."))
print(json.dumps(report))
"""


def run(code: str, *arguments: object) -> dict[str, object]:
    """What Python code puts into `found`, as text, and the submodules of sympy that it leaves loaded."""
    done = subprocess.run(
        [sys.executable, "-c", code + _REPORT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def inspected(path: object, then: str = "") -> dict[str, object]:
    """After `normdeploy inspect` in the same process."""
    code = f"""
import sys
from normdeploy.cli import main
assert main(["inspect", sys.argv[1]]) == 0
{then}
"""
    return run(code, path)


def test_without_it_onnx_ir_loads_sympy():
    """Or else there is nothing to defer, and normdeploy.cli.deferred_imports can go."""
    assert run("import onnx_ir")["sympy"]


@pytest.mark.parametrize("arguments", [("inspect",), ("check", "--samples", "1")], ids=" ".join)
def test_commands_do_not_load_sympy(good, arguments):
    verb, *options = arguments
    code = f"""
import sys
from normdeploy.cli import main
assert main([{verb!r}, sys.argv[1], *{options!r}]) == 0
assert "onnx_ir" in sys.modules
"""
    assert run(code, good)["sympy"] == []


def test_optimize_does_not_load_sympy(good, tmp_path):
    code = """
import sys
from normdeploy.cli import main
assert main(["optimize", sys.argv[1], "-o", sys.argv[2]]) == 0
"""
    assert run(code, good, tmp_path / "out.onnx")["sympy"] == []


def test_symbolic_sizes_can_still_be_reckoned_with(good):
    found = inspected(
        good,
        """
import onnx_ir as ir
size = ir.SymbolicDim("N") * 2 + 1
found = {"size": size.value, "at 3": size.evaluate({"N": 3}), "least": ir.SymbolicDim("min(N, 4)").simplify()}
""",
    )
    assert found["size"] == "'2*N + 1'"
    assert found["at 3"] == "7"
    assert "Min(4, N)" in found["least"]
    assert "sympy.core.expr" in found["sympy"]


def test_sympy_itself_is_whole(good):
    found = inspected(
        good,
        """
import sympy
from sympy.abc import x
found = {"derivative": sympy.diff(sympy.sin(x) * x, x), "name": sympy.__spec__.name, "parts": dir(sympy)}
""",
    )
    assert (found["derivative"], found["name"]) == ("x*cos(x) + sin(x)", "'sympy'")
    assert "'Symbol'" in found["parts"]


def test_nothing_is_left_in_the_import_system(good):
    found = inspected(good, "found = {'finders': [type(finder).__module__ for finder in sys.meta_path]}")
    assert "normdeploy" not in found["finders"]


FACTORY = """
import torch

def build():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.LocalResponseNorm(5))
    return module.eval(), (torch.randn(2, 3, 6, 6),)
"""


def test_torch_still_exports_with_open_sizes(tmp_path):
    """It reckons with them in sympy."""
    pytest.importorskip("torch")
    source = tmp_path / "net.py"
    source.write_text(FACTORY)
    code = """
import sys
from normdeploy.cli import main
source, target = sys.argv[1:]
open_sizes = ["--dynamic", "input:0", "--dynamic", "input:2"]
assert main(["export", source + ":build", "-o", target, *open_sizes]) == 0
assert main(["check", target, "--shape", "input:1x3x7x6", "--backend", "onnxruntime"]) == 0
"""
    assert "sympy.core.expr" in run(code, source, tmp_path / "net.onnx")["sympy"]
