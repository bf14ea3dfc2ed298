"""What a user allows a deployed classifier to lose: a gate in place of the verdict on every number."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from normdeploy.errors import UsageError

_FLIPS = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<percent>%?)")


@dataclass(frozen=True)
class Gate:
    """Limits that decide about a backend.

    Args:
        max_flips: samples whose class may differ from the reference's, or None.
        flips_are_percent: whether that is a percentage of the samples.
        max_accuracy_drop: how far the accuracy may lie below the reference's, as a share; or None.
    """

    max_flips: float | None = None
    flips_are_percent: bool = False
    max_accuracy_drop: float | None = None

    def missed(self, flips: int, samples: int, accuracy: float | None, reference: float | None) -> str:
        """Which limit is exceeded and by what, in a line; empty if none is.

        Args:
            flips: samples whose class differs from the reference's.
            samples: of all.
            accuracy, reference: the backend's and the reference's; None without labels.
        """
        found = []
        if self.max_flips is not None:
            allowed = math.floor(self.max_flips * samples / 100) if self.flips_are_percent else self.max_flips
            if flips > allowed:
                of_them = f" ({allowed:.0f} samples)" if self.flips_are_percent else ""
                found.append(
                    f"{flips} of {samples} samples flip, and at most {self.flips_text()}{of_them} may"
                )
        if self.max_accuracy_drop is not None and accuracy is not None and reference is not None:
            drop = reference - accuracy
            if drop > self.max_accuracy_drop + 1e-12:  # 0.9 - 0.8 is above 0.1 in binary
                found.append(
                    f"the accuracy drops by {drop:.4g}, from {reference:.2%} to {accuracy:.2%}, and "
                    f"{self.max_accuracy_drop:.4g} is allowed"
                )
        return "; ".join(found)

    def flips_text(self) -> str:
        """The limit on flips as it was given."""
        return f"{self.max_flips:.15g}{'%' if self.flips_are_percent else ''}"

    def __str__(self) -> str:
        parts = []
        if self.max_flips is not None:
            one = self.max_flips == 1 and not self.flips_are_percent
            parts.append(f"at most {self.flips_text()} flip{'' if one else 's'}")
        if self.max_accuracy_drop is not None:
            parts.append(f"an accuracy drop of at most {self.max_accuracy_drop:g}")
        return " and ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        return {
            "max_flips": None if self.max_flips is None else self.flips_text(),
            "max_accuracy_drop": self.max_accuracy_drop,
        }


def given_gate(max_flips: int | str | None, max_accuracy_drop: float | None) -> Gate | None:
    """The gate of two options.

    Args:
        max_flips: a number of samples, or a percentage such as "0.5%".
        max_accuracy_drop: a share, 0.01 for one percentage point.

    Returns:
        None if neither is given.

    Raises:
        UsageError: a number that makes no sense.
    """
    if max_flips is None and max_accuracy_drop is None:
        return None
    if max_accuracy_drop is not None and not 0 <= max_accuracy_drop <= 1:
        raise UsageError(f"max accuracy drop is a share from 0 to 1, got {max_accuracy_drop}")
    if max_flips is None:
        return Gate(max_accuracy_drop=max_accuracy_drop)
    match = _FLIPS.fullmatch(str(max_flips).strip())
    number = float(match["number"]) if match else math.nan
    percent = bool(match and match["percent"])
    if not math.isfinite(number) or (percent and number > 100) or (not percent and number % 1):
        raise UsageError(f"max flips is a number of samples or a percentage such as 0.5%, got {max_flips}")
    return Gate(number, percent, max_accuracy_drop)
