"""The kernels as a section of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normdeploy.kernels import CHOICES
from normdeploy.pages import Cell, Page, Tone
from normdeploy.validation.kernels.text import ratio

if TYPE_CHECKING:
    from normdeploy.validation.kernels.result import Kernels, Outcome

_TONES: dict[Outcome, Tone] = {"safe": "good", "depends": "bad", "broken": "bad"}


def add_kernels(page: Page, found: Kernels) -> None:
    """Add the section.

    Args:
        page: of the check.
        found: of all backends.
    """
    page.add_heading("Kernels")
    page.add_text(
        "Kernels that each backend may choose, here or elsewhere, emulated in NumPy on the same samples.",
        "note",
    )
    page.add_table(
        ("backend", "verdict", "why"),
        [
            [entry.backend, Cell(entry.verdict, _TONES[entry.verdict]), entry.reason]
            for entry in found.entries
        ],
    )
    about = {choice.name: choice.about for choice in CHOICES}
    about["together"] = "all choices of the backend at once"
    tried: list[list[str | Cell]] = [
        [
            entry.backend,
            choice.name,
            about[choice.name],
            Cell(f"{choice.noise_ratio:.3g}", "" if choice.passed else "bad"),
            choice.reason,
        ]
        for entry in found.entries
        for choice in entry.choices
    ]
    if tried:
        page.add_table(("backend", "choice", "what it does", "error / allowed", "why"), tried)
    nodes: list[list[str | Cell]] = [
        [entry.backend, node.node, node.op_type, node.choice or "any kernel", f"{node.reason}{ratio(node)}"]
        for entry in found.entries
        for node in entry.nodes
    ]
    if nodes:
        page.add_table(("backend", "node", "operator", "choice", "what becomes of it"), nodes)
