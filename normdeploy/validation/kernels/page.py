"""The kernels as a section of a page."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from normdeploy.kernels import CHOICES
from normdeploy.pages import Cell, Page, Tone
from normdeploy.validation.kernels.text import ratio

if TYPE_CHECKING:
    from normdeploy.validation.kernels.result import Kernels, KernelVerdict, Outcome

_Said = TypeVar("_Said", bound=Hashable)

_TONES: dict[Outcome, Tone] = {"safe": "good", "depends": "bad", "broken": "bad", "unknown": "bad"}


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
            choice.name,
            about[choice.name],
            Cell(f"{choice.noise_ratio:.3g}", "" if choice.passed else "bad"),
            choice.reason,
            names,
        ]
        for choice, names in _with_backends(found, lambda entry: entry.choices)
    ]
    if tried:
        page.add_table(("choice", "what it does", "error / allowed", "why", "backends"), tried)
    nodes: list[list[str | Cell]] = [
        [node.node, node.op_type, node.choice or "any kernel", f"{node.reason}{ratio(node)}", names]
        for node, names in _with_backends(found, lambda entry: entry.nodes)
    ]
    if nodes:
        page.add_table(("node", "operator", "choice", "what becomes of it", "backends"), nodes)


def _with_backends(
    found: Kernels, of: Callable[[KernelVerdict], Sequence[_Said]]
) -> Iterator[tuple[_Said, str]]:
    """What is said of each backend, once, with the names of all of which it is said."""
    backends: dict[_Said, list[str]] = {}
    for entry in found.entries:
        for said in of(entry):
            backends.setdefault(said, []).append(entry.backend)
    return ((said, ", ".join(names)) for said, names in backends.items())
