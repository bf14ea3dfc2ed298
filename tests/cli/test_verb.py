"""-q and -v, which every verb has."""

import json

import click
import pytest

from normdeploy.backends import catalog
from normdeploy.cli.app import VERBS, app
from normdeploy.cli.verb import Verb, Verbosity, verbosity
from tests.builders import conv_lrn


def leaves(command: click.Command, ctx: click.Context, name: str = "") -> list[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it."""
    if not isinstance(command, click.Group):
        return [(name.strip(), command)]
    return [
        leaf
        for each in command.list_commands(ctx)
        for leaf in leaves(command.get_command(ctx, each), ctx, f"{name} {each}")
    ]


LEAVES = dict(leaves(app, click.Context(app)))


def test_every_verb_is_among_them():
    assert {name.split()[0] for name in LEAVES} == set(VERBS)
    assert "plugin build" in LEAVES


@pytest.mark.parametrize("name", LEAVES)
def test_every_verb_has_json_quiet_and_verbose(name):
    command = LEAVES[name]
    assert isinstance(command, Verb)
    flags = {flag for each in command.get_params(click.Context(command)) for flag in each.opts}
    assert {"-q", "--quiet", "-v", "--verbose", "--json"} <= flags


def test_quiet_prints_nothing_and_the_exit_code_tells(run, good, tmp_path):
    for arguments in (("check", good), ("inspect", good), ("optimize", good, "-o", tmp_path / "out.onnx")):
        outcome = run(*arguments, "-q")
        assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert (tmp_path / "out.onnx").exists()
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(conv_lrn(alpha=2e-3).SerializeToString())
    outcome = run("check", wrong, "--reference", good, "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", "")


def test_quiet_still_prints_errors_and_json(run, good, tmp_path):
    run("inspect", "-q", tmp_path / "missing.onnx").assert_refused("missing.onnx")
    document = json.loads(run("inspect", "-q", good, "--json", "-").out)
    assert document["normalizations"]


def test_verbose_says_versions_times_and_the_configuration(run, good):
    outcome = run("check", good, "-v", "--backend", "onnxruntime")
    assert outcome.code == 0
    first, second, *_, last = outcome.err.splitlines()
    assert first.startswith("normdeploy ")
    assert "numpy " in first
    assert second == "configuration: none"
    assert last.startswith("took ")
    assert last.endswith(" s")
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("onnxruntime: onnxruntime ")]
    assert line.endswith(" s")
    assert "onnxruntime: onnxruntime " not in run("check", good, "--backend", "onnxruntime").out


def test_verbose_says_why_a_backend_is_not_here(run, good, monkeypatch):
    absent = catalog.Backend("absent", "absent:open", ("absent_module",), "absent", "cpu")
    monkeypatch.setitem(catalog.BACKENDS, "absent", absent)
    outcome = run("check", good, "-v")
    assert "absent unavailable: absent is not installed: run  pip install 'normdeploy[cpu]'" in outcome.out
    assert "not here" not in outcome.out


def test_verbose_leaves_standard_output_to_the_json(run, good):
    outcome = run("inspect", good, "--verbose", "--json", "-")
    assert json.loads(outcome.out)["normalizations"]
    assert "took " in outcome.err


def test_both_at_once_are_refused(run, good):
    run("inspect", good, "-q", "-v").assert_refused("--quiet and --verbose exclude each other: give one")


def test_outside_of_a_command_it_is_normal():
    assert verbosity() is Verbosity.NORMAL
