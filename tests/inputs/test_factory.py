"""What users' functions yield."""

import sys

import numpy as np
import pytest

from normdeploy.errors import InputError
from normdeploy.inputs.factory import factory_sets


@pytest.fixture
def factory(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))

    def factory(text):
        path = tmp_path / "loader.py"
        path.write_text("import numpy as np\n" + text)
        return list(factory_sets(f"{path}:load"))

    return factory


def test_a_generator_as_polygraphy_has_it(factory):
    sets = factory("def load():\n    for i in range(3):\n        yield {'x': np.full((1, 2), i)}\n")
    assert [array["x"].tolist() for _, array in sets] == [[[0, 0]], [[1, 1]], [[2, 2]]]
    assert sets[2][0].endswith("loader.py:load, item 2")


def test_a_list_and_nested_lists(factory):
    (found,) = factory("def load():\n    return [{'x': [[1.0, 2.0]]}]\n")
    assert found[1]["x"].dtype == np.float64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def load(): return []\n", "loader.py:load: yields nothing"),
        ("def load(): return {'x': 1}\n", "must yield {name: array} for each .*, and gives dict"),
        ("def load(): return None\n", "gives NoneType"),
        ("def load(): yield [1]\n", "item 0: must be {name: array}, and is list"),
        ("def load(): yield {1: [1]}\n", "item 0: must be {name: array}"),
        ("def load():\n    yield {'x': 1}\n    raise OSError('gone')\n", "py:4: item 1 .*: OSError: gone"),
        ("def load(n): pass\n", r"loader.py: '.*' failed: TypeError: load\(\) missing 1"),
        ("def load(): yield {'x': [[1], [1, 2]]}\n", "item 0 of .* failed: ValueError"),
    ],
)  # fmt: skip
def test_what_is_refused(factory, text, message):
    with pytest.raises(InputError, match=message):
        factory(text)
