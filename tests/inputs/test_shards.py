"""Arrays spread over files."""

import numpy as np
import pytest

from normdeploy.errors import InputError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.shards import count_samples, open_arrays, read_shards

X = DeclaredInput("x", np.dtype(np.float32), ("N", 2))
Y = DeclaredInput("y", np.dtype(np.float32), ("N",))


@pytest.fixture
def paths(tmp_path):
    for index, rows in enumerate((3, 1)):
        np.save(tmp_path / f"{index}.npy", np.full((rows, 2), index, np.float32))
    return [(tmp_path / "0.npy", 5), (tmp_path / "1.npy", None)]


def test_a_piece_for_each_file(paths):
    found = [
        {name: column.whole().tolist() for name, column in piece.columns.items()}
        for piece in read_shards(paths, [X])
    ]
    assert found == [{"x": [[0, 0]] * 3, "labels": [5, 5, 5]}, {"x": [[1, 1]]}]


def test_counts_come_from_the_headers(paths):
    assert count_samples(paths, [X], by_sample=True) == 4
    assert count_samples(paths, [X], by_sample=False) == 2


def test_an_npy_file_is_one_input(paths):
    with (
        pytest.raises(
            InputError, match=r"0\.npy: one array, and the model's inputs are 'x', 'y'.*numpy\.savez"
        ),
        open_arrays(paths[0][0], [X, Y]),
    ):
        pass


def test_labels_twice(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((1, 2)), labels=np.ones(1, int))
    with pytest.raises(InputError, match=r"a\.npz: holds 'labels', and its folder or the table"):
        list(read_shards([(tmp_path / "a.npz", 3)], [X]))
