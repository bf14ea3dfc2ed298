"""Times of layers, by TensorRT's own profiler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normdeploy.backends.session import LayerTime


def layer_recorder(trt: Any) -> Any:
    """An `IProfiler` that adds up the milliseconds of each layer in its attribute `total_ms`.

    It has to be a subclass of the module's own class.
    """

    class Recorder(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.total_ms: dict[str, float] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.total_ms[layer_name] = self.total_ms.get(layer_name, 0.0) + ms

    return Recorder()


def layer_times(total_ms: Mapping[str, float], runs: int) -> list[LayerTime]:
    """The mean times of layers, of which TensorRT tells the name only.

    Args:
        total_ms: milliseconds by the layer's name, all runs together.
        runs: number of runs.
    """
    return [LayerTime(name, "", (), (), total / runs) for name, total in total_ms.items()]
