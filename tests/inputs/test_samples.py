import contextlib

import numpy as np
import pytest
from ml_dtypes import bfloat16

from normdeploy.errors import InputError, UsageError
from normdeploy.inputs.declared import DeclaredInput, has_sample_axis, with_shapes
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

    @pytest.mark.parametrize(
        "dtype",
        [
            np.float16,
            np.float32,
            np.float64,
            bfloat16,
            np.int8,
            np.uint8,
            np.int32,
            np.int64,
            np.uint16,
            bool,
        ],
    )
    def test_types_are_respected_and_values_vary(self, dtype):
        for batch in batches([declared("x", "N", 50, dtype=dtype)]):
            array = batch.inputs["x"]
            assert array.dtype == dtype
            assert len(np.unique(array.astype(np.float64))) > 1
            assert np.isfinite(array.astype(np.float64)).all()

    def test_a_batch_name_is_one_wherever_it_stands(self):
        found = batches([declared("x", "N", 3), declared("mask", 2, "N")])
        assert found[0].inputs["mask"].shape == (2, 1)

    def test_an_unknown_size_asks_for_a_shape(self):
        with pytest.raises(
            InputError, match=r"'x' is declared as \[N, 3, H, W\].* axis 2 .*--shape x:1x3x224x224"
        ):
            batches([declared("x", "N", 3, "H", "W")])

    def test_an_unknown_rank_asks_for_a_shape(self):
        with pytest.raises(InputError, match="'x' has no declared shape: pass one, such as  --shape x:1x"):
            batches([DeclaredInput("x", F32, None)])

    def test_strings_ask_for_data(self):
        with pytest.raises(InputError, match="'x' is of type string: give it with --data"):
            batches([declared("x", 1, dtype=object)])

    def test_a_huge_shape_is_refused_before_anything_is_allocated(self):
        with pytest.raises(InputError, match=r"'x' of shape \[100000, 100000, 100000\] would take .* GiB"):
            batches([declared("x", 10**5, 10**5, 10**5)])

    def test_scalars(self):
        assert batches([declared("x")])[0].inputs["x"].shape == ()

    def test_a_model_without_inputs(self):
        assert batches([], samples=2)[1].inputs == {}


class TestShapes:
    def test_a_shape_fixes_sizes_by_name_everywhere(self):
        inputs = with_shapes([declared("x", "N", "H"), declared("y", "N", "H", 2)], {"x": (2, 5)})
        assert inputs[1].dims == (2, 5, 2)

    @pytest.mark.parametrize("shape", [(1, 4, 4, 4), (1, 3, 4), (1, 3, 5, 4)])
    def test_a_shape_against_the_declared_one(self, shape):
        with pytest.raises(InputError, match="given for 'x' does not fit: it is declared as float32"):
            with_shapes([IMAGE], {"x": shape})

    def test_shapes_against_each_other(self):
        with pytest.raises(InputError, match=r"given for 'y' does not fit.* with N = 2"):
            with_shapes([declared("x", "N"), declared("y", "N")], {"x": (2,), "y": (3,)})

    def test_an_unknown_input(self):
        with pytest.raises(UsageError, match="given for 'z', but the model's inputs are 'x'"):
            with_shapes([IMAGE], {"z": (1,)})

    def test_a_size_of_zero(self):
        with pytest.raises(UsageError, match="below 1"):
            with_shapes([IMAGE], {"x": (0, 3, 4, 4)})

    def test_a_shape_for_an_unknown_rank(self):
        assert with_shapes([DeclaredInput("x", F32, None)], {"x": (2, 3)})[0].dims == (2, 3)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([declared("x", "N", 3)], True),
        ([declared("x", "N", 3), declared("y", "N")], True),
        ([declared("x", 2, 3), declared("y", 2), declared("scale")], True),
        ([declared("x", "N", 3), declared("y", "M")], False),
        ([declared("x", "seq", "N"), declared("y", "N")], False),
        ([declared("x", "N", "N")], False),
        ([declared("scale")], False),
        ([DeclaredInput("x", F32, None)], False),
    ],
)
def test_which_inputs_have_samples_along_their_first_axis(inputs, expected):
    assert has_sample_axis(inputs) is expected


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
            ({"x": ramp(1, 3, 4, 4, dtype=np.float64)}, r"has type float64.*\.astype\('float32'\)"),
            ({"x": ramp(1, 3, 4, 4, dtype=np.int32)}, "has type int32"),
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


class TestFiles:
    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match=r"no\.npz: cannot be read \(No such file"):
            batches([IMAGE], tmp_path / "no.npz")

    def test_a_file_of_another_kind(self, tmp_path):
        path = tmp_path / "x.npz"
        path.write_bytes(b"not a zip file")
        with pytest.raises(InputError, match=r"not an \.npz file"):
            batches([IMAGE], path)

    def test_pickled_objects_are_refused(self, tmp_path):
        path = tmp_path / "x.npz"
        np.savez(path, x=np.array([{"a": 1}], dtype=object))
        with pytest.raises(InputError, match="'x' holds pickled Python objects"):
            batches([IMAGE], path)

    def test_every_truncation_and_flipped_byte_is_an_error_or_harmless(self, tmp_path):
        whole = saved(tmp_path, x=ramp(2, 3, 4, 4)).read_bytes()
        path = tmp_path / "damaged.npz"
        for position in range(0, len(whole), 7):
            flipped = bytearray(whole)
            flipped[position] ^= 0xFF
            for damaged in (whole[:position], bytes(flipped)):
                path.write_bytes(damaged)
                with contextlib.suppress(InputError):
                    batches([IMAGE], path)

    def test_a_header_that_promises_more_than_there_is(self, tmp_path):
        import io
        import zipfile

        from numpy.lib import format as npy

        buffer = io.BytesIO()
        npy.write_array_header_1_0(
            buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 3, 4, 4)}
        )
        path = tmp_path / "bomb.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", buffer.getvalue() + b"\0" * 100)
        with pytest.raises(InputError, match="array 'x' cannot be read"):
            batches([IMAGE], path)
