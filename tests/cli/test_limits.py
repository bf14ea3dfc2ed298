"""Models and data of a few bytes that ask for more than there is: one line and exit code 2."""

import os
import resource
import subprocess
import sys
import zipfile

import numpy as np
import onnx.parser
import pytest

from tests.cli.processes import LIMIT, ROOT

MEMORY = 2**33
"""Bytes of address space, so that a limit that does not hold fails a test and not the machine."""

VERBS = {
    "inspect": (),
    "optimize": ("-o", "{folder}/out.onnx"),
    "check": ("--backend", "onnxruntime"),
    "profile": ("--backend", "onnxruntime"),
    "build": ("-o", "{folder}/out.engine"),
}
COMPUTING = ["optimize", "check"]
"""Those that compute the model in this process."""

_CODE = """
import sys
{preparation}
from normdeploy.cli import main
sys.exit(main(sys.argv[1:]))
"""

FAST_CLOCK = """
from normdeploy import budget

class Fast:
    now = 0.0

    @classmethod
    def monotonic(cls):
        cls.now += 0.001
        return cls.now

budget.time = Fast
"""
"""A clock of which each look takes a millisecond: so many looks use up a time limit on any machine."""


def run_apart(path, verb, *more, preparation=""):
    """Run a verb on a file in a process with little memory; its exit code, output and errors."""
    arguments = [part.format(folder=path.parent) for part in VERBS[verb]]
    done = subprocess.run(
        [sys.executable, "-c", _CODE.format(preparation=preparation), verb, str(path), *arguments, *more],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    return done.returncode, done.stdout, done.stderr


def assert_refused(outcome, *parts):
    code, _, err = outcome
    assert code == 2, err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


def written(folder, graph, functions="", opsets='"": 21, "l": 1'):
    path = folder / "m.onnx"
    text = f"<ir_version: 10, opset_import: [{opsets}]>\n{graph}\n{functions}"
    path.write_bytes(onnx.parser.parse_model(text).SerializeToString())
    return path


@pytest.mark.parametrize("verb", VERBS)
def test_functions_that_call_each_other(tmp_path, verb):
    head = '<domain: "l", opset_import: ["": 21, "l": 1]>'
    functions = [f"{head} f{i} (x) => (y) {{ a = l.f{i + 1} (x) y = l.f{i + 1} (a) }}" for i in range(40)]
    functions.append(f"{head} f40 (x) => (y) {{ y = Relu (x) }}")
    path = written(tmp_path, "g (float[1] x) => (float[1] y) { y = l.f0 (x) }", "\n".join(functions))
    assert path.stat().st_size < 4000
    assert_refused(run_apart(path, verb), "m.onnx", "3.299e+12 nodes", "'l.f0'", "1,000,000 is the limit")


NEVER_LOOKS = """
import onnx

def check_model(*_, **__):
    while True:
        pass

onnx.checker.check_model = check_model
"""
"""Python code that goes on for ever between two looks at the budget, in what every verb does first."""


@pytest.mark.parametrize("verb", VERBS)
def test_python_code_that_never_looks_at_its_budget(good, verb):
    outcome = run_apart(good, verb, "--timeout", "0.5", preparation=NEVER_LOOKS)
    assert_refused(outcome, "longer than the 0.5 s allowed", "--timeout")


@pytest.mark.parametrize("verb", COMPUTING)
def test_a_range_of_a_million_million_numbers(tmp_path, verb):
    graph = """
    g (float[1] x) => (float y)
    <int64 a = {0}, int64 b = {1099511627776}, int64 c = {1}>
    { r = Range (a, b, c) f = CastLike (r, x) s = ReduceSum (f) y = Add (x, s) }"""
    path = written(tmp_path, graph)
    assert path.stat().st_size < 400
    assert_refused(run_apart(path, verb), "Range", "8192 GiB", "this machine has")


@pytest.mark.parametrize("verb", COMPUTING)
def test_a_range_beyond_the_memory_allowed(tmp_path, verb):
    graph = """
    g (float[1] x) => (float y)
    <int64 a = {0}, int64 b = {67108865}, int64 c = {1}>
    { r = Range (a, b, c) f = CastLike (r, x) s = ReduceSum (f) y = Add (x, s) }"""
    path = written(tmp_path, graph)
    assert_refused(run_apart(path, verb, "--max-memory", "256M"), "Range", "0.25 GiB allowed", "--max-memory")


@pytest.mark.parametrize("verb", COMPUTING)
@pytest.mark.parametrize("trips", ["n", ""], ids=["2^62 trips", "no end"])
def test_a_loop_without_an_end(tmp_path, verb, trips):
    graph = f"""
    g (float[1] x) => (float[1] y) <int64 n = {{4611686018427387904}}, bool c = {{1}}> {{
        y = Loop ({trips}, c, x) <body = b (int64 i, bool go, float[1] s) => (bool on, float[1] t) {{
            on = Identity (go) t = Abs (s)
        }}>
    }}"""
    outcome = run_apart(written(tmp_path, graph), verb, "--timeout", "5", preparation=FAST_CLOCK)
    assert_refused(outcome, "longer than the 5 s allowed", "--timeout")


@pytest.mark.parametrize(
    "graph",
    [
        "g (float[1] x) => (float y) { s0 = Shape (x) "
        + " ".join(f"s{i + 1} = Concat <axis = 0> (s{i}, s{i})" for i in range(40))
        + " y = Reshape (x, s40) }",
        "g (int64[1, 1] x0) => (int64 y) { "
        + " ".join(f"x{i + 1} = Gather (x{i}, x{i})" for i in range(34))
        + " y = Identity (x34) }",
    ],
    ids=["sizes", "axes"],
)
@pytest.mark.parametrize("verb", VERBS)
def test_what_doubles_from_node_to_node_in_shape_inference(tmp_path, verb, graph):
    """Less memory is less time; one verb has as much as it takes by default."""
    limit = () if verb == "inspect" else ("--max-memory", "512M")
    outcome = run_apart(written(tmp_path, graph), verb, *limit)
    if verb in COMPUTING:
        assert_refused(outcome)
    else:
        assert outcome[0] in (0, 3), outcome


@pytest.mark.parametrize("verb", ["inspect", "check"])
def test_an_array_that_nobody_declared_is_not_read(good, tmp_path, verb):
    """Its data is damaged: whoever reads it would say so."""
    data = tmp_path / "x.npz"
    extra = np.asfortranarray(np.ones((512, 512)))
    np.savez(data, x=np.zeros((1, 3, 6, 6), np.float32), extra=extra)
    content = data.read_bytes()
    data.write_bytes(content.replace(extra.tobytes()[:4096], b"\x01" * 4096, 1))
    with zipfile.ZipFile(data) as archive, pytest.raises(zipfile.BadZipFile):
        archive.read("extra.npy")
    assert_refused(run_apart(good, verb, "--data", str(data)), "'extra' is no input of the model")


@pytest.mark.parametrize(
    ("option", "value"), [("--timeout", "inf"), ("--timeout", "1e300"), ("--max-memory", "999999T")]
)
def test_limits_beyond_all_there_is(good, option, value):
    assert run_apart(good, "check", option, value)[0] == 0


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("--timeout", "0", "above 0"),
        ("--timeout", "-1", "above 0"),
        ("--max-memory", "0", "such as 4G"),
        ("--max-memory", "4X", "such as 4G"),
    ],
)
def test_limits_that_make_no_sense(run, good, verb, option, value, part):
    arguments = [each.format(folder=good.parent) for each in VERBS[verb]]
    run(verb, good, *arguments, option, value).assert_refused(part)
