"""What TensorRT says while it works."""

from __future__ import annotations

import re
import sys
from typing import Any

_PLAN = "Layers:\n"
_PLAN_LINE = re.compile(r"^Name: (?P<name>.*?), LayerType: (?P<type>[^,]*), (?P<rest>.*)$")
_DATATYPE = re.compile(r"Datatype: (\w+)")


class Messages:
    """A logger for TensorRT: errors are kept, errors and warnings go to standard error.

    Attributes:
        logger: what TensorRT's constructors take.
        errors: the errors so far.
        plan: the layers of the last engine built, as the builder lists them: name, type and element types
            of its tensors. Empty where a version does not list them.
    """

    def __init__(self, trt: Any) -> None:
        self.errors: list[str] = []
        self.plan: list[dict[str, Any]] = []
        self.logger = _logger(trt, self)

    @property
    def reason(self) -> str:
        """Why the last call gave nothing back: the first error."""
        return self.errors[0] if self.errors else "no reason is given"

    def take(self, message: str, error: bool, warning: bool) -> None:
        """Hear one message."""
        if error:
            self.errors.append(message)
        if error or warning:
            print(message, file=sys.stderr, flush=True)
        elif message.startswith(_PLAN):
            self.plan = [layer for line in message.splitlines() if (layer := _layer(line)) is not None]


def _layer(line: str) -> dict[str, Any] | None:
    match = _PLAN_LINE.match(line)
    if match is None:
        return None
    types = sorted(set(_DATATYPE.findall(match["rest"])))
    return {"name": match["name"], "type": match["type"], "datatypes": types}


def _logger(trt: Any, messages: Messages) -> Any:
    severity = trt.ILogger.Severity

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            error = level in (severity.INTERNAL_ERROR, severity.ERROR)
            messages.take(message, error, level == severity.WARNING)

    return Logger()
