"""Functions from users' files."""

import colorsys
import sys

import pytest

from normdeploy.errors import ExportError, InputError, UsageError
from normdeploy.inputs.user_code import array_of, arrays_of, is_function_reference, load_function, user_code


def write(tmp_path, text, name="mine.py"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_what_names_a_function():
    assert is_function_reference("a/b.py:load")
    assert is_function_reference("C:\\a.py:load")
    assert not is_function_reference("a.npz")
    assert not is_function_reference("a.py:")


def test_a_function_with_a_module_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    write(tmp_path, "def three():\n    return 3\n", "beside_it_here.py")
    path = write(tmp_path, "from beside_it_here import three\n")
    function, found = load_function(f"{path}:three")
    assert function() == 3
    assert found == path


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mine.py:other", r"mine\.py: has no function 'other'"),
        ("mine.py:number", "has no function 'number'"),
        ("no.py:load", r"no\.py: no such file"),
        ("mine", "'.*mine': name a function as FILE.py:FUNCTION"),
    ],
)
def test_references_that_lead_nowhere(tmp_path, reference, message):
    write(tmp_path, "number = 3\n")
    with pytest.raises(UsageError, match=message):
        load_function(f"{tmp_path / reference}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nraise KeyError('mean')\n", r"mine\.py:2: running it failed: KeyError: 'mean'"),
        ("def f(:\n", r"mine\.py:1: running it failed: SyntaxError"),
        ("import no_such_module_anywhere\n", "mine.py:1: running it failed: ModuleNotFoundError"),
        ("import sys\nsys.exit(0)\n", "mine.py:2: running it failed: SystemExit"),
        ("raise ValueError('two\\nlines')\n", "ValueError: two lines$"),
    ],
)
def test_code_that_fails(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message):
        load_function(f"{path}:f")


def test_the_users_line_is_named_and_not_that_of_a_library(tmp_path):
    path = write(tmp_path, "import json\n\n\ndef f():\n    return json.loads('{')\n")
    function, _ = load_function(f"{path}:f")
    with (
        pytest.raises(InputError, match=r"mine\.py:5: reading failed: JSONDecodeError"),
        user_code(path, "reading"),
    ):
        function()


def test_what_it_prints_is_no_result(tmp_path, capsys):
    path = write(tmp_path, "print('loaded')\ndef f(): pass\n")
    load_function(f"{path}:f")
    assert capsys.readouterr() == ("", "loaded\n")


def test_dataclasses_and_names_of_libraries(tmp_path):
    """A module that is called as a library does not take its place."""
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    path = write(tmp_path, text + "@dataclass\nclass f:\n    x: int = 3\n", "colorsys.py")
    function, _ = load_function(f"{path}:f")
    assert function().x == 3
    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)
    assert sys.modules["colorsys"] is colorsys


def test_the_error_may_be_another(tmp_path):
    path = write(tmp_path, "1 / 0\n")
    with pytest.raises(ExportError, match=r"mine\.py:1: running it failed: ZeroDivisionError"):
        load_function(f"{path}:f", ExportError)


def test_arrays():
    found = arrays_of({"x": [1.5], "y": 3}, "here")
    assert {name: array.tolist() for name, array in found.items()} == {"x": [1.5], "y": 3}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([1], "here: must be {name: array}, and is list"),
        ({1: [1]}, "here: must be {name: array}, and has 1 for a name"),
        ({"x": None}, "here, 'x': must be an array, and is None"),
    ],
)
def test_what_is_no_array(result, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        arrays_of(result, "here")


def test_nothing_is_no_array():
    with pytest.raises(InputError, match=r"^here: must be an array, and is None$"):
        array_of(None, "here")
