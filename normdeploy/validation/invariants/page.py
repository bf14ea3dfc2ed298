"""The invariants as a section of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normdeploy.pages import Cell, Page, Tone

if TYPE_CHECKING:
    from normdeploy.validation.invariants.result import Invariants, Outcome

_TONES: dict[Outcome, Tone] = {"pass": "good", "skipped": ""}


def add_invariants(page: Page, found: Invariants) -> None:
    """Add the section; nothing where no backend could be asked.

    Args:
        page: of the check.
        found: of all backends.
    """
    if not found.entries:
        return
    page.add_heading("Invariants")
    page.add_text(
        "Each backend against itself: what two runs may differ by is what two roundings explain.", "note"
    )
    rows: list[list[str | Cell]] = [
        [
            entry.backend,
            entry.name,
            Cell(entry.status, _TONES.get(entry.status, "bad")),
            "–" if entry.noise_ratio is None else f"{entry.noise_ratio:.3g}",
            entry.reason,
        ]
        for entry in found.entries
    ]
    page.add_table(("backend", "invariant", "status", "difference / allowed", "why"), rows)
