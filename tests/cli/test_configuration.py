"""Defaults of options from normdeploy.toml or pyproject.toml."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from normdeploy.cli import configuration
from normdeploy.cli.app import VERBS


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty folder, in which the command runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.delenv(configuration.VARIABLE, raising=False)
    monkeypatch.chdir(folder)
    return folder


def samples_and_seed(run, good: Path, *options: object) -> tuple[int, int]:
    outcome = run("check", good, "--backend", "onnxruntime", "--json", "-", *options)
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    return document["samples"], document["seed"]


def test_the_command_line_then_the_verb_then_what_is_common(run, good, project):
    (project / "normdeploy.toml").write_text("seed = 5\n[check]\nsamples = 2\n")
    assert samples_and_seed(run, good) == (2, 5)
    assert samples_and_seed(run, good, "--seed", 6) == (2, 6)
    (project / "normdeploy.toml").write_text("seed = 5\n[check]\nsamples = 2\nseed = 7\n")
    assert samples_and_seed(run, good) == (2, 7)
    assert samples_and_seed(run, good, "--samples", 1) == (1, 7)


def test_the_table_of_a_pyproject(run, good, project):
    (project / "pyproject.toml").write_text("[tool.normdeploy.check]\nsamples = 3\n[tool.other]\nx = 1\n")
    assert samples_and_seed(run, good) == (3, 0)


def test_the_nearest_file_counts_and_a_pyproject_without_the_table_does_not(run, good, project, monkeypatch):
    (project / "normdeploy.toml").write_text("[check]\nsamples = 2\n")
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    monkeypatch.chdir(inner)
    assert samples_and_seed(run, good) == (2, 0)
    (project / "a" / "pyproject.toml").write_text("[tool.normdeploy]\nseed = 4\n")
    assert samples_and_seed(run, good) == (8, 4)
    (project / "a" / "normdeploy.toml").write_text("seed = 3\n")  # before the pyproject.toml beside it
    assert samples_and_seed(run, good) == (8, 3)


def test_a_variable_names_another_file_or_none(run, good, project, monkeypatch):
    (project / "normdeploy.toml").write_text("[check]\nsamples = 2\n")
    (project / "other.toml").write_text("[check]\nsamples = 4\n")
    monkeypatch.setenv(configuration.VARIABLE, "other.toml")
    assert samples_and_seed(run, good) == (4, 0)
    monkeypatch.setenv(configuration.VARIABLE, "")
    assert samples_and_seed(run, good) == (8, 0)
    monkeypatch.setenv(configuration.VARIABLE, "missing.toml")
    run("check", good).assert_refused("missing.toml: cannot be read (No such file or directory)")


def test_files_are_relative_to_the_configuration(run, good, project, monkeypatch):
    (project / "normdeploy.toml").write_text('[check]\nsamples = 1\njson = "report.json"\n')
    inner = project / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert run("check", good).code == 0
    assert json.loads((project / "report.json").read_text())["samples"] == 1
    assert list(inner.iterdir()) == []


def test_lists_flags_and_single_values(run, good, project):
    (project / "normdeploy.toml").write_text(
        '[check]\nbackend = "onnxruntime"\nshape = ["x:3x3x6x6"]\nquiet = true\njson = "-"\n'
    )
    outcome = run("check", good)
    assert [backend["name"] for backend in json.loads(outcome.out)["backends"]] == ["onnxruntime"]
    (project / "normdeploy.toml").write_text("quiet = true\n")
    assert run("inspect", good).out == ""
    assert run("inspect", good, "-v").out != ""


def test_a_table_of_a_command_of_a_verb(run, project):
    (project / "normdeploy.toml").write_text('[plugin.build]\nheaders = "tar"\n[plugin.path]\nquiet = true\n')
    run("plugin", "build").assert_refused("normdeploy.toml: headers of plugin.build: 'tar' is not one of")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[check]\nhelp = true", "there is no option 'help' in [check]"),
        ("sampels = 2", "there is no option 'sampels': did you mean 'samples' or"),
        ("[check]\nbackends = []", "there is no option 'backends' in [check]: did you mean 'backend'?"),
        ("[chekc]\nsamples = 1", "there is no option 'chekc': did you mean 'check'?"),
        ("[plugin.biuld]\n", "there is no option 'biuld' in [plugin]: did you mean 'build'?"),
        ("[profile]\nlocalize = true", "there is no option 'localize' in [profile]"),
        ("check = 1", "check has to be a table, [check]"),
        ("[check]\nlocalize = 1", "localize of check: 1 is neither true nor false"),
        ("[check]\nsamples = [1, 2]", "samples of check: takes one value, not a list"),
        ("[check]\nsamples = true", "samples of check: True is neither text nor a number"),
        ("[check]\nsamples = 1979-05-27", "samples of check: datetime.date(1979, 5, 27) is neither text nor"),
        ("[check]\nshape = [{x = 1}]", "shape of check: {'x': 1} is neither text nor a number"),
        ("[check]\nshape = ['x']", "shape of check: 'x' is not NAME:SIZES, such as input:1x3x224x224"),
        ("timeout = 'soon'", "timeout of check: 'soon' is not a valid float"),
        ("[check", "is no TOML"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_file(run, good, project, text, message):
    path = project / "normdeploy.toml"
    path.write_text(text)
    run("check", good).assert_refused(f"{path}: ", message)


@pytest.mark.parametrize(
    ("verb", "options"),
    {
        "build": ("output", "json", "plugin", "timing-cache"),
        "check": ("reference", "data", "labels", "preprocess", "plugin", "json", "junit", "html"),
        "doctor": ("json",),
        "inspect": ("json", "data"),
        "optimize": ("output", "json"),
        "profile": ("against", "baseline", "json", "html"),
        "reduce": ("output", "reference", "data", "json"),
    }.items(),
)
def test_a_number_names_no_file(run, good, project, verb, options):
    for option in options:
        for value in ("3", "-1", "0.5", *(["[3]"] if option == "plugin" else [])):
            (project / "normdeploy.toml").write_text(f"[{verb}]\n{option} = {value}\n")
            outcome = run(verb, *([] if verb == "doctor" else [good]))
            number = value.strip("[]")
            outcome.assert_refused(f"{option} of {verb}: names a file: {number} has to be text, in quotes")


@pytest.mark.parametrize("content", [b"\xff", b"a = \x00", b"[tool]\nnormdeploy = 1\n"])
def test_a_damaged_pyproject(run, good, project, content):
    path = project / "pyproject.toml"
    path.write_bytes(content)
    run("check", good).assert_refused(f"{path}: ")


def test_a_value_is_looked_at_where_it_is_used_only(run, good, project):
    (project / "normdeploy.toml").write_text('backend = ["onnxruntime"]\n')  # build takes one, check many
    assert run("check", good).code == 0
    run("build", good, "-o", "e").assert_refused("backend of build: takes one value, not a list")


def test_a_strangers_file_where_everybody_may_write_is_passed_over(run, good, project):
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    path = project / "normdeploy.toml"
    path.write_text("[check]\nsamples = 2\n")
    os.chown(path, 12345, 12345)
    assert samples_and_seed(run, good) == (2, 0)
    project.chmod(0o1777)
    assert samples_and_seed(run, good) == (8, 0)
    os.chown(path, os.getuid(), -1)
    assert samples_and_seed(run, good) == (2, 0)


@pytest.mark.parametrize("verb", [*VERBS, "plugin build", "plugin path", "plugin info"])
def test_help_is_the_same_with_a_configuration(project, verb):
    """In processes of their own, since click makes it once in each."""

    def asked(flag):
        command = [sys.executable, "-m", "normdeploy", *verb.split(), flag]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    without = asked("-h")
    (project / "normdeploy.toml").write_text("quiet = true\n")
    assert asked("-h") == asked("--help") == without


def test_a_list_for_values_with_commas(run, good, project):
    (project / "normdeploy.toml").write_text(
        '[profile]\nbatch = [1, 2]\nduration = 0.1\nbackend = ["onnxruntime"]\n'
    )
    document = json.loads(run("profile", good, "--json", "-").out)
    assert [backend["batch"] for backend in document["backends"]] == [1, 2]
    (project / "normdeploy.toml").write_text("[check]\nmean = [1, 2.5, 'x']\n")
    run("check", good).assert_refused("mean of check: '1,2.5,x' is not numbers with commas")
