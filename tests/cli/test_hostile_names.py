"""Names of a model that a terminal would obey, in every verb, on standard output and standard error."""

import json
import os
import pty
import re
import select
import subprocess
import sys

import onnx
import pytest
from onnx import helper

from tests.builders import FLOAT, Graph
from tests.cli.processes import LIMIT, ROOT

HOSTILE = "\x1b]0;owned\x07\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\u202e\x7f[bold]<b>\r\nforged: pass\t"
"""Sets the title and the clipboard, clears the screen, turns the direction of writing, adds a line."""

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
PROGRESS = re.compile(r"\x1b\[(\?25[lh]|[0-9]*[AKG]|2K|1A)")
"""What rich writes to draw over a line of its own: cursor off and on, up, and clear the line."""


def hostile() -> onnx.ModelProto:
    """With such names wherever one can stand."""
    graph = Graph()
    x = graph.input(f"x{HOSTILE}", "N", 4, 8, 8)
    y = graph.bn(graph.conv(x, 4, 4), 4)
    y = graph.node("LRN", graph.node("Relu", y), size=5, alpha=1e6)
    proto = graph.model(graph.node("LRN", graph.bn(y, 4), size=3))
    for index, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}{index}{HOSTILE}"
    proto.graph.name = f"graph{HOSTILE}"
    proto.graph.output[0].name = proto.graph.node[-1].output[0] = f"y{HOSTILE}"
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = f"N{HOSTILE}"
    proto.producer_name = proto.doc_string = HOSTILE
    proto.opset_import.add(domain=f"d{HOSTILE}", version=1)
    return proto


def refused() -> dict[str, onnx.ModelProto]:
    """Models whose errors name what is hostile."""
    operator, cycle, external, tensor = hostile(), hostile(), hostile(), hostile()
    operator.graph.node[0].op_type = f"Nothing{HOSTILE}"
    cycle.graph.node.append(helper.make_node("Relu", [f"nowhere{HOSTILE}"], ["z"], name=HOSTILE))
    weights = external.graph.initializer[0]
    weights.name = external.graph.node[0].input[1] = f"w{HOSTILE}"
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=f"no{HOSTILE}")
    tensor.graph.initializer[0].name = tensor.graph.node[0].input[1] = f"w{HOSTILE}"
    tensor.graph.initializer[0].dims[0] += 1
    computed = hostile()
    computed.graph.input.append(helper.make_tensor_value_info(f"s{HOSTILE}", FLOAT, [2**20, 2**20]))
    return {"operator": operator, "cycle": cycle, "external": external, "tensor": tensor, "huge": computed}


def arguments(verb: str, path, folder) -> list[str]:
    return [
        verb,
        str(path),
        *{
            "inspect": [],
            "optimize": ["--explain", "-o", str(folder / "out.onnx")],
            "check": ["--backend", "onnxruntime", "--localize"],
            "profile": ["--backend", "onnxruntime", "--duration", "0.1", "--layers"],
            "build": ["-o", str(folder / "out.engine")],
        }[verb],
    ]


def on_a_terminal(*given: str) -> str:
    """What a command writes to a terminal that has both of its outputs."""
    master, slave = pty.openpty()
    code = "import sys; from normdeploy.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *given],
        stdout=slave,
        stderr=slave,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "200"},
    )
    os.close(slave)
    written = b""
    try:
        while select.select([master], [], [], LIMIT)[0]:
            try:
                written += os.read(master, 65536)
            except OSError:  # the other end is closed
                break
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return written.decode()


def assert_harmless(text: str) -> None:
    rest = PROGRESS.sub("", COLOURS.sub("", text)).replace("\r", "")
    bad = sorted({character for character in rest if not character.isprintable()} - {"\n"})
    assert not bad, (bad, rest)
    assert not any(line.strip().startswith("forged") for line in rest.splitlines()), rest


@pytest.mark.parametrize("verb", ["inspect", "optimize", "check", "profile", "build"])
def test_what_every_verb_prints(run, tmp_path, verb):
    path = tmp_path / f"m{HOSTILE.replace('/', '')}.onnx"
    path.write_bytes(hostile().SerializeToString())
    outcome = run(*arguments(verb, path, tmp_path))
    assert r"\x1b" in outcome.out + outcome.err, "nothing hostile is named: this shows nothing"
    assert_harmless(outcome.out)
    assert_harmless(outcome.err)


@pytest.mark.parametrize("verb", ["inspect", "optimize", "check", "profile"])
def test_json(run, tmp_path, verb):
    path = tmp_path / f"m{HOSTILE.replace('/', '')}.onnx"
    path.write_bytes(hostile().SerializeToString())
    outcome = run(*arguments(verb, path, tmp_path), "--json", "-")
    assert "owned" in str(json.loads(outcome.out))
    assert_harmless(outcome.out)


@pytest.mark.parametrize(
    ("verb", "option"), [("check", "--html"), ("check", "--junit"), ("profile", "--html")]
)
def test_pages(run, tmp_path, verb, option):
    path = tmp_path / f"m{HOSTILE.replace('/', '')}.onnx"
    path.write_bytes(hostile().SerializeToString())
    outcome = run(*arguments(verb, path, tmp_path), option, "-")
    assert r"\x1b" in outcome.out
    assert "<b>" not in outcome.out
    assert_harmless(outcome.out.replace("\xa0", ""))


@pytest.mark.parametrize("verb", ["inspect", "optimize", "check"])
def test_what_a_terminal_gets(tmp_path, verb):
    path = tmp_path / "m.onnx"
    path.write_bytes(hostile().SerializeToString())
    written = on_a_terminal(*arguments(verb, path, tmp_path))
    assert r"\x1b" in written
    assert_harmless(written)


@pytest.mark.parametrize("kind", ["operator", "cycle", "external", "tensor", "huge"])
@pytest.mark.parametrize("verb", ["inspect", "check"])
def test_errors(run, tmp_path, verb, kind):
    path = tmp_path / "m.onnx"
    path.write_bytes(refused()[kind].SerializeToString())
    outcome = run(*arguments(verb, path, tmp_path))
    if verb == "inspect" and kind == "huge":
        assert outcome.code == 0
    else:
        outcome.assert_refused(r"\x1b")
    assert_harmless(outcome.out)
    assert_harmless(outcome.err)


def test_an_option_that_is_hostile(run, tmp_path):
    outcome = run("check", tmp_path / f"no{HOSTILE}.onnx", "--backend", HOSTILE)
    outcome.assert_refused(r"\x1b")
    assert_harmless(outcome.err)
