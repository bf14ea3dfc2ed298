"""What `normdeploy export` takes as a source; and that no source runs code by being loaded."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from normdeploy.budget import seconds_left
from normdeploy.errors import BudgetExceeded, ExportError, UsageError
from normdeploy.torch import export_source

FACTORY = """
import torch
def build():
    return torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 3)
def broken():
    raise RuntimeError("no weights\\nhere")
def wrong():
    return 3
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An exported program on disk."""
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LocalResponseNorm(3)).eval()
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(module, (torch.zeros(1, 1, 5, 5),)), path)
    return path


def rewritten(
    source: Path, target: Path, replace: dict[str, bytes], add: dict[str, bytes] | None = None
) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            member = name.partition("/")[2]
            new.writestr(name, replace.get(member, old.read(name)))
        root = old.namelist()[0].partition("/")[0]
        for member, data in (add or {}).items():
            new.writestr(f"{root}/{member}", data)
    return target


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def pickled(bomb: Bomb) -> bytes:
    buffer = io.BytesIO()
    torch.save(((bomb,), {}), buffer)
    return buffer.getvalue()


def test_factory_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FACTORY)
    export_source(f"{tmp_path}/net.py:build", tmp_path / "m.onnx")
    assert (tmp_path / "m.onnx").is_file()


def test_what_a_factory_prints_is_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.py").write_text(
        "print('loaded')\n" + FACTORY.replace("return torch", "print('built'); return torch")
    )
    export_source(f"{tmp_path}/net.py:build", tmp_path / "m.onnx")
    assert capsys.readouterr() == ("", "loaded\nbuilt\n")


def test_factory_in_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_network.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    export_source("some_network:build", tmp_path / "m.onnx", shapes={"input": [4, 3]})
    assert (tmp_path / "m.onnx").is_file()


def test_exported_program(program: Path, tmp_path: Path) -> None:
    report = export_source(str(program), tmp_path / "m.onnx")
    assert [record.status for record in report.lrn] == ["recovered"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("net.py:broken", r"net\.py:6: the factory failed: RuntimeError: no weights here"),
        ("net:broken", r"net: the factory failed: RuntimeError: no weights here"),
        ("ends.py:build", r"ends\.py:2: running it failed: SystemExit: 3"),
        ("ends:build", r"ends: importing it failed: SystemExit: 3"),
        ("net.py:wrong", r"must return \(torch.nn.Module, example inputs\)"),
        ("net.py:absent", "has no function 'absent'"),
        ("absent.py:build", "no such file"),
        ("absent.pt2", "no such file"),
        ("no_such_package:build", "cannot import 'no_such_package'"),
        ("net.py", "name a factory as package.module:factory"),
        ("weights.pth", "a pickled file runs code when it is loaded"),
    ],
)
def test_bad_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    (tmp_path / "net.py").write_text(FACTORY)
    (tmp_path / "ends.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "net", raising=False)
    with pytest.raises((UsageError, ExportError), match=message) as raised:
        export_source(source, tmp_path / "m.onnx")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "m.onnx").exists()


def test_programs_that_would_run_code_are_refused(program: Path, tmp_path: Path) -> None:
    bomb = Bomb(tmp_path / "exploded")
    hostile = {
        "its inputs": rewritten(program, tmp_path / "a.pt2", {"data/sample_inputs/model.pt": pickled(bomb)}),
        "old weights": rewritten(program, tmp_path / "b.pt2", {}, {"data/weights/model.pt": pickled(bomb)}),
        "an object": rewritten(
            program, tmp_path / "c.pt2", {}, {"data/constants/opaque_obj_0": pickled(bomb)}
        ),
        "a library": rewritten(program, tmp_path / "d.pt2", {}, {"data/aotinductor/model/x.so": b"ELF"}),
    }
    for path in hostile.values():
        with pytest.raises(ExportError, match="run code"):
            export_source(str(path), tmp_path / "m.onnx")
    assert not (tmp_path / "exploded").exists()


def test_a_program_of_another_version_is_refused(program: Path, tmp_path: Path, capfd) -> None:
    """torch logs the reason with a traceback; it is the error's."""
    member = "models/model.json"
    with zipfile.ZipFile(program) as archive:
        document = json.loads(archive.read(f"{archive.namelist()[0].partition('/')[0]}/{member}"))
    document["schema_version"] = {"major": 99, "minor": 0}
    path = rewritten(program, tmp_path / "new.pt2", {member: json.dumps(document).encode()})
    pattern = r"new\.pt2: torch cannot read .*major=99.* does not match"
    with pytest.raises(ExportError, match=pattern) as raised:
        export_source(str(path), tmp_path / "out.onnx")
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_program_that_unpacks_to_more_than_allowed_is_refused(program: Path, tmp_path: Path) -> None:
    path = rewritten(program, tmp_path / "bomb.pt2", {}, {"data/weights/weight_99": bytes(2**24)})
    with pytest.raises(BudgetExceeded, match=r"bomb\.pt2: unpacked, .*--max-memory"):
        export_source(str(path), tmp_path / "m.onnx", max_memory=2**23)


def test_time_for_programs_and_none_for_factories(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = []

    def write(*_: object, **__: object) -> None:
        left.append(seconds_left())

    monkeypatch.setattr("normdeploy.torch.source.export", write)
    (tmp_path / "net.py").write_text(FACTORY)
    export_source(str(program), tmp_path / "m.onnx", timeout=50)
    export_source(f"{tmp_path}/net.py:build", tmp_path / "m.onnx", timeout=50)
    assert left[0] <= 50
    assert left[1] == float("inf")


def test_damaged_programs_are_refused(program: Path, tmp_path: Path) -> None:
    data = program.read_bytes()
    for name, content in {"cut": data[: len(data) // 2], "empty": b"", "text": b"hello"}.items():
        path = tmp_path / f"{name}.pt2"
        path.write_bytes(content)
        with pytest.raises(ExportError, match="not an exported program"):
            export_source(str(path), tmp_path / "m.onnx")
    broken = rewritten(program, tmp_path / "json.pt2", {"models/model.json": b"{"})
    with pytest.raises(ExportError, match="torch cannot read"):
        export_source(str(broken), tmp_path / "m.onnx")
