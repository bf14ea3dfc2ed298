"""`check` with real backends, right models and planted defects."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper

import normdeploy as nd
from normdeploy.backends import catalog
from normdeploy.errors import InputError, ModelError, UsageError
from normdeploy.graph.io import load
from normdeploy.validation import CheckReport, check
from tests.builders import FLOAT, WITHOUT_NUMBERS, classifier, conv_lrn, model, parsed, unary
from tests.validation.misbehaving_for_check import misbehaving


def ort(deployed, **options) -> CheckReport:
    return check(deployed, backends=["onnxruntime"], **options)


def only(report: CheckReport):
    (backend,) = report.backends
    return backend


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
def test_a_right_model_passes(dtype, tmp_path):
    deployed = (
        conv_lrn(dtype=dtype) if dtype != np.float64 else unary("Sqrt", ["N", 4], onnx.TensorProto.DOUBLE)
    )
    report = ort(deployed)
    assert report.verdict == "pass", only(report).reason
    assert report.samples == 8
    assert only(report).outputs[0].comparison.noise_ratio < 0.8
    assert only(report).outputs[0].dtype == np.dtype(dtype).name


def test_bfloat16():
    deployed = model(
        [
            helper.make_node("Cast", ["x"], ["wide"], to=FLOAT),
            helper.make_node("Mul", ["wide", "wide"], ["square"]),
            helper.make_node("Cast", ["square"], ["y"], to=onnx.TensorProto.BFLOAT16),
        ],
        {"x": (onnx.TensorProto.BFLOAT16, ["N", 4])},
        {"y": (onnx.TensorProto.BFLOAT16, ["N", 4])},
    )
    report = ort(deployed)
    assert report.verdict == "pass", only(report).reason
    assert only(report).outputs[0].dtype == "bfloat16"


@pytest.mark.parametrize(
    "defect",
    [
        {"alpha": 1e-2 / 5},
        {"alpha": 5e-2},
        {"beta": 0.74},
        {"bias": 1.0},
        {"size": 3},
    ],
    ids=str,
)
def test_planted_defects_are_caught(defect):
    report = ort(conv_lrn(**defect), reference=conv_lrn())
    assert report.verdict == "mismatch"
    assert only(report).status == "mismatch"
    assert "output 'y': " in only(report).reason


def test_swapped_statistics_of_two_channels_are_caught():
    def batchnorm(mean):
        weights = {"one": np.ones(3), "zero": np.zeros(3), "mean": np.array(mean)}
        return model(
            [helper.make_node("BatchNormalization", ["x", "one", "zero", "mean", "one"], ["y"])],
            {"x": (FLOAT, ["N", 3, 4, 4])},
            {"y": (FLOAT, ["N", 3, 4, 4])},
            {name: array.astype(np.float32) for name, array in weights.items()},
        )

    assert ort(batchnorm([1, 2, 3])).verdict == "pass"
    assert ort(batchnorm([1, 3, 2]), reference=batchnorm([1, 2, 3])).verdict == "mismatch"


def test_given_tolerances_replace_the_default():
    wrong, right = conv_lrn(beta=0.74), conv_lrn()
    assert ort(wrong, reference=right, rtol=0.5).verdict == "pass"
    assert ort(right, rtol=0, atol=0).verdict == "mismatch"


def test_integer_outputs():
    indices = model(
        [helper.make_node("ArgMax", ["x"], ["y"], axis=1)],
        {"x": (FLOAT, ["N", 9])},
        {"y": (onnx.TensorProto.INT64, ["N", 1])},
    )
    report = ort(indices)
    assert report.verdict == "pass"
    assert only(report).outputs[0].dtype == "int64"


def test_nan_where_the_reference_has_nan():
    report = ort(unary("Sqrt", ["N", 50]))
    assert report.verdict == "pass"
    assert only(report).outputs[0].comparison.nan > 0


@pytest.mark.parametrize("text", WITHOUT_NUMBERS.values(), ids=WITHOUT_NUMBERS)
def test_outputs_without_a_finite_number_are_no_pass(text):
    """What is equal then shows nothing. Beside another output one such is none of the verdict's business."""
    proto = parsed(text)
    if proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 0:
        with pytest.raises(InputError, match="a dimension of 0 leaves nothing to compute with"):
            ort(proto)
        return
    report = ort(proto)
    nothing = "no output has a finite number on these inputs, and nothing could be compared"
    assert (report.verdict, only(report).status, only(report).reason) == ("error", "pass", nothing)
    assert ort(proto, reference=proto).verdict == ort(proto, rtol=0, atol=0).verdict == "error"
    assert "the graphs agree in float64: no output has a finite number" in str(ort(proto, reference=proto))
    proto.graph.node.append(helper.make_node("Shape", ["x"], ["shape"]))
    proto.graph.output.append(helper.make_tensor_value_info("shape", onnx.TensorProto.INT64, [2]))
    assert ort(proto).verdict == "pass"


def test_a_gate_is_not_met_without_numbers():
    report = ort(parsed(WITHOUT_NUMBERS["no number"]), max_flips=0)
    assert (report.verdict, only(report).gate) == ("error", "met")


def test_finite_numbers_where_the_reference_has_none_are_wrong():
    nothing = parsed(WITHOUT_NUMBERS["no number"])
    finite = parsed("g (float[N, 4] x) => (float[N, 4] y) { y = Exp (x) }")
    assert ort(finite, reference=nothing).verdict == ort(nothing, reference=finite).verdict == "mismatch"


def test_data_with_labels_gives_accuracies_and_flips():
    x = np.eye(4, 6, dtype=np.float32)
    report = ort(classifier(), data={"x": x, "labels": np.array([0, 1, 2, 0])})
    assert report.verdict == "pass"
    assert report.reference_accuracy == only(report).accuracy == 0.75
    assert only(report).flips == 0


@pytest.mark.parametrize("batch", ["N", 3])
def test_flips_are_counted_once_per_sample(batch):
    swapped = classifier(batch=batch)
    weights = np.eye(6, 4, dtype=np.float32)[:, [1, 0, 2, 3]]
    swapped.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
    x = np.eye(4, 6, dtype=np.float32)
    report = ort(swapped, reference=classifier(batch=batch), data={"x": x, "labels": np.arange(4)})
    assert report.verdict == "mismatch"
    assert (report.reference_accuracy, only(report).accuracy, only(report).flips) == (1.0, 0.5, 2)


def test_labels_need_class_scores():
    x = np.ones((2, 3, 6, 6), np.float32)
    single = unary("GlobalAveragePool", ["N", 1, 4, 4], output_dims=["N", 1, 1, 1])
    with pytest.raises(InputError, match="no output with class scores"):
        ort(single, data={"x": x[:, :1, :4, :4], "labels": np.zeros(2, int)})


def test_shapes_open_a_dynamic_model():
    deployed = conv_lrn(spatial="S")
    with pytest.raises(InputError, match="--shape x:1x3x224x224"):
        ort(deployed)
    assert ort(deployed, shapes={"x": (2, 3, 7, 7)}).verdict == "pass"


def test_without_names_the_unavailable_ones_are_listed_and_do_not_count():
    report = check(conv_lrn())
    assert [backend.name for backend in report.backends] == list(catalog.BACKENDS)
    assert report.backends[1].status == "unavailable"
    assert report.verdict == "pass"


def test_an_unavailable_backend_that_was_asked_for_counts():
    assert check(conv_lrn(), backends=["onnxruntime", "tensorrt"]).verdict == "error"


ABORTS, HANGS = misbehaving("aborts"), misbehaving("hangs")


def test_one_that_fails_does_not_take_the_others_down(monkeypatch):
    for backend in (ABORTS, HANGS):
        monkeypatch.setitem(catalog.BACKENDS, backend.name, backend)
    report = check(conv_lrn(), backends=["aborts", "hangs", "onnxruntime"])
    assert [backend.status for backend in report.backends] == ["crashed", "timeout", "pass"]
    assert report.verdict == "error"
    assert "SIGABRT" in report.backends[0].reason


def test_a_mismatch_outweighs_a_crash(monkeypatch):
    monkeypatch.setitem(catalog.BACKENDS, ABORTS.name, ABORTS)
    report = check(conv_lrn(beta=0.5), reference=conv_lrn(), backends=["aborts", "onnxruntime"])
    assert report.verdict == "mismatch"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("gives_another_shape", "shape"),
        ("gives_no_outputs", "no output 'y'"),
        ("gives_integers", "int"),
        ("leaves_a_row_unwritten", "elements are wrong"),
    ],
)
def test_backends_that_answer_nonsense(monkeypatch, function, reason):
    monkeypatch.setitem(
        catalog.BACKENDS, "bad", catalog.Backend("bad", f"tests.validation.misbehaving_for_check:{function}")
    )
    report = check(unary("Identity", ["N", 4]), backends=["bad"])
    assert only(report).status == "mismatch"
    assert reason in only(report).reason


def test_a_model_that_the_runtime_refuses_is_its_failure_not_ours():
    report = ort(conv_lrn(size=4))
    assert report.verdict == "error"
    assert only(report).status == "crashed"
    assert "\n" not in only(report).reason


def test_the_interfaces_must_agree():
    more = conv_lrn()
    more.graph.output.append(helper.make_tensor_value_info("c", FLOAT, ["N", 8, 6, 6]))
    with pytest.raises(InputError, match="different outputs: 'y' and 'c', 'y'; say which is which"):
        ort(conv_lrn(), reference=more)


def test_bad_usage():
    with pytest.raises(UsageError, match="no backend 'cuda'"):
        check(conv_lrn(), backends=["cuda"])
    with pytest.raises(UsageError, match="timeout must be above 0"):
        ort(conv_lrn(), timeout=0)
    with pytest.raises(UsageError, match="rtol"):
        ort(conv_lrn(), rtol=-1)


def test_sequences_are_refused():
    deployed = unary("SequenceConstruct", ["N", 4])
    sequence = helper.make_tensor_sequence_value_info("y", FLOAT, None)
    deployed.graph.output[0].CopyFrom(sequence)
    with pytest.raises(ModelError, match="only tensors can be checked"):
        ort(deployed)


def test_progress_counts_samples():
    seen = []
    ort(conv_lrn(), samples=3, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_json_has_the_documented_schema(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(conv_lrn(beta=0.5), path)
    document = json.loads(json.dumps(ort(path, reference=conv_lrn(), seed=3).to_json(), allow_nan=False))
    assert {"schema", "model", "verdict", "samples", "seed", "backends", "environment"} <= set(document)
    assert (document["schema"], document["model"], document["verdict"]) == (1, str(path), "mismatch")
    assert (document["samples"], document["seed"]) == (8, 3)
    (backend,) = document["backends"]
    assert {"name", "status", "reason", "outputs", "first_divergence"} <= set(backend)
    (output,) = backend["outputs"]
    assert {"name", "dtype", "max_abs_error", "max_rel_error", "noise_ratio", "nan", "inf"} <= set(output)
    assert output["noise_ratio"] > 1


def test_the_public_name():
    assert nd.check is check


def test_float32_data_and_a_float32_reference_of_a_float16_model():
    """Both are given the same numbers, those that float16 holds."""
    x = np.random.default_rng(0).standard_normal((4, 3, 6, 6)).astype(np.float32)
    report = ort(conv_lrn(dtype=np.float16), reference=conv_lrn(), data={"x": x})
    assert report.remarks == ["the data of 'x' is cast from float32 to float16"]
    assert report.samples == 4


def test_a_reference_that_is_given_as_a_graph_keeps_its_names():
    original = load(conv_lrn())
    original.graph.outputs[0].name = "z"
    report = ort(conv_lrn(), reference=original)
    assert report.verdict == "pass"
    assert original.graph.outputs[0].name == "z"


def test_flips_count_against_a_limit_without_labels(monkeypatch):
    factory = "tests.validation.misbehaving_for_check:leaves_a_row_unwritten"
    monkeypatch.setitem(catalog.BACKENDS, "bad", catalog.Backend("bad", factory))
    x = np.array([[0, 1, 2, 3], [9, 1, 2, 3]], np.float32)
    identity = unary("Identity", ["N", 4])
    report = check(identity, backends=["bad"], data={"x": x}, max_flips=0)
    assert (only(report).flips, only(report).gate, report.verdict) == (1, "missed", "mismatch")
    assert check(identity, backends=["bad"], data={"x": x}, max_flips="50%").verdict == "pass"


def test_a_missing_output_is_no_matter_of_a_gate(monkeypatch):
    factory = "tests.validation.misbehaving_for_check:gives_no_outputs"
    monkeypatch.setitem(catalog.BACKENDS, "bad", catalog.Backend("bad", factory))
    report = check(unary("Identity", ["N", 4]), backends=["bad"], max_flips=100)
    assert (only(report).status, only(report).gate) == ("mismatch", None)
    assert "there is no output 'y'" in only(report).reason


def test_the_samples_of_a_factory_are_counted(tmp_path):
    file = tmp_path / "loader.py"
    file.write_text("import numpy as np\ndef load(): return [{'x': np.ones((1, 4), 'float32')}] * 3\n")
    seen = []
    report = ort(
        unary("Identity", ["N", 4]),
        data=f"{file}:load",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert (report.samples, report.verdict) == (3, "pass")
    assert seen == [(3, None)]
