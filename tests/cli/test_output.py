"""No option's file over one that is read or that another option writes; all of it refused before any work."""

from __future__ import annotations

import shutil

import click
import onnx
import pytest
from onnx.external_data_helper import convert_model_to_external_data

from normdeploy.cli.app import VERBS, app
from normdeploy.cli.output import require_apart
from normdeploy.cli.verb import parameters
from normdeploy.errors import UsageError
from tests.builders import conv_lrn

WRITING = {"json_path", "junit_path", "html_path", "timing_cache"}
"""The parameters of verbs that name files to write, besides -o."""


def commands() -> dict[str, click.Command]:
    """The verbs that take a model, by their names."""
    context = click.Context(app)
    found = {verb: app.get_command(context, verb) for verb in VERBS}
    return {
        verb: command
        for verb, command in found.items()
        if command is not None and any(parameter.name == "model" for parameter in command.params)
    }


CASES = [
    (verb, parameter.opts[-1], any(other.name == "output" for other in command.params))
    for verb, command in commands().items()
    for parameter in parameters(command)
    if parameter.name in WRITING
]


def test_the_verbs_that_are_tested():
    assert {verb for verb, _, _ in CASES} == {"build", "check", "inspect", "optimize", "profile", "reduce"}


@pytest.fixture
def separate(tmp_path):
    """A model whose tensors are in weights.bin."""
    path = tmp_path / "separate.onnx"
    proto = conv_lrn()
    convert_model_to_external_data(proto, location="weights.bin", size_threshold=0)
    onnx.save(proto, path)
    return path


@pytest.mark.parametrize(("verb", "option", "has_output"), CASES)
@pytest.mark.parametrize("over", ["model", "link", "tensors", "folder", "lost"])
def test_no_option_writes_over_what_is_read(run, separate, tmp_path, verb, option, has_output, over):
    (tmp_path / "link").symlink_to(separate.name)
    named = {"model": separate.name, "link": "link", "tensors": "weights.bin", "folder": "", "lost": "no/a"}
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    more = ("-o", tmp_path / "out") if has_output else ()
    outcome = run(verb, separate, *more, option, f"{tmp_path}/{named[over]}")
    outcome.assert_refused(
        {"folder": "is a folder", "lost": "there is no folder", "tensors": "holds tensors"}.get(
            over, "is read"
        )
    )
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("verb", "option", "has_output"), [case for case in CASES if case[2]])
def test_no_option_writes_what_another_does(run, good, tmp_path, verb, option, has_output):
    outcome = run(verb, good, "-o", tmp_path / "out", option, f"{tmp_path}/./out")
    outcome.assert_refused("--output", option, "are one file")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["optimize", "build"])
def test_no_output_over_tensors_of_the_model(run, separate, tmp_path, verb):
    run(verb, separate, "-o", tmp_path / "weights.bin").assert_refused("holds tensors of")


def test_an_output_over_the_model_is_what_was_asked_for(run, good):
    assert run("optimize", good, "-o", good).code == 0


def test_a_function_in_a_file_is_read(tmp_path):
    code = tmp_path / "net.py"
    code.write_text("")
    with pytest.raises(UsageError, match="is read by this command"):
        require_apart([f"{code}:make"], json=str(code))


def test_files_that_are_not_read_may_be_replaced(good, tmp_path):
    old = tmp_path / "old.json"
    shutil.copy(good, old)
    require_apart([str(good), None, "package.module:make", "a\0b"], json=str(old), html=None, junit="-")
