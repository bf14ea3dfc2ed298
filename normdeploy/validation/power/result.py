"""What a pass is worth: what a check can't show, and how small an error in each layer it would have shown."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from normdeploy.errors import UsageError

_SHARE = re.compile(r"(?P<number>[0-9.]+(e[+-]?[0-9]+)?)(?P<percent>%?)", re.IGNORECASE)


@dataclass(frozen=True)
class Blind:
    """An output that can't show an error of 1 % in every layer.

    Args:
        output: its name.
        reason: why, in a few words.
    """

    output: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """The fields as a dictionary for `json.dumps`."""
        return {"output": self.output, "reason": self.reason}

    def __str__(self) -> str:
        return f"output '{self.output}' can't show a 1 % error ({self.reason})"


@dataclass(frozen=True)
class LayerPower:
    """What the check would have seen of errors in one layer.

    Args:
        node: its name, or that of its first output.
        op_type: its operator.
        smallest_detectable: the smallest relative error of its output that would have been called wrong;
            None if none up to 100 % would.
    """

    node: str
    op_type: str
    smallest_detectable: float | None

    @property
    def size(self) -> float:
        """The same as a number: infinite if no error is seen."""
        return math.inf if self.smallest_detectable is None else self.smallest_detectable

    @property
    def in_words(self) -> str:
        """The same, "0.0012 %" or "none"."""
        return "none" if self.smallest_detectable is None else percent(self.smallest_detectable)

    def to_json(self) -> dict[str, Any]:
        """The fields as a dictionary for `json.dumps`."""
        return {
            "node": self.node,
            "op_type": self.op_type,
            "smallest_detectable": self.smallest_detectable,
        }


@dataclass(frozen=True)
class Power:
    """What the check would have seen of errors in each layer.

    Args:
        layers: in the graph's order.
        min_power: the relative error that has to be seen in each of them; None if that was not asked for.
    """

    layers: Sequence[LayerPower]
    min_power: float | None = None

    @property
    def worst_first(self) -> list[LayerPower]:
        """The layers of which the least is seen first; those that are alike in the graph's order."""
        return sorted(self.layers, key=lambda layer: -layer.size)

    @property
    def smallest_everywhere(self) -> float | None:
        """The smallest relative error that is seen whichever layer it is in; None if one shows none."""
        largest = max((layer.size for layer in self.layers), default=math.inf)
        return largest if math.isfinite(largest) else None

    @property
    def missed(self) -> bool:
        """Whether the gate is missed."""
        everywhere = self.smallest_everywhere
        return self.min_power is not None and (everywhere is None or everywhere > self.min_power)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        return {
            "layers": [layer.to_json() for layer in self.layers],
            "smallest_everywhere": self.smallest_everywhere,
            "min_power": self.min_power,
        }

    def __str__(self) -> str:
        """In one line what is seen everywhere, or where nothing is, with the layer that shows least."""
        wanted = ""
        if self.missed and self.min_power is not None:
            wanted = f", and --min-power asks for {percent(self.min_power)}"
        if not self.layers:
            return f"power: there is no layer, and no error to look for{wanted}"
        worst, unseen = self.worst_first[0], sum(layer.smallest_detectable is None for layer in self.layers)
        named = f"{worst.op_type} '{worst.node}'"
        if unseen:
            return f"power: no error in {named} would be seen{_and_others(unseen - 1)}{wanted}"
        seen = f"errors from {percent(worst.size)} on would be seen in every layer"
        return f"power: {seen}; {named} shows least{wanted}"


def _and_others(count: int) -> str:
    return f", nor in {count} other layer{'s' * (count != 1)}" if count else ""


def percent(share: float) -> str:
    """A share in words, "0.0012 %"."""
    return f"{100 * share:.2g} %"


def given_min_power(power: bool, min_power: float | str | None, gated: bool = False) -> float | None:
    """The relative error that has to be seen in each layer.

    Args:
        power: whether it is measured.
        min_power: a share, 0.01, or a percentage, "1%".
        gated: whether classes decide in place of the numbers.

    Raises:
        UsageError: no share above 0, nothing is measured, or numbers do not decide.
    """
    if min_power is None:
        return None
    if not power:
        raise UsageError(
            "min power is a gate on what power measures: give --power too (power=True in Python)"
        )
    if gated:
        raise UsageError(
            "min power is about numbers, and with --max-flips or --max-accuracy-drop the classes decide: "
            "leave it out, or them"
        )
    match = _SHARE.fullmatch(str(min_power).replace(" ", ""))
    try:
        share = float(match["number"]) / (100 if match["percent"] else 1) if match else math.nan
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise UsageError(
            f"min power is a relative error such as 0.01 or 1%, above 0 and at most 1, got {min_power}"
        )
    return share
