"""Building TensorRT engines, with a record of what went into them.

builder.py   `build`: checks the arguments, and has a worker process build
shapes.py    the shapes of a model's inputs that an engine is to take, each a `Range`
record.py    `EngineRecord`: what was built of what, as JSON beside the engine; text.py prints it
"""

from __future__ import annotations

from normdeploy.engine.builder import build
from normdeploy.engine.record import EngineRecord
from normdeploy.inputs.ranges import Range

__all__ = ["EngineRecord", "Range", "build"]
