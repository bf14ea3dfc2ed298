"""What a user's data is taken for, and the batches that come of it."""

import sys

import numpy as np
import pytest

from normdeploy.errors import InputError, MissingDependencyError, UsageError
from normdeploy.inputs import images
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.images import ImageOptions
from normdeploy.inputs.samples import open_samples
from normdeploy.inputs.sources import Preparation

X = DeclaredInput("x", np.dtype(np.float32), ("N", 1, 4, 4))


@pytest.fixture(autouse=True)
def _own_path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def taken(data, inputs=(X,), samples=None, **preparation):
    """Everything that comes of the data: count, arrays, labels, remarks."""
    with open_samples(list(inputs), data, samples, 0, Preparation(**preparation)) as opened:
        batches = list(opened.batches)
    rows = sum(batch.samples for batch in batches)
    assert opened.count in (rows, None)
    assert opened.labelled == (batches[0].labels is not None)
    name = inputs[0].name
    arrays = np.concatenate([batch.inputs[name][: batch.samples] for batch in batches])
    labels = np.concatenate([batch.labels for batch in batches]) if opened.labelled else None
    return arrays, labels, opened.remarks


def grey(count=5, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 4, 4)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Five images in two classes, in the order of their paths."""
    Image = pytest.importorskip("PIL.Image")  # noqa: N806
    for index, image in enumerate(grey()):
        place = tmp_path / "data" / ("cat" if index < 3 else "dog") / f"{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0]).save(place)
    return tmp_path / "data"


def test_npy(tmp_path):
    x = grey().astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    assert np.array_equal(taken(tmp_path / "x.npy")[0], x)
    assert np.array_equal(taken(str(tmp_path / "x.npy"), samples=2)[0], x[:2])


def test_a_folder_of_images(folder):
    arrays, labels, remarks = taken(folder)
    assert np.array_equal(arrays, grey())
    assert labels.tolist() == [0, 0, 0, 1, 1]
    assert len(remarks) == 1
    assert "numbers from 0 to 255 (grey)" in remarks[0]
    assert len(taken(folder, samples=2)[0]) == 2


def test_one_image(folder):
    arrays, labels, _ = taken(folder / "dog" / "3.png")
    assert np.array_equal(arrays, grey()[3:4])
    assert labels is None


def test_images_with_options_and_a_table(folder, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"{'cat' if i < 3 else 'dog'}/{i}.png,{9 - i}\n" for i in range(5)))
    arrays, labels, remarks = taken(folder, preprocess=ImageOptions(std=(255.0,)), labels=table)
    assert np.array_equal(arrays, grey() / np.float32(255))
    assert labels.tolist() == [9, 8, 7, 6, 5]
    assert remarks == []


def test_images_through_a_function_see_rgb(folder):
    def function(image):
        assert (image.dtype, image.shape) == (np.uint8, (4, 4, 3))
        return image[np.newaxis, ..., 0].astype(np.float32)

    arrays, labels, remarks = taken(folder, preprocess=function)
    assert np.array_equal(arrays, grey())
    assert labels.tolist() == [0, 0, 0, 1, 1]
    assert remarks == []


def test_a_corrupt_image_is_named(folder):
    (folder / "dog" / "4.png").write_bytes((folder / "dog" / "4.png").read_bytes()[:60])
    with pytest.raises(InputError, match=r"dog/4\.png: cannot be read as an image"):
        taken(folder)


def test_images_are_read_when_they_are_reached(folder):
    (folder / "dog" / "4.png").write_text("")
    fixed = DeclaredInput("x", np.dtype(np.float32), (1, 1, 4, 4))
    assert len(taken(folder, [fixed], samples=4)[0]) == 4


def test_images_fill_one_input(folder):
    with pytest.raises(InputError, match=r"images fill one input, and the model has 2: use a factory"):
        taken(folder, [X, DeclaredInput("y", np.dtype(np.float32), ("N",))])


def test_without_pillow(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'normdeploy\[images\]'"):
        images.require_pillow()


def shards(tmp_path, **files):
    folder = tmp_path / "shards"
    folder.mkdir()
    for name, arrays in files.items():
        np.savez(folder / f"{name}.npz", **arrays)
    return folder


def test_a_folder_of_shards(tmp_path):
    x = grey(150).astype(np.float32)
    labels = np.arange(150)
    parts = {
        f"part{i}": {"x": x[i * 50 : i * 50 + 50], "labels": labels[i * 50 : i * 50 + 50]} for i in range(3)
    }
    folder = shards(tmp_path, **parts)
    arrays, found, remarks = taken(folder)
    assert np.array_equal(arrays, x)
    assert np.array_equal(found, labels)
    assert remarks == []
    assert np.array_equal(taken(folder, samples=70)[0], x[:70])
    (folder / "part2.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"part2\.npz"):
        taken(folder, samples=70)


def test_shards_that_differ(tmp_path):
    x = grey(2).astype(np.float32)
    folder = shards(tmp_path, a={"x": x, "labels": np.arange(2)}, b={"x": x})
    with pytest.raises(InputError, match=r"b\.npz: has no 'labels', and .*a\.npz has"):
        taken(folder)
    np.savez(folder / "b.npz", x=x[..., :2], labels=np.arange(2))
    with pytest.raises(InputError, match=r"b\.npz: array 'x' has shape \[2, 1, 4, 2\]"):
        taken(folder)


def test_shards_without_a_common_axis_are_a_sample_each(tmp_path):
    inputs = [
        DeclaredInput("x", np.dtype(np.float32), ("L", "N")),
        DeclaredInput("y", np.dtype(np.float32), ("N",)),
    ]
    sample = {"x": np.ones((5, 2), np.float32), "y": np.ones(2, np.float32)}
    folder = shards(tmp_path, a=sample, b=sample)
    with open_samples(inputs, folder, None, 0) as opened:
        assert opened.count == len(list(opened.batches)) == 2


def test_arrays_through_a_function(tmp_path):
    np.savez(tmp_path / "x.npz", pictures=grey(), labels=np.arange(5))
    file = tmp_path / "scale.py"
    file.write_text("def scale(x):\n    return x.astype('float32') / 255\n")
    arrays, labels, _ = taken(tmp_path / "x.npz", preprocess=f"{file}:scale")
    assert np.array_equal(arrays, grey().astype(np.float32) / 255)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(taken({"pictures": grey()}, preprocess=f"{file}:scale")[0], arrays)


def test_a_factory(tmp_path):
    file = tmp_path / "loader.py"
    file.write_text(
        "import numpy as np\n"
        "def load():\n"
        "    for i in range(5):\n"
        "        yield {'x': np.full((1, 4, 4), i, 'float32'), 'labels': i}\n"
    )
    arrays, labels, _ = taken(f"{file}:load")
    assert arrays[:, 0, 0, 0].tolist() == labels.tolist() == [0, 1, 2, 3, 4]
    assert len(taken(f"{file}:load", samples=3)[0]) == 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ("{'z': 1}", "item 0: array 'z' is no input of the model"),
        ("{}", "item 0: there is no array 'x'"),
        ("{'x': np.ones((1, 1, 4, 5), 'float32')}", r"item 0: array 'x' has shape \[1, 1, 4, 5\]"),
        ("{'x': np.ones((1, 4, 4), 'int64')}", "item 0: array 'x' has type int64"),
    ],
)
def test_a_factory_whose_arrays_do_not_fit(tmp_path, arrays, message):
    file = tmp_path / "loader.py"
    file.write_text(f"import numpy as np\ndef load():\n    yield {arrays}\n")
    with pytest.raises(InputError, match=message):
        taken(f"{file}:load")


def test_a_factory_without_end_is_cut(tmp_path):
    file = tmp_path / "loader.py"
    file.write_text(
        "import numpy as np\ndef load():\n    while True: yield {'x': np.ones((1, 1, 4, 4), 'float32')}\n"
    )
    assert len(taken(f"{file}:load", samples=100)[0]) == 100


@pytest.mark.parametrize(
    ("data", "preparation", "message"),
    [
        ({"x": grey()}, {"labels": "a.csv"}, "a table of labels belongs to a folder"),
        (
            {"x": grey()},
            {"preprocess": ImageOptions(std=(2.0,))},
            "--layout are for images: use --preprocess",
        ),
        ("loader.py:load", {"preprocess": abs}, "yields what the model takes: call the preprocessing there"),
        ("loader.py", {}, "loader.py: name the function in it that yields"),
        (None, {"preprocess": abs}, "preprocessing and labels are for data: give --data too"),
    ],
)
def test_preparations_of_other_data(data, preparation, message):
    with pytest.raises(UsageError, match=message):
        taken(data, **preparation)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_float32_data_is_cast_for_a_model_in_half_precision(name):
    import ml_dtypes

    dtype = np.dtype(getattr(ml_dtypes, name, name))
    model = DeclaredInput("x", dtype, ("N", 3))
    x = np.array([[0.1, 1000.3, -7]], np.float32)
    arrays, _, remarks = taken({"x": x}, [model])
    assert arrays.dtype == dtype
    assert np.array_equal(arrays, x.astype(dtype))
    assert remarks == [f"the data of 'x' is cast from float32 to {name}"]
    assert taken({"x": x.astype(dtype)}, [model])[2] == []


def test_what_float16_cannot_hold_is_refused():
    model = DeclaredInput("x", np.dtype(np.float16), ("N", 2))
    with pytest.raises(InputError, match="'x' reaches 70000, which float16 cannot hold: scale the data"):
        taken({"x": np.array([[70000, 1]], np.float32)}, [model])
    assert np.isinf(taken({"x": np.array([[np.inf, 1]], np.float32)}, [model])[0]).any(), (
        "it was infinite before"
    )


INTERFACES = {
    "images": [X],
    "a fixed batch": [DeclaredInput("x", np.dtype(np.float32), (2, 3))],
    "two": [DeclaredInput("x", np.dtype(np.float32), ("N", 3)), DeclaredInput("y", np.dtype("i8"), ("N",))],
    "a scalar beside it": [X, DeclaredInput("rate", np.dtype(np.int64), ())],
    "a scalar": [DeclaredInput("x", np.dtype(np.float32), ())],
    "no common axis": [
        DeclaredInput("x", np.dtype(np.float32), (2, "N")),
        DeclaredInput("y", np.dtype(np.float32), ("N", 3)),
    ],
    "texts": [DeclaredInput("x", np.dtype(object), ("N",))],
    "any rank": [DeclaredInput("x", np.dtype(np.float32), None)],
    "nothing": [],
}

VALUES = [
    None, True, 3, 2.5, "text", b"bytes", object(), [], [1.0, 2.0], [[1], [2, 3]], ["a", "b"], [None, None],
    np.float32(1), np.array(None), np.zeros(0, np.float32), np.zeros((0, 1, 4, 4), np.float32),
    np.zeros((1, 1, 4, 4), np.float32), np.zeros((3, 1, 4, 4), np.float32), np.zeros((1, 4, 4), np.float32),
    np.zeros((1, 1, 1, 4, 4), np.float32), np.ones((4, 4), np.float16), np.ones((2, 3), np.complex64),
    np.ones((2, 3), ">f4"), np.array(["2001-01-01"], "M8[D]"), np.zeros(2, [("a", "f4")]),
    np.ma.masked_array([1.0, 2.0], [True, False]), range(3), (value for value in (1, 2)), {"x": 1}, {1, 2},
]  # fmt: skip
"""What a function may give for an array, of its own will or by mistake."""


@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("index", range(len(VALUES)))
def test_whatever_a_function_gives_ends_in_samples_or_in_one_line(tmp_path, monkeypatch, interface, index):
    """From a factory and from preprocessing, once and again and again, alone, by name and beside labels."""
    inputs, value = INTERFACES[interface], VALUES[index]
    path = tmp_path / "loader.py"
    path.write_text("def load():\n    yield from items\n")
    results = [
        value,
        {"x": value},
        {"x": value, "labels": 0},
        {"x": np.zeros((1, 1, 4, 4), np.float32), "labels": value},
        *({declared.name: value for declared in inputs} for _ in range(2)),
        {1: value},
    ]
    for result in results:
        for count in (1, 3):
            monkeypatch.setattr("builtins.items", [result] * count, raising=False)
            ends(inputs, f"{path}:load")
            data = {declared.name: np.zeros((count, 2), np.float32) for declared in inputs}
            ends(inputs, data, preprocess=lambda _, result=result: result)


def ends(inputs, data, **preparation):
    """Samples, or an error of one line that does not blame normdeploy."""
    refusal = ""
    try:
        with open_samples(inputs, data, None, 0, Preparation(**preparation)) as opened:
            for batch in opened.batches:
                assert batch.inputs.keys() == {declared.name for declared in inputs}
    except (InputError, UsageError) as error:
        refusal = str(error)
    assert "\n" not in refusal
