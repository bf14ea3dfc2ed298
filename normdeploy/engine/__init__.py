"""Building TensorRT engines, with a record of what went into them."""

from __future__ import annotations

from normdeploy.engine.builder import DEFAULT_TIMEOUT, build
from normdeploy.engine.record import EngineRecord

__all__ = ["DEFAULT_TIMEOUT", "EngineRecord", "build"]
