"""TensorRT-RTX's module and its parser, which need no GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from normdeploy.backends.catalog import find
from normdeploy.backends.tensorrt.libraries import LIBRARIES, Library
from normdeploy.backends.tensorrt.model import ParsedModel


@pytest.fixture(scope="session")
def rtx() -> Library:
    """TensorRT-RTX; the tests that ask for it are skipped where it is not installed."""
    missing = find("tensorrt-rtx").missing(without_gpu=True)
    if missing is not None:
        pytest.skip(missing)
    return LIBRARIES["tensorrt-rtx"]


@pytest.fixture(scope="session")
def trt(rtx: Library) -> Any:
    """Its Python module."""
    return rtx.load()


@pytest.fixture
def parse(rtx: Library, trt: Any, tmp_path: Path) -> Callable[[onnx.ModelProto], ParsedModel]:
    """Parses a model."""

    def parser(model: onnx.ModelProto) -> ParsedModel:
        path = tmp_path / "model.onnx"
        onnx.save(model, path)
        return ParsedModel(rtx, trt, path, [])

    return parser
