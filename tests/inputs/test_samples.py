"""The batches of a check, generated or from a user's arrays."""

import numpy as np
import pytest
from ml_dtypes import bfloat16

from normdeploy.errors import InputError, UsageError
from normdeploy.inputs.declared import DeclaredInput
from normdeploy.inputs.samples import open_samples

F32, I64 = np.dtype(np.float32), np.dtype(np.int64)


def declared(name, *dims, dtype=F32):
    return DeclaredInput(name, np.dtype(dtype), dims)


IMAGE = declared("x", "N", 3, 4, 4)


def batches(inputs, data=None, samples=None, seed=0):
    with open_samples(inputs, data, samples, seed) as opened:
        found = list(opened.batches)
        assert sum(batch.samples for batch in found) == opened.count
        return found


def ramp(*shape, dtype=np.float32):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def saved(tmp_path, **arrays):
    path = tmp_path / "inputs.npz"
    np.savez_compressed(path, **arrays)
    return path


class TestGenerated:
    def test_eight_single_samples_by_default(self):
        found = batches([IMAGE])
        assert [batch.inputs["x"].shape for batch in found] == [(1, 3, 4, 4)] * 8

    def test_a_fixed_batch_is_filled(self):
        found = batches([declared("x", 3, 2)], samples=7)
        assert [batch.samples for batch in found] == [3, 3, 3]

    def test_the_seed_decides(self):
        first, again, other = (batches([IMAGE], seed=seed) for seed in (1, 1, 2))
        assert (first[3].inputs["x"] == again[3].inputs["x"]).all()
        assert (first[3].inputs["x"] != other[3].inputs["x"]).any()
        assert (first[3].inputs["x"] != first[0].inputs["x"]).any()

    def test_scalars(self):
        assert batches([declared("x")])[0].inputs["x"].shape == ()

    def test_a_model_without_inputs(self):
        assert batches([], samples=2)[1].inputs == {}


@pytest.mark.parametrize("from_file", [True, False])
class TestData:
    def give(self, from_file, tmp_path, **arrays):
        return saved(tmp_path, **arrays) if from_file else arrays

    def test_all_samples_in_order(self, from_file, tmp_path):
        x = ramp(150, 3, 4, 4)
        found = batches([IMAGE], self.give(from_file, tmp_path, x=x))
        assert len(found) == 3
        assert (np.concatenate([batch.inputs["x"] for batch in found]) == x).all()

    def test_fewer_samples(self, from_file, tmp_path):
        found = batches([IMAGE], self.give(from_file, tmp_path, x=ramp(150, 3, 4, 4)), samples=70)
        assert [batch.samples for batch in found] == [64, 6]

    def test_a_fixed_batch_is_filled_with_the_last_sample(self, from_file, tmp_path):
        x, labels = ramp(5, 3), np.arange(5)
        found = batches([declared("x", 2, 3)], self.give(from_file, tmp_path, x=x, labels=labels))
        assert [batch.samples for batch in found] == [2, 2, 1]
        assert (found[2].inputs["x"] == x[[4, 4]]).all()
        assert found[2].labels.tolist() == [4]

    def test_several_inputs_and_a_constant(self, from_file, tmp_path):
        data = self.give(from_file, tmp_path, x=ramp(3, 2), y=ramp(3), scale=np.float32(2))
        found = batches([declared("x", 1, 2), declared("y", 1), declared("scale")], data)
        assert [batch.inputs["y"].tolist() for batch in found] == [[0], [1], [2]]
        assert [float(batch.inputs["scale"]) for batch in found] == [2, 2, 2]

    def test_arrays_without_a_common_axis_are_one_sample(self, from_file, tmp_path):
        inputs = [declared("x", "seq", "N"), declared("y", "N")]
        found = batches(inputs, self.give(from_file, tmp_path, x=ramp(7, 2), y=ramp(2)))
        assert [batch.inputs["x"].shape for batch in found] == [(7, 2)]

    def test_columns_of_fortran_order(self, from_file, tmp_path):
        x = np.asfortranarray(ramp(70, 3, 4, 4))
        found = batches([IMAGE], self.give(from_file, tmp_path, x=x))
        assert (np.concatenate([batch.inputs["x"] for batch in found]) == x).all()

    def test_bfloat16_and_strings(self, from_file, tmp_path):
        x, text = ramp(3, 2).astype(bfloat16), np.array(["a", "b", "ü"])
        inputs = [declared("x", "N", 2, dtype=bfloat16), declared("text", "N", dtype=object)]
        (batch,) = batches(inputs, self.give(from_file, tmp_path, x=x, text=text))
        assert batch.inputs["x"].dtype == bfloat16
        assert (batch.inputs["x"] == x).all()
        assert batch.inputs["text"].tolist() == ["a", "b", "ü"]

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            (
                {"y": ramp(1, 3, 4, 4)},
                r"'y' is no input of the model, which takes 'x' \(float32 \[N, 3, 4, 4\]\)",
            ),
            ({}, "there is no array 'x'"),
            ({"x": ramp(1, 3, 4, 4, dtype=np.int32)}, r"has type int32.*\.astype\('float32'\)"),
            ({"x": ramp(1, 3, 4, 4).astype(np.complex64)}, "has type complex64"),
            (
                {"x": ramp(1, 3, 4, 5)},
                r"has shape \[1, 3, 4, 5\], and the model takes float32 \[N, 3, 4, 4\]",
            ),
            ({"x": ramp(3, 4, 4)}, r"has shape \[3, 4, 4\]"),
            ({"x": np.float32(1)}, r"has shape \[\]"),
            ({"x": np.zeros((0, 3, 4, 4), np.float32)}, "holds no samples"),
            ({"x": ramp(2, 3, 4, 4), "labels": np.arange(3)}, "differ: 'x' 2, 'labels' 3"),
            (
                {"x": ramp(2, 3, 4, 4), "labels": np.ones(2)},
                "'labels' must be one integer per sample, got float64",
            ),
        ],
    )
    def test_arrays_that_do_not_fit(self, from_file, tmp_path, arrays, message):
        with pytest.raises(InputError, match=message):
            batches([IMAGE], self.give(from_file, tmp_path, **arrays))

    def test_names_for_sizes_have_to_agree(self, from_file, tmp_path):
        inputs = [declared("x", "N", "L"), declared("y", "N", "L")]
        with pytest.raises(InputError, match="'y' has shape"):
            batches(inputs, self.give(from_file, tmp_path, x=ramp(2, 5), y=ramp(2, 6)))

    def test_no_samples_asked_for(self, from_file, tmp_path):
        with pytest.raises(UsageError, match="samples must be at least 1, got 0"):
            batches([IMAGE], self.give(from_file, tmp_path, x=ramp(1, 3, 4, 4)), samples=0)
