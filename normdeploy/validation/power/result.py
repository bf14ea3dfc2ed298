"""What a pass is worth: what a check can't show, and how small an error in each layer it would have shown."""

from __future__ import annotations

from dataclasses import dataclass


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
