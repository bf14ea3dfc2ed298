"""Arrays of any name and type come back as they were."""

import numpy as np

from normdeploy.validation.reduction.writing import SmallFiles, write_arrays


def test_names_that_numpy_savez_cannot_write(tmp_path):
    arrays = {
        "file": np.arange(3),
        "/layer/x:0": np.ones((2, 2), np.float16),
        "text": np.array(["a", "bc"], object),
    }
    write_arrays(arrays, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as found:
        assert set(found.files) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


def test_what_stands_beside_the_model(tmp_path):
    files = SmallFiles(tmp_path / "a.b.onnx", has_original=True)
    assert [file.name for file in files.all] == [
        "a.b.onnx", "a.b.reference.onnx", "a.b.npz", "a.b.expected.npz", "a.b.md",
    ]  # fmt: skip
    assert [file.name for file in SmallFiles(tmp_path / "model", False, False).all] == [
        "model", "model.npz", "model.md",
    ]  # fmt: skip
