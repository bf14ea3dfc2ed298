"""Imports point one way, and each heavy dependency has one home. Read from the source, nothing is run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "normdeploy"

LAYERS = (
    {"__main__"},
    {"cli"},
    {"torch"},
    {"engine", "inspection", "passes", "profiling"},
    {"validation"},
    {"diagnosis"},
    {"backends"},
    {"plugin"},
    {"inputs"},
    {"kernels"},
    {"reference"},
    {"graph"},
    {"environment", "results"},
    {"native_support", "batchnorm", "budget", "files", "pages", "terminal"},
    {"parallel"},
    {"lrn", "resources", "signals"},
    {"_version", "choices", "dtypes", "errors", "printable"},
)
"""From the top down; a part may import parts below its own, and itself."""

HOMES = {
    "onnxruntime": {"normdeploy/backends/onnxruntime.py"},
    "torch": {"normdeploy/torch/"},
    "onnxscript": {"normdeploy/torch/"},
    "tensorrt": {"normdeploy/backends/tensorrt/libraries.py"},
    "tensorrt_rtx": {"normdeploy/backends/tensorrt/libraries.py"},
    "tensorrt_rtx_bindings": {"normdeploy/backends/tensorrt/libraries.py"},
    "matplotlib": {"normdeploy/pages/charts.py"},
    "PIL": {"normdeploy/inputs/images.py"},
    "arch": {"normdeploy/profiling/statistics.py"},
    "scipy": {"normdeploy/profiling/statistics.py"},
    "click": {"normdeploy/cli/"},
    "sympy": set(),
}
"""Where a dependency may be imported."""

FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The full names of everything that a file imports, wherever in it, except for type checking only."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part(module: str) -> str | None:
    """normdeploy.graph.io -> graph; None for normdeploy itself and what its __init__ offers."""
    pieces = module.split(".")
    known = {entry for layer in LAYERS for entry in layer}
    return pieces[1] if pieces[0] == "normdeploy" and len(pieces) > 1 and pieces[1] in known else None


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_point_down(path):
    depth = {entry: index for index, layer in enumerate(LAYERS) for entry in layer}
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in depth, f"{own} has no place in the layers"
    for module in imports(path):
        other = part(module)
        if other is not None and other != own:
            assert depth[other] > depth[own], f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_each_dependency_has_one_home(path):
    for module in imports(path):
        homes = HOMES.get(module.split(".")[0])
        if homes is not None:
            assert name(path).startswith(tuple(homes)), f"{name(path)} imports {module}"


def test_no_cycles():
    modules = {}
    for path in FILES:
        dotted = name(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        modules[dotted] = path
    edges = {
        module: {
            target
            for imported in imports(path)
            for target in (imported, imported.rpartition(".")[0])
            if target in modules and target != module and not module.startswith(f"{target}.")
        }
        for module, path in modules.items()
    }
    state: dict[str, str] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert state.get(module) != "active", f"a cycle: {' -> '.join((*trail, module))}"
        if module in state:
            return
        state[module] = "active"
        for target in sorted(edges[module]):
            visit(target, (*trail, module))
        state[module] = "done"

    for module in modules:
        visit(module, ())


MOST_LINES = 350
MOST_LINES_OF_A_FUNCTION = 50
"""Of code: docstring, blank lines and comments do not count."""


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_fit_on_a_screen_or_two(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= MOST_LINES
    for function in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            body = function.body[1:] if ast.get_docstring(function) is not None else function.body
            span = lines[body[0].lineno - 1 : function.end_lineno] if body else []
            code = [line for line in span if line.strip() and not line.strip().startswith("#")]
            assert len(code) <= MOST_LINES_OF_A_FUNCTION, f"{name(path)}: {function.name}"
