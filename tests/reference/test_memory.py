"""Small models that ask for more than a million million elements are refused before anything is allocated."""

import numpy as np
import pytest

from normdeploy import budget
from normdeploy.budget import spending
from normdeploy.errors import BudgetExceeded
from normdeploy.reference import evaluate
from normdeploy.reference.delegated import DELEGATED
from normdeploy.reference.registry import OPERATORS
from tests.builders import parsed

SIDE = 2**20
COLUMN = np.zeros((SIDE, 1), np.float32)
ROW = COLUMN.T
IMAGE = np.ones((1, 1, 2, 2), np.float32)
SIZES = np.array([1, 1, SIDE, SIDE])
INDICES = np.zeros((1, 1, 2, 2), np.int64)
PADS = f"pads = [{SIDE}, {SIDE}, {SIDE}, {SIDE}]"
UNKNOWN = "float y"
PAIR = "float[N, 1] a, float[1, M] b"
X = "float[1, 1, 2, 2] x"


def pair(op_type, kind="float", result="float", attributes=""):
    """A column and a row that broadcast to a matrix."""
    inputs = f"{kind}[N, 1] a, {kind}[1, M] b"
    dtype = {"float": np.float32, "int64": np.int64, "bool": bool, "uint8": np.uint8}[kind]
    feeds = {"a": COLUMN.astype(dtype), "b": ROW.astype(dtype)}
    return f"g ({inputs}) => ({result} y) {{ y = {op_type} {attributes} (a, b) }}", feeds


def image(call, more="", opset=21, **feeds):
    inputs = f"{X}, {more}" if more else X
    return f"g ({inputs}) => ({UNKNOWN}) {{ y = {call} }}", {"x": IMAGE, **feeds}, opset


RECURRENT = "float[S, B, 0] x, float[1, G, 0] w, float[1, G, 1] r"


def recurrent(op_type, gates):
    feeds = {
        "x": np.zeros((SIDE, SIDE, 0), np.float32),
        "w": np.zeros((1, gates, 0), np.float32),
        "r": np.zeros((1, gates, 1), np.float32),
    }
    return f"g ({RECURRENT}) => ({UNKNOWN}) {{ y = {op_type} <hidden_size = 1> (x, w, r) }}", feeds


ONE = np.ones(1, np.float32)
LONG = 2**40
GROWING = {
    **{name: pair(name) for name in (
        "Add", "Sub", "Mul", "Div", "Pow", "PRelu", "Max", "Min", "Sum", "Mean", "MatMul",
    )},
    "Mod": pair("Mod", attributes="<fmod = 1>"),
    "BitShift": pair("BitShift", "uint8", "uint8", '<direction = "LEFT">'),
    **{name: pair(name, "uint8", "uint8") for name in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")},
    **{name: pair(name, "bool", "bool") for name in ("And", "Or", "Xor")},
    **{name: pair(name, result="bool") for name in (
        "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"
    )},
    "Gemm": pair("Gemm"),
    "Einsum": pair("Einsum", attributes='<equation = "ik,kj->ij">'),
    "MatMulInteger": pair("MatMulInteger", "uint8", "int32"),
    "Where": (f"g (bool[1, M] c, {PAIR}) => ({UNKNOWN}) {{ y = Where (c, a, b) }}",
              {"c": ROW.astype(bool), "a": COLUMN, "b": ONE.reshape(1, 1)}),
    "ConstantOfShape": ("g (int64[1] n) => (float y) { y = ConstantOfShape (n) }", {"n": np.array([LONG])}),
    "Range": ("g (int64 a, int64 b, int64 c) => (int64 y) { y = Range (a, b, c) }",
              {"a": np.array(0), "b": np.array(LONG), "c": np.array(1)}),
    "Expand": ("g (float[1] a, int64[1] s) => (float y) { y = Expand (a, s) }",
               {"a": ONE, "s": np.array([LONG])}),
    "Tile": image("Tile (x, s)", "int64[4] s", s=SIZES),
    "Pad": image("Pad (x, p)", "int64[8] p", p=np.array([0, 0, SIDE, SIDE] * 2)),
    "Resize": image("Resize (x, , , s)", "int64[4] s", s=SIZES),
    "Upsample": image("Upsample (x, s)", "float[4] s", 9, s=SIZES.astype(np.float32)),
    "OneHot": ("g (int64[1] i, int64 d, float[2] v) => (float y) { y = OneHot (i, d, v) }",
               {"i": np.array([0]), "d": np.array(LONG), "v": np.ones(2, np.float32)}),
    "Gather": ("g (float[1, N] a, int64[M] i) => (float y) { y = Gather (a, i) }",
               {"a": ROW, "i": np.zeros(SIDE, np.int64)}),
    "GatherND": ("g (float[1, N] a, int64[M, 1] i) => (float y) { y = GatherND (a, i) }",
                 {"a": ROW, "i": np.zeros((SIDE, 1), np.int64)}),
    "EyeLike": ("g (float[N, 0] a, float[0, M] b) => (float y) { c = MatMul (a, b) y = EyeLike (c) }",
                {"a": np.zeros((SIDE, 0), np.float32), "b": np.zeros((0, SIDE), np.float32)}),
    **{name: image(f"{name} <kernel_shape = [3, 3], {PADS}> (x)") for name in (
        "AveragePool", "MaxPool", "LpPool"
    )},
    "Conv": image(f"Conv <{PADS}> (x, w)", "float[1, 1, 1, 1] w", w=np.ones((1, 1, 1, 1), np.float32)),
    "ConvTranspose": image(f"ConvTranspose <output_shape = [{SIDE}, {SIDE}]> (x, w)",
                           "float[1, 1, 1, 1] w", w=np.ones((1, 1, 1, 1), np.float32)),
    "RNN": recurrent("RNN", 1), "GRU": recurrent("GRU", 3), "LSTM": recurrent("LSTM", 4),
    "AffineGrid": ("g (float[1, 2, 3] t, int64[4] s) => (float y) { y = AffineGrid (t, s) }",
                   {"t": np.ones((1, 2, 3), np.float32), "s": SIZES}),
    "CenterCropPad": image("CenterCropPad (x, s)", "int64[4] s", s=SIZES),
    "DFT": ("g (float[1, 4, 1] x, int64 n) => (float y) { y = DFT (x, n) }",
            {"x": np.ones((1, 4, 1), np.float32), "n": np.array(LONG)}),
    "STFT": ("g (float[1, 4, 1] x, int64 n, int64 f) => (float y) { y = STFT (x, n, , f) }",
             {"x": np.ones((1, 4, 1), np.float32), "n": np.array(1), "f": np.array(LONG)}),
    "MaxUnpool": image("MaxUnpool <kernel_shape = [2, 2]> (x, i, s)", "int64[1, 1, 2, 2] i, int64[4] s",
                       i=INDICES, s=SIZES),
    "RoiAlign": image(f"RoiAlign <output_height = {SIDE}, output_width = {SIDE}> (x, r, b)",
                      "float[1, 4] r, int64[1] b", r=np.ones((1, 4), np.float32), b=np.zeros(1, np.int64)),
    "Attention": ("g (float[1, 1, N, 1] q) => (float y) { y = Attention (q, q, q) }",
                  {"q": COLUMN.reshape(1, 1, SIDE, 1)}, 23),
    **{name: pair(name) for name in ("Clip", "LayerNormalization")},
    "RMSNormalization": (*pair("RMSNormalization"), 23),
    "QuantizeLinear": pair("QuantizeLinear", result="uint8"),
}  # fmt: skip
"""Operators whose result can be far larger than what they take: a model, its inputs, and its opset."""

SIMILAR = {
    "DequantizeLinear": "as QuantizeLinear",
    "InstanceNormalization": "scales fit the channels",
    "GroupNormalization": "scales fit the channels",
    "BatchNormalization": "scales fit the channels",
}
"""Operators that broadcast, and whose inputs are held to fit."""


@pytest.mark.parametrize("op_type", GROWING)
def test_what_would_take_terabytes_is_refused(op_type):
    text, feeds, *opset = GROWING[op_type]
    model = parsed(text, opsets=f'"": {opset[0] if opset else 21}')
    named = "^node that computes '[yc]'"
    with (
        spending(max_memory=2**30),
        pytest.raises(BudgetExceeded, match=named) as caught,
    ):
        evaluate(model, feeds)
    assert "\n" not in str(caught.value)


def test_these_operators_exist():
    names = {name for _, name in OPERATORS} | set(DELEGATED)
    assert set(GROWING) | set(SIMILAR) <= names


def test_what_a_loop_keeps_from_trip_to_trip_counts():
    body = """
    g (int64 n, bool c, float[1000000] x) => (float[L, 1000000] y) {
        y = Loop (n, c) <body = b (int64 i, bool go) => (bool on, float[1000000] o) {
            on = Identity (go) o = Identity (x)
        }>
    }"""
    feeds = {"n": np.array(10**6), "c": np.array(True), "x": np.zeros(10**6, np.float32)}
    with (
        spending(max_memory=2**30),
        pytest.raises(BudgetExceeded, match="more memory than the 1 GiB allowed"),
    ):
        evaluate(parsed(body), feeds)


class Clock:
    """Each look at it takes `step` seconds."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


SLOW = {
    "Det": ("g (float[N, N] x) => (float y) { y = Det (x) }", {"x": np.ones((3000, 3000), np.float32)}),
    "MatMul": ("g (int32[N, N] x) => (int32 y) { y = MatMul (x, x) }",
               {"x": np.ones((1000, 1000), np.int32)}),
    "Einsum": ('g (float[A, B, C] x) => (float y) '
               '{ y = Einsum <equation = "abc,ade,fbd,fce->"> (x, x, x, x) }',
               {"x": np.ones((60, 60, 60), np.float32)}),
}  # fmt: skip
"""Operators whose work grows faster than what they take and give; each here is one long step of a library."""


@pytest.mark.parametrize("op_type", SLOW)
def test_what_would_take_too_long_is_not_begun(monkeypatch, op_type):
    text, feeds = SLOW[op_type]
    monkeypatch.setattr(budget, "time", Clock(0))
    with (
        spending(timeout=0.05),
        pytest.raises(BudgetExceeded, match=r"multiplications take longer than the time allowed"),
    ):
        evaluate(parsed(text), feeds)


@pytest.mark.parametrize("op_type", ["Erf", "Gelu"])
def test_functions_of_one_number_at_a_time_look_at_the_budget(monkeypatch, op_type):
    monkeypatch.setattr(budget, "time", Clock(1))
    model = parsed(f"g (float[N] x) => (float[N] y) {{ y = {op_type} (x) }}", opsets='"": 20')
    with spending(timeout=100), pytest.raises(BudgetExceeded, match="took longer than the 100 s"):
        evaluate(model, {"x": np.ones(2**16 * 100, np.float32)})
