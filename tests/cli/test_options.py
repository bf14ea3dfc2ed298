"""Options that verbs share: what they take, and what the shell completes."""

import importlib
import os
import subprocess
import sys

import click
import pytest

from normdeploy.backends.catalog import BACKENDS
from normdeploy.backends.tensorrt.libraries import LIBRARIES
from normdeploy.choices import BACKEND_NAMES, BUILDER_NAMES
from normdeploy.cli.app import VERBS
from normdeploy.cli.options import named_axis, named_shape


def completed(*words: str) -> list[str]:
    """What bash is told for the last word."""
    done = subprocess.run(
        [sys.executable, "-m", "normdeploy"],
        env={
            **os.environ,
            "_NORMDEPLOY_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("normdeploy", *words)),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_names_are_those_of_the_catalog():
    assert tuple(BACKENDS) == BACKEND_NAMES
    assert tuple(LIBRARIES) == BUILDER_NAMES


@pytest.mark.parametrize("verb", VERBS)
def test_no_option_of_a_range_takes_nan(verb):
    """No comparison rules it out, and none with it holds."""
    command = importlib.import_module(f"normdeploy.cli.{verb}").command
    for option in command.params:
        if isinstance(option.type, click.FloatRange):
            with pytest.raises(click.BadParameter, match="'nan' is not a number"):
                option.type.convert("nan", option, None)


def test_verbs_are_completed():
    assert completed("p") == ["plain,plugin", "plain,profile"]
    assert completed("plugin", "b") == ["plain,build"]


@pytest.mark.parametrize("verb", ["check", "profile"])
def test_backends_are_completed(verb):
    assert completed(verb, "--backend", "tens") == ["plain,tensorrt", "plain,tensorrt-rtx"]
    assert completed(verb, "m.onnx", "--backend", "onnxruntime", "--backend", "onnxruntime-c") == [
        "plain,onnxruntime-cuda"
    ]


def test_builders_and_targets_are_completed():
    assert completed("build", "--backend", "") == ["plain,tensorrt", "plain,tensorrt-rtx"]
    assert completed("optimize", "--target", "p") == ["plain,portable"]


@pytest.mark.parametrize(
    "words",
    [
        ("check", "mod"),
        ("check", "m.onnx", "--reference", "mod"),
        ("check", "m.onnx", "--html", "mod"),
        ("check", "m.onnx", "--data", "mod"),
        ("check", "m.onnx", "--plugin", "mod"),
        ("optimize", "m.onnx", "-o", "mod"),
        ("optimize", "m.onnx", "--json", "mod"),
        ("profile", "m.onnx", "--against", "mod"),
        ("profile", "m.onnx", "--baseline", "mod"),
        ("build", "m.onnx", "--timing-cache", "mod"),
        ("export", "mod"),
        ("plugin", "info", "mod"),
    ],
    ids=" ".join,
)
def test_files_are_left_to_the_shell(words):
    assert completed(*words) == ["file,mod"]


def test_completion_imports_nothing_heavy():
    code = """
import sys
from click.shell_completion import ShellComplete
from normdeploy.cli.app import app
complete = ShellComplete(app, {}, "normdeploy", "_NORMDEPLOY_COMPLETE")
print(*(item.value for item in complete.get_completions(["check", "--backend"], "onnxruntime-c")))
print(*(name for name in ("numpy", "onnx", "onnx_ir", "rich", "torch") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "onnxruntime-cuda\n\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x:1x3x6x6", ("x", (1, 3, 6, 6))),
        ("x:1X3", ("x", (1, 3))),
        ("scope/x:0:4", ("scope/x:0", (4,))),
        ("scalar:", ("scalar", ())),
    ],
)
def test_a_shape(text, expected):
    assert named_shape(text) == expected


@pytest.mark.parametrize("text", ["x", ":1x2", "x:1x", "x:a", "x:-1", "x:1.5", "x:²", "x:" + "1" * 19])
def test_what_is_no_shape(text):
    with pytest.raises(click.BadParameter, match="is not NAME:SIZES, such as input:1x3x224x224"):
        named_shape(text)


def test_an_axis():
    assert named_axis("scope/x:0:2") == ("scope/x:0", 2)
    for text in ("x", "x:", ":0", "x:-1"):
        with pytest.raises(click.BadParameter, match="is not NAME:AXIS, such as input:0"):
            named_axis(text)


@pytest.mark.parametrize("verb", VERBS)
def test_one_meaning_for_each_option(run, verb):
    """The same flag says the same in the help of every verb that has it."""
    shown = run(verb, "--help").out
    for flag, words in {
        "--json FILE": "as JSON; - for standard output.",
        "--html FILE": "as one self-contained page with charts; - for standard output.",
        "--seed N": "Of random inputs.",
    }.items():
        if flag in shown:
            assert words in " ".join(shown[shown.index(flag) :].split())
