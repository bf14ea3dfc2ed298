from pathlib import Path

import onnx
import pytest

from normdeploy.cli import main
from tests.builders import conv_lrn


class Outcome:
    """What a command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def assert_refused(self, *parts: str, code: int = 2) -> None:
        """One line on standard error that names these parts, this exit code, and no traceback."""
        assert self.code == code, (self.code, self.out, self.err)
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1, self.err
        assert "internal error" not in self.err
        assert "Traceback" not in self.err + self.out
        for part in parts:
            assert part in self.err, self.err


@pytest.fixture
def run(capsys):
    """Run a command line in this process."""

    def run(*arguments: object) -> Outcome:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def good(tmp_path) -> Path:
    path = tmp_path / "good.onnx"
    onnx.save(conv_lrn(), path)
    return path
