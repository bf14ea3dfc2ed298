"""Every kind of bad input: one line that says what is wrong, exit code 2, nothing half-written."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from tests.builders import conv_lrn, model, unary

READERS = ("check", "inspect")
FLOAT = TensorProto.FLOAT


@pytest.fixture(params=READERS)
def reader(request):
    return request.param


def written(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def varint(number: int) -> bytes:
    """protobuf's encoding of a length."""
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def external(tmp_path: Path, location: str, write: bool = False) -> Path:
    """A model in a folder of its own, whose weights are said to lie at `location`."""
    folder = tmp_path / "model"
    folder.mkdir()
    proto = conv_lrn()
    (tensor,) = proto.graph.initializer
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    if write:
        (folder / location).write_bytes(data)
    return written(folder / "model.onnx", proto)


class TestModels:
    def test_no_such_file(self, run, reader, tmp_path):
        run(reader, tmp_path / "no.onnx").assert_refused("no.onnx", "No such file")

    def test_a_folder(self, run, reader, tmp_path):
        run(reader, tmp_path).assert_refused("is a folder")

    @pytest.mark.parametrize(
        "content", [b"", b"hello world\n", b"\x00" * 100, b"\x80\x04}.", os.urandom(1000)]
    )
    def test_not_an_onnx_file(self, run, reader, tmp_path, content):
        path = tmp_path / "x.onnx"
        path.write_bytes(content)
        run(reader, path).assert_refused("x.onnx", "not")

    def test_truncated(self, run, reader, good):
        whole = good.read_bytes()
        for length in range(1, len(whole), 97):
            good.write_bytes(whole[:length])
            run(reader, good).assert_refused("good.onnx")

    def test_external_data(self, run, tmp_path):
        assert run("inspect", external(tmp_path, "weights.bin", write=True)).code == 0

    def test_missing_external_data(self, run, reader, tmp_path):
        run(reader, external(tmp_path, "weights.bin")).assert_refused("'w' is missing", "weights.bin")

    def test_truncated_external_data(self, run, reader, tmp_path):
        path = external(tmp_path, "weights.bin", write=True)
        (path.parent / "weights.bin").write_bytes(b"\0" * 10)
        run(reader, path).assert_refused("'w' is truncated", "weights.bin")

    @pytest.mark.parametrize("location", ["../secret.bin", "{tmp}/secret.bin", "sub/../../secret.bin"])
    def test_external_data_outside_the_folder(self, run, reader, tmp_path, location):
        (tmp_path / "secret.bin").write_bytes(b"\0" * 10000)
        path = external(tmp_path, location.format(tmp=tmp_path))
        run(reader, path).assert_refused("outside the model's folder", "secret.bin")

    def test_external_data_behind_a_link(self, run, reader, tmp_path):
        (tmp_path / "secret.bin").write_bytes(b"\0" * 10000)
        path = external(tmp_path, "link.bin")
        (path.parent / "link.bin").symlink_to(tmp_path / "secret.bin")
        run(reader, path).assert_refused("link.bin")

    def test_a_cycle(self, run, reader, tmp_path):
        cyclic = model(
            [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])],
            {"x": (FLOAT, [1])},
            {"b": (FLOAT, [1])},
        )
        run(reader, written(tmp_path / "x.onnx", cyclic)).assert_refused("cycle")

    def test_an_unknown_operator(self, run, reader, tmp_path):
        path = written(tmp_path / "x.onnx", unary("NoSuchOperator", [1]))
        run(reader, path).assert_refused("NoSuchOperator")

    def test_an_operator_of_an_unknown_domain(self, run, tmp_path):
        proto = unary("Magic", [1], domain="com.example")
        proto.opset_import.add(domain="com.example", version=1)
        run("check", written(tmp_path / "x.onnx", proto)).assert_refused("Magic", "com.example")

    def test_a_function_that_calls_itself(self, run, reader, tmp_path):
        proto = unary("Magic", [1], domain="local")
        proto.opset_import.add(domain="local", version=1)
        body = [helper.make_node("Magic", ["a"], ["b"], domain="local")]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
        proto.functions.append(helper.make_function("local", "Magic", ["a"], ["b"], body, opsets))
        run(reader, written(tmp_path / "x.onnx", proto)).assert_refused("Magic")

    def test_graphs_nested_too_deeply(self, run, reader, tmp_path):
        message = b""
        for _ in range(1000):
            for field in (6, 5, 1):  # AttributeProto.g, NodeProto.attribute, GraphProto.node
                message = bytes([field << 3 | 2]) + varint(len(message)) + message
        path = tmp_path / "x.onnx"
        path.write_bytes(bytes([7 << 3 | 2]) + varint(len(message)) + message)
        run(reader, path).assert_refused("x.onnx")

    @pytest.mark.parametrize("depth", [10, 20, 30])
    def test_graphs_nested_deeply(self, run, reader, tmp_path, depth):
        body = [helper.make_node("Relu", ["x"], ["y"])]
        for _ in range(depth):
            inner = helper.make_graph(body, "inner", [], [helper.make_tensor_value_info("y", FLOAT, [1])])
            empty = helper.make_graph([], "empty", [], [helper.make_tensor_value_info("x", FLOAT, [1])])
            body = [helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=empty)]
        inputs = {"x": (FLOAT, [1]), "flag": (TensorProto.BOOL, [])}
        path = written(tmp_path / "x.onnx", model(body, inputs, {"y": (FLOAT, [1])}))
        assert run(reader, path).code in (0, 2, 3)

    def test_a_huge_declared_shape(self, run, tmp_path):
        path = written(tmp_path / "x.onnx", unary("Relu", [10**6, 10**6]))
        run("check", path).assert_refused("'x' of shape [1000000, 1000000]", "GiB")

    def test_a_huge_shape_given(self, run, tmp_path):
        path = written(tmp_path / "x.onnx", unary("Relu", ["N", "M"]))
        run("check", path, "--shape", "x:1x999999999999").assert_refused("GiB", "--shape")

    @pytest.mark.parametrize("dims", [[2**40], [2**31, 2**31, 2**31], [2**62]])
    def test_a_huge_intermediate(self, run, tmp_path, dims):
        proto = model(
            [
                helper.make_node("ConstantOfShape", ["shape"], ["huge"], name="expands"),
                helper.make_node("ReduceSum", ["huge"], ["total"], keepdims=0),
                helper.make_node("Add", ["x", "total"], ["y"]),
            ],
            {"x": (FLOAT, [1])},
            {"y": (FLOAT, [1])},
            {"shape": np.array(dims, np.int64)},
        )
        run("check", written(tmp_path / "x.onnx", proto)).assert_refused("expands")

    def test_an_initializer_larger_than_its_data(self, run, reader, tmp_path):
        proto = conv_lrn()
        proto.graph.initializer[0].dims[:] = [2**31, 2**31, 3, 3]
        run(reader, written(tmp_path / "x.onnx", proto)).assert_refused("x.onnx")


class TestData:
    @pytest.mark.parametrize(
        ("arrays", "parts"),
        [
            ({"image": np.ones((1, 3, 6, 6), np.float32)}, ("'image'", "'x'")),
            ({"x": np.ones((1, 3, 6, 7), np.float32)}, ("[1, 3, 6, 7]", "[N, 3, 6, 6]")),
            ({"x": np.ones((3, 6, 6), np.float32)}, ("[3, 6, 6]",)),
            ({"x": np.ones((1, 3, 6, 6), complex)}, ("complex128", "float32")),
            ({}, ("there is no array 'x'",)),
            ({"x": np.array([None])}, ("pickled",)),
        ],
    )
    def test_arrays_that_do_not_fit(self, run, good, tmp_path, arrays, parts):
        path = tmp_path / "inputs.npz"
        np.savez(path, **arrays)
        run("check", good, "--data", path).assert_refused("inputs.npz", *parts)

    def test_no_file(self, run, good, tmp_path):
        run("check", good, "--data", tmp_path / "no.npz").assert_refused("no.npz")

    def test_not_an_npz_file(self, run, good):
        run("check", good, "--data", good).assert_refused("not an .npz file")


class TestUsage:
    @pytest.mark.parametrize(
        ("shown", "arguments"),
        [
            ("MODEL.onnx", ("inspect", "")),
            ("-o", ("optimize", "{good}", "-o", "")),
            ("--data", ("check", "{good}", "--data", "")),
            ("--reference", ("check", "{good}", "--reference", "")),
            ("--backend", ("profile", "{good}", "--backend", "")),
            ("--json", ("doctor", "--json", "")),
        ],
    )
    def test_empty_values(self, run, good, shown, arguments):
        """As of a variable that is not set; the empty path would be the working folder."""
        outcome = run(*(argument.format(good=good) for argument in arguments))
        outcome.assert_refused(f"the value of {shown} is empty")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--shape", "x"],
            ["--shape", "x:1xbig"],
            ["--shape", "x:1x-3x6x6"],
            ["--samples", "many"],
            ["--no-such-option"],
            ["--seed", "-1"],
        ],
    )
    def test_what_click_refuses(self, run, good, arguments):
        run("check", good, *arguments).assert_refused("See normdeploy check --help")

    @pytest.mark.parametrize(
        ("arguments", "part"),
        [
            (["--backend", "cuda"], "no backend 'cuda': choose from onnxruntime, onnxruntime-cuda"),
            (["--backend", "onnxruntme"], "no backend 'onnxruntme': did you mean 'onnxruntime'"),
            (["--samples", "0"], "samples must be at least 1"),
            (["--timeout", "0"], "timeout must be above 0"),
            (["--rtol", "-1"], "rtol must be 0 or more"),
            (["--rtol", "nan"], "rtol must be 0 or more"),
            (["--shape", "z:1"], "given for 'z'"),
            (["--shape", "x:1x3x6x6", "--shape", "x:1x3x6x6"], "twice"),
            (["--shape", "x:0x3x6x6"], "below 1"),
            (["--reference", "no.onnx"], "no.onnx"),
        ],
    )
    def test_what_the_library_refuses(self, run, good, arguments, part):
        run("check", good, *arguments).assert_refused(part)

    def test_an_unknown_verb(self, run):
        run("chekc").assert_refused("there is no command 'chekc': did you mean 'check'?")
        run("plugin", "biuld").assert_refused("there is no command 'biuld': did you mean 'build'?")
        run("serve").assert_refused("there is no command 'serve': choose from build, check, doctor")

    def test_an_unknown_option(self, run, good):
        run("check", good, "--bakend", "x").assert_refused("no such option", "'--bakend'", "'--backend'")

    def test_an_output_that_cannot_be_written(self, run, good, tmp_path):
        run("check", good, "--json", tmp_path / "no" / "report.json").assert_refused("cannot be written")
        run("inspect", good, "--json", tmp_path).assert_refused("is a folder")

    @pytest.mark.parametrize("place", ["a" * 5000, "a\0b", "loop"], ids=["long", "nul", "loop"])
    @pytest.mark.parametrize(
        "arguments",
        [
            *(["check", "{good}", "--data", f"{{place}}{suffix}"] for suffix in ("", ".npz", ".npy", ".png")),
            ["check", "{good}", "--data", "{images}", "--labels", "{place}"],
            ["check", "{good}", "--data", "{images}", "--preprocess", "{place}.py:f"],
            ["check", "{good}", "--data", "{place}.py:f"],
            ["check", "{place}"],
            ["check", "{good}", "--reference", "{place}"],
            ["check", "{good}", "--plugin", "{place}"],
            ["inspect", "{good}", "--json", "{place}/report.json"],
            ["optimize", "{good}", "-o", "{place}/out.onnx"],
            ["profile", "{good}", "--baseline", "{place}"],
            ["build", "{good}", "-o", "{place}/e", "--timing-cache", "{place}", "--shape", "x:1x3x6x6"],
        ],
        ids=" ".join,
    )
    def test_places_that_cannot_be_looked_at(self, run, good, tmp_path, monkeypatch, arguments, place):
        monkeypatch.chdir(tmp_path)
        for suffix in ("", ".npz", ".npy", ".png", ".py"):
            (tmp_path / f"loop{suffix}").symlink_to(f"loop{suffix}")
        (tmp_path / "images").mkdir()
        Image.new("RGB", (6, 6)).save(tmp_path / "images" / "a.png")
        names = {"good": good, "images": "images", "place": place}
        run(*(part.format(**names) for part in arguments)).assert_refused()

    def test_nothing_is_left_behind(self, run, good, tmp_path):
        before = sorted(tmp_path.iterdir())
        run("check", good, "--json", tmp_path / "no" / "report.json")
        run("check", good, "--json", tmp_path)
        assert sorted(tmp_path.iterdir()) == before
