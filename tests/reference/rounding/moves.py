"""Cases of operators that move or pick numbers, or make them, and of subgraphs."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from tests.reference.rounding.case import (
    Array,
    Case,
    Random,
    between,
    case,
    normal,
    numbers,
    pick,
    shape,
    whole,
)


@case("Gather")
def gather(random: Random) -> Case:
    sizes = shape(random, 3)
    axis = int(random.integers(3))
    return Case(lambda random: [numbers(random, *sizes), random.integers(0, sizes[axis], 5)], {"axis": axis})


@case("GatherElements")
def gather_elements(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(lambda random: [numbers(random, *sizes), random.integers(0, sizes[0], (4, sizes[1]))])


@case("GatherND")
def gather_nd(random: Random) -> Case:
    sizes = shape(random, 3)
    return Case(lambda random: [numbers(random, *sizes), random.integers(0, sizes[:2], (6, 2))])


@case("TopK")
def top_k(random: Random) -> Case:
    sizes = shape(random, 2)
    k = int(random.integers(1, sizes[1] + 1))
    return Case(lambda random: [normal(random, *sizes), whole(k)], outputs=2)


@case("OneHot")
def one_hot(random: Random) -> Case:
    return Case(lambda random: [random.integers(0, 6, 9), whole(6), normal(random, 2)])


@case("NonZero")
def non_zero(random: Random) -> Case:
    sizes = shape(random)
    x = (random.random(sizes) < 0.5).astype(np.float32)
    return Case(lambda random: [x])


@case("Compress")
def compress(random: Random) -> Case:
    sizes = shape(random, 2)
    condition = random.permutation(sizes[0]) % 2 == 0
    return Case(lambda random: [numbers(random, *sizes), condition], {"axis": 0})


@case("ReverseSequence")
def reverse_sequence(random: Random) -> Case:
    steps, batch = shape(random, 2)
    return Case(lambda random: [numbers(random, steps, batch, 3), random.integers(0, steps + 1, batch)])


@case("Unique")
def unique(random: Random) -> Case:
    return Case(lambda random: [np.arange(9, dtype=np.float32)[random.permutation(9)]], outputs=4)


@case("Shape", "Size")
def of_shape(random: Random, op_type: str) -> Case:
    sizes = shape(random)
    return Case(lambda random: [numbers(random, *sizes)])


@case("Reshape")
def reshape(random: Random) -> Case:
    sizes = shape(random, 3)
    return Case(lambda random: [numbers(random, *sizes), whole(-1, sizes[0])])


@case("Flatten")
def flatten(random: Random) -> Case:
    sizes = shape(random, 3)
    return Case(lambda random: [numbers(random, *sizes)], {"axis": int(random.integers(4))})


@case("Transpose")
def transpose(random: Random) -> Case:
    sizes = shape(random, 3)
    return Case(
        lambda random: [numbers(random, *sizes)], {"perm": [int(axis) for axis in random.permutation(3)]}
    )


@case("Squeeze")
def squeeze(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(lambda random: [numbers(random, 1, *sizes), whole(0)])


@case("Unsqueeze")
def unsqueeze(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(lambda random: [numbers(random, *sizes), whole(0, 2)])


@case("Concat")
def concat(random: Random) -> Case:
    sizes = shape(random, 3)
    return Case(lambda random: [numbers(random, *sizes) for _ in range(3)], {"axis": int(random.integers(3))})


@case("Split")
def split(random: Random) -> Case:
    a, b = shape(random, 2)
    return Case(lambda random: [numbers(random, a + b, 3), whole(a, b)], outputs=2)


@case("Slice")
def slice_(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(
        lambda random: [
            numbers(random, *sizes),
            whole(0, -1),
            whole(sizes[0], -999),
            whole(0, 1),
            whole(2, -1),
        ]
    )


@case("Pad")
def pad(random: Random) -> Case:
    sizes = shape(random, 2)
    mode = pick(random, "constant", "edge")
    return Case(lambda random: [numbers(random, *sizes), whole(1, 2, 0, 3)], {"mode": mode})


@case("Expand")
def expand(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(lambda random: [numbers(random, 1, sizes[1]), whole(*sizes)])


@case("Tile")
def tile(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(lambda random: [numbers(random, *sizes), whole(2, 3)])


@case("DepthToSpace")
def depth_to_space(random: Random) -> Case:
    h, w = shape(random, 2)
    return Case(
        lambda random: [numbers(random, 1, 8, h, w)], {"blocksize": 2, "mode": pick(random, "DCR", "CRD")}
    )


@case("SpaceToDepth")
def space_to_depth(random: Random) -> Case:
    h, w = shape(random, 2)
    return Case(lambda random: [numbers(random, 1, 3, 2 * h, 2 * w)], {"blocksize": 2})


@case("Trilu")
def trilu(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(lambda random: [numbers(random, *sizes)], {"upper": int(random.integers(2))})


@case("Where")
def where(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [random.random(sizes) < 0.5, numbers(random, *sizes), numbers(random, *sizes)])


@case("CenterCropPad")
def center_crop_pad(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(lambda random: [numbers(random, *sizes), whole(5, 6)], opset=18)


@case("Constant")
def constant(random: Random) -> Case:
    return Case(lambda random: [], {"value_floats": [float(v) for v in random.standard_normal(4)]})


@case("ConstantOfShape")
def constant_of_shape(random: Random) -> Case:
    sizes = shape(random)
    value = helper.make_tensor("value", TensorProto.FLOAT, [1], [float(np.float32(random.standard_normal()))])
    return Case(lambda random: [whole(*sizes)], {"value": value})


@case("Range")
def range_(random: Random) -> Case:
    count = int(random.integers(40, 100))

    def draw(random: Random) -> list[Array]:
        start, step = np.float32(random.standard_normal()), np.float32(random.uniform(0.1, 2))
        return [np.array(start), np.array(start + step * np.float32(count - 0.5)), np.array(step)]

    return Case(draw)


@case("EyeLike")
def eye_like(random: Random) -> Case:
    sizes = shape(random, 2)
    return Case(lambda random: [numbers(random, *sizes)])


@case("Cast")
def cast(random: Random) -> Case:
    sizes = shape(random)
    return Case(
        lambda random: [numbers(random, *sizes)], {"to": pick(random, TensorProto.FLOAT16, TensorProto.FLOAT)}
    )


@case("CastLike")
def cast_like(random: Random) -> Case:
    sizes = shape(random)
    return Case(lambda random: [numbers(random, *sizes), np.zeros(1, np.float16)])


@case("NonMaxSuppression")
def non_max_suppression(random: Random) -> Case:
    def draw(random: Random) -> list[Array]:
        corner = between(random, 0, 5, 1, 9, 2)
        return [
            np.concatenate([corner, corner + between(random, 1, 4, 1, 9, 2)], axis=2),
            between(random, 0, 1, 1, 2, 9),
            whole(5),
            np.array([0.4], np.float32),
        ]

    return Case(draw)


@case("MaxUnpool")
def max_unpool(random: Random) -> Case:
    return Case(
        lambda random: [numbers(random, 1, 1, 2, 2), np.array([[[[0, 3], [10, 13]]]])],
        {"kernel_shape": [2, 2], "strides": [2, 2]},
    )


@case("TensorScatter")
def tensor_scatter(random: Random) -> Case:
    return Case(
        lambda random: [numbers(random, 2, 3, 8, 4), numbers(random, 2, 3, 2, 4), random.integers(0, 6, 2)],
        opset=24,
    )


def value(name: str, element: int = TensorProto.FLOAT, *sizes: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, sizes)


@case("If")
def if_(random: Random) -> Case:
    sizes = shape(random)
    branches = {
        f"{name}_branch": helper.make_graph(
            [
                helper.make_node(
                    "Constant", [], ["x"], value=numpy_helper.from_array(normal(random, *sizes))
                ),
                helper.make_node(op_type, ["x"], [name]),
            ],
            name,
            [],
            [value(name, TensorProto.FLOAT, *sizes)],
        )
        for name, op_type in (("then", "Tanh"), ("else", "Exp"))
    }
    return Case(lambda random: [np.array(random.random() < 0.5)], branches)


@case("Loop")
def loop(random: Random) -> Case:
    """A state that becomes its tangent again and again."""
    sizes = shape(random)
    nodes = [
        helper.make_node("Tanh", ["state"], ["next"]),
        helper.make_node("Identity", ["going"], ["goes_on"]),
    ]
    counters = [value("i", TensorProto.INT64), value("going", TensorProto.BOOL)]
    state = [value(name, TensorProto.FLOAT, *sizes) for name in ("state", "next")]
    graph = helper.make_graph(
        nodes, "body", [*counters, state[0]], [value("goes_on", TensorProto.BOOL), state[1]]
    )
    return Case(lambda random: [np.array(3), np.array(True), normal(random, *sizes)], {"body": graph})


@case("Scan")
def scan(random: Random) -> Case:
    """The sum of what was before, and its list."""
    steps, size = shape(random, 2)
    nodes = [
        helper.make_node("Add", ["state", "row"], ["next"]),
        helper.make_node("Identity", ["next"], ["listed"]),
    ]
    names = [value(name, TensorProto.FLOAT, size) for name in ("state", "row", "next", "listed")]
    graph = helper.make_graph(nodes, "body", names[:2], names[2:])
    attributes = {"body": graph, "num_scan_inputs": 1}
    return Case(lambda random: [normal(random, size), normal(random, steps, size)], attributes, outputs=2)
