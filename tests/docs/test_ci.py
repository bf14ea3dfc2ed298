"""The examples for continuous integration: they parse, the page shows them, and their commands work."""

import json
import shlex
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from docs.examples import blocks
from normdeploy.cli import main
from normdeploy.cli.configuration import VARIABLE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "ci"
DIGITS = ROOT / "models" / "digits"


def github(document):
    return [step["run"] for step in document["jobs"]["check"]["steps"] if "run" in step]


def gitlab(document):
    return document["check"]["script"]


COMMANDS = {"github.yml": github, "gitlab.yml": gitlab}


def commands(name: str) -> list[list[str]]:
    """The command lines of a workflow, as words."""
    return [shlex.split(line) for line in COMMANDS[name](yaml.safe_load((FOLDER / name).read_text()))]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A repository as the examples have it."""
    for name in ("original.onnx", "heldout.npz"):
        (tmp_path / name).symlink_to(DIGITS / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")
    return tmp_path


def test_the_page_shows_every_file():
    shown = {block.body for block in blocks((ROOT / "docs" / "ci.md").read_text())}
    files = sorted(FOLDER.iterdir())
    assert [file.name for file in files] == ["github.yml", "gitlab.yml", "normdeploy.toml"]
    for file in files:
        assert file.read_text() in shown, file


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_a_workflow_works(project, name):
    pytest.importorskip("matplotlib", reason="the extra report")
    verbs = []
    for program, *words in commands(name):
        if program == "normdeploy":
            verbs.append(words[0])
            assert main(words) == 0, words
        else:
            assert (program, words[0]) == ("pip", "install")
    assert verbs == ["doctor", "optimize", "check"]
    assert json.loads((project / "check.json").read_text())["verdict"] == "pass"
    suite = ElementTree.parse(project / "check.xml").getroot()[0]  # noqa: S314
    counted = [suite.get(name) for name in ("failures", "errors", "tests")]
    assert counted == ["0", "0", "2"]  # the graphs, and the output
    assert (project / "check.html").exists()


def test_what_a_workflow_keeps_is_what_its_check_writes():
    written = {
        word
        for name in COMMANDS
        for flag, word in zip(commands(name)[-1], commands(name)[-1][1:], strict=False)
        if flag in ("--junit", "--json", "--html")
    }
    assert {Path(word).stem for word in written} == {"check"}
    document = yaml.safe_load((FOLDER / "gitlab.yml").read_text())
    assert document["check"]["artifacts"]["reports"]["junit"] in written
    assert document["check"]["artifacts"]["paths"] == ["check.*"]
    steps = yaml.safe_load((FOLDER / "github.yml").read_text())["jobs"]["check"]["steps"]
    assert steps[-1]["with"]["path"] == "check.*"


def test_the_configuration_says_what_the_options_would(project, monkeypatch, capsys):
    text = (FOLDER / "normdeploy.toml").read_text()
    (project / "normdeploy.toml").write_text(text)
    monkeypatch.delenv(VARIABLE)
    (project / "digits.onnx").symlink_to(DIGITS / "digits.onnx")
    assert main(["check", "digits.onnx", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["samples"] == 450
    assert document["reference_accuracy"] > 0.99
    assert Path(document["reference"]).name == "original.onnx"
    assert [backend["name"] for backend in document["backends"]] == ["onnxruntime"]
    assert main(["optimize", "original.onnx", "-o", "model.onnx"]) == 0
    assert "features.7: kept: the operator within a channel" in capsys.readouterr().out
    assert set(tomllib.loads(text)) == {"timeout", "check", "optimize"}
