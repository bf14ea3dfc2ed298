"""TensorRT's log: errors, warnings, and the builder's list of the layers of an engine."""

from __future__ import annotations

import re
import sys
from typing import Any

_LAYERS = "Layers:\n"
_LAYER = re.compile(r"^Name: (?P<name>.*?), LayerType: (?P<type>[^,]*), (?P<rest>.*)$")
_DATATYPE = re.compile(r"Datatype: (\w+)")


class Messages:
    """Listens to TensorRT: keeps its errors, and passes errors and warnings on to standard error.

    Args:
        trt: TensorRT's module.

    Attributes:
        logger: the logger that TensorRT's constructors take.
        errors: the errors so far.
        engine_layers: the layers of the last engine that was built, as the builder lists them: name, type and
            element types of the tensors. Empty with a version that does not list them.
    """

    def __init__(self, trt: Any) -> None:
        self.errors: list[str] = []
        self.engine_layers: list[dict[str, Any]] = []
        self.logger = _logger(trt, self)

    @property
    def reason(self) -> str:
        """Why the last call failed, in one line: the first error since `errors` was cleared."""
        return " ".join(self.errors[0].split()) if self.errors else "no reason is given"

    def receive(self, message: str, *, error: bool = False, warning: bool = False) -> None:
        """Take one message of the log."""
        if error:
            self.errors.append(message)
        if error or warning:
            print(message, file=sys.stderr, flush=True)
        elif message.startswith(_LAYERS):
            layers = map(_layer, message.splitlines())
            self.engine_layers = [layer for layer in layers if layer is not None]


def _layer(line: str) -> dict[str, Any] | None:
    """Name, type and element types of the layer that a line of the builder's list describes, if it does."""
    match = _LAYER.match(line)
    if match is None:
        return None
    types = sorted(set(_DATATYPE.findall(match["rest"])))
    return {"name": match["name"], "type": match["type"], "datatypes": types}


def _logger(trt: Any, messages: Messages) -> Any:
    """An `ILogger`, which has to be a subclass of the module's own class."""
    severity = trt.ILogger.Severity

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            error = level in (severity.INTERNAL_ERROR, severity.ERROR)
            messages.receive(message, error=error, warning=level == severity.WARNING)

    return Logger()
