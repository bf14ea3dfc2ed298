"""What `inspect` shows of a model besides its layers, which the tests of graph/ hold."""

import numpy as np
import pytest
from onnx import helper

import normdeploy as nd
from tests.builders import conv_lrn, model


def shown(*arguments, **options):
    return str(nd.inspect(*arguments, **options)).splitlines()


def test_how_the_data_is_taken_is_said_and_is_in_the_json():
    found = nd.inspect(conv_lrn(dtype=np.float16), data={"x": np.ones((2, 3, 6, 6), np.float32)})
    note = "the data of 'x' is cast from float32 to float16"
    assert list(found.remarks) == found.to_json()["remarks"] == [note]
    assert f"note: {note}" in str(found).splitlines()


def test_images_that_are_left_as_they_are_are_noted(tmp_path):
    image = pytest.importorskip("PIL.Image", reason="the extra images")
    image.fromarray(np.zeros((6, 6, 3), np.uint8)).save(tmp_path / "a.png")
    assert any("numbers from 0 to 255" in line for line in shown(conv_lrn(), data=tmp_path))


def test_without_data_there_is_nothing_to_note():
    assert nd.inspect(conv_lrn()).to_json()["remarks"] == []


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.ones((), np.float32), "1 tensor of float32, 1 element, 4 bytes"),
        (np.ones(1023, np.uint8), "1 tensor of uint8, 1,023 elements, 1023 bytes"),
        (np.ones(1536, np.uint8), "1 tensor of uint8, 1,536 elements, 1.5 KiB"),
        (np.ones(2**20, np.float32), "1 tensor of float32, 1,048,576 elements, 4.0 MiB"),
    ],
)
def test_sizes_are_in_a_unit_that_shows_them(array, words):
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    proto = model([node], {"x": (kind, list(array.shape))}, {"y": (kind, list(array.shape))}, {"w": array})
    assert f"initializers: {words}" in shown(proto)
