"""Tensors in files beside the model: what is written, and that nothing of others is touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import onnx
import pytest

import normdeploy as nd
from normdeploy.errors import ModelError, UsageError
from normdeploy.graph.io import load, save
from tests.builders import data_file
from tests.graph.tensors_in_files import X, adding, expected, external, result, written
from tests.killing import killed_at_each_call

OPTIMIZE = "import sys, normdeploy as nd; nd.optimize(sys.argv[1], verify=False).save(sys.argv[2])"


def test_data_of_another_model_is_never_replaced(tmp_path):
    """A model that keeps its tensors where ours would have put them still reads them afterwards."""
    other = written(tmp_path, "orig.onnx", 1.0, "model.onnx.data")
    before = (tmp_path / "model.onnx.data").read_bytes()
    for _ in range(2):
        nd.optimize(other).save(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx.data").read_bytes() == before
    assert result(other) == result(tmp_path / "model.onnx") == expected(1.0)


def test_the_data_that_a_model_had_before_goes(tmp_path):
    path = written(tmp_path, "m.onnx", 1.0, "m.onnx.data")
    for first in (21.0, 31.0):
        source = written(tmp_path, "source.onnx", first, "source.bin")
        save(load(source), path)
        assert result(path) == expected(first)
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "m.onnx", "source.onnx", "source.bin", data_file(path).name,
    }  # fmt: skip


@pytest.mark.parametrize("copy", ["copy.onnx", "m.onnx.bak", "m.onnx~", "old", "m.ONNX"])
def test_data_that_a_copy_of_the_model_needs_stays(tmp_path, copy):
    save(load(written(tmp_path, "s.onnx", 1.0, "s.bin")), tmp_path / "m.onnx")
    shutil.copy(tmp_path / "m.onnx", tmp_path / copy)
    save(load(written(tmp_path, "s.onnx", 11.0, "s.bin")), tmp_path / "m.onnx")
    assert result(tmp_path / copy) == expected(1.0)
    assert result(tmp_path / "m.onnx") == expected(11.0)


def test_data_that_a_model_in_the_folder_above_needs_stays(tmp_path):
    (tmp_path / "sub").mkdir()
    inner = written(tmp_path / "sub", "m.onnx", 1.0, "m.onnx.data")
    outer = tmp_path / "outer.onnx"
    outer.write_bytes(adding(external("w", "sub/m.onnx.data")).SerializeToString())
    nd.optimize(inner).save(inner)
    assert result(outer) == result(inner) == expected(1.0)


def test_data_that_a_link_leads_to_stays(tmp_path):
    path = written(tmp_path, "m.onnx", 1.0, "m.onnx.data")
    (tmp_path / "link").symlink_to("m.onnx.data")
    nd.optimize(path).save(path)
    assert (tmp_path / "link").exists()


@pytest.mark.parametrize(
    "name", ["model", ".onnx", "tensors.data", "m.bin", "m.onnx.bak", "m.onnx.0123456789abcdef.data"]
)
def test_a_model_of_any_name_has_its_data(tmp_path, name):
    """Also when it is written once more, and then without the old data."""
    for first in (1.0, 11.0):
        save(load(written(tmp_path, "s.onnx", first, "s.bin")), tmp_path / name)
        assert result(tmp_path / name) == expected(first)
    assert len(os.listdir(tmp_path)) == 4


def test_a_model_is_not_written_over_its_own_tensors(tmp_path):
    path = written(tmp_path, "m.onnx", 1.0, "w.bin")
    with pytest.raises(UsageError, match=r"w\.bin: holds tensors of the model"):
        nd.optimize(path).save(tmp_path / "w.bin")
    assert result(path) == expected(1.0)


def test_no_data_goes_beside_a_file_in_another_folder_that_a_link_names(tmp_path):
    """The link would be a model without its tensors."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link.onnx").symlink_to("real/m.onnx")
    path = written(tmp_path, "m.onnx", 1.0, "w.bin")
    with pytest.raises(UsageError, match=r"link\.onnx: is a link into another folder.*real/m\.onnx"):
        nd.optimize(path).save(tmp_path / "link.onnx")
    assert os.listdir(tmp_path / "real") == []


def test_standard_output_takes_a_model_with_its_tensors(tmp_path, capsysbinary):
    save(load(written(tmp_path, "m.onnx", 1.0, "w.bin")), "-")
    found = nd.evaluate(onnx.load_from_string(capsysbinary.readouterr().out), {"x": X})
    assert found["y"].tolist() == expected(1.0)


def test_a_path_that_is_not_utf8_is_refused(tmp_path):
    source = load(written(tmp_path, "m.onnx", 1.0, "w.bin"))
    odd = tmp_path / os.fsdecode(b"\xff.onnx")
    with pytest.raises(UsageError, match="is not UTF-8"):
        save(source, odd)
    shutil.copy(tmp_path / "m.onnx", odd)
    with pytest.raises(ModelError, match="needs a path in UTF-8"):
        load(odd)


def test_data_that_cannot_be_removed_is_left(tmp_path, monkeypatch):
    """The model is written by then."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    path = written(tmp_path, "m.onnx", 1.0, "m.onnx.data")
    monkeypatch.setattr(Path, "unlink", refuse)
    nd.optimize(path).save(path)
    assert (tmp_path / "m.onnx.data").exists()
    assert result(path) == expected(1.0)


def test_a_name_as_long_as_names_may_be(tmp_path):
    whole = nd.optimize(written(tmp_path, "m.onnx", 1.0, "w.bin")).model
    path = tmp_path / ("x" * 255)
    save(load(whole), path)
    assert result(path) == expected(1.0)


def test_the_same_model_is_written_as_the_same_bytes(tmp_path):
    source = load(written(tmp_path, "s.onnx", 1.0, "s.bin"))
    save(source, tmp_path / "m.onnx")
    first = (tmp_path / "m.onnx").read_bytes()
    save(source, tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").read_bytes() == first


@pytest.mark.parametrize("over", ["itself", "another"])
def test_a_kill_leaves_the_old_model_whole_or_the_new_one(tmp_path, over):
    """Whenever it comes: weights and graph belong together, and the next run tidies up."""
    folder = tmp_path / "models"
    folder.mkdir()

    def prepare() -> tuple[Path, Path]:
        shutil.rmtree(folder)
        folder.mkdir()
        source = written(folder, "m.onnx", 1.0, "m.onnx.data")
        if over == "itself":
            return source, source
        return source, written(folder, "old.onnx", 11.0, "old.onnx.data")

    seen = set()
    source, target = prepare()
    for _ in killed_at_each_call(OPTIMIZE, source, target, module="normdeploy.passes"):
        found = result(target)
        old = expected(1.0) if over == "itself" else expected(11.0)
        assert found in (old, expected(1.0))
        assert result(source) == expected(1.0)
        seen.add(tuple(found))
        nd.optimize(source, verify=False).save(target)
        needed = {target, data_file(target)}
        needed |= set() if over == "itself" else {source, folder / "m.onnx.data"}
        # A file of another tool's naming that no model refers to any more may be somebody's: it is not ours.
        assert set(folder.iterdir()) - {target.with_name(f"{target.name}.data")} == needed
        source, target = prepare()
    assert len(seen) == (1 if over == "itself" else 2)


def test_over_itself_nothing_of_the_old_model_is_left(tmp_path):
    path = written(tmp_path, "m.onnx", 1.0, "m.onnx.data")
    nd.optimize(path).save(path)
    assert result(path) == expected(1.0)
    assert set(tmp_path.iterdir()) == {path, data_file(path)}
