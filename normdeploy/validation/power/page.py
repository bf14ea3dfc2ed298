"""The power of a check as a section of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normdeploy.pages import Cell, Page, charts
from normdeploy.validation.power.search import LARGEST, SMALLEST

if TYPE_CHECKING:
    from normdeploy.validation.power.result import LayerPower, Power


def add_power(page: Page, found: Power) -> None:
    """Add the section.

    Args:
        page: of the check.
        found: of all layers.
    """
    page.add_heading("Power")
    line = str(found).removeprefix("power: ")
    page.add_text(f"{line[0].upper()}{line[1:]}.", "bad" if found.missed else "")
    if not found.layers:
        return
    page.add_text(
        "The smallest relative error of a layer's output, 1 ± ε per channel with random signs, that this "
        "check would have called wrong.",
        "note",
    )
    page.add_figure(
        charts.sequence(
            [layer.size for layer in found.layers],
            x="layers in the order of the graph",
            y="smallest error seen",
            log_y=True,
            highlight=found.layers.index(found.worst_first[0]),
            limit=found.min_power,
            within=(SMALLEST, LARGEST),
        ),
        f"The smallest error seen in each layer; red: {found.worst_first[0].node}; triangles: none is seen",
    )
    page.add_table(
        ("layer", "operator", "smallest error seen"),
        [[layer.node, layer.op_type, _cell(layer, found)] for layer in found.worst_first],
    )


def _cell(layer: LayerPower, found: Power) -> Cell:
    if found.min_power is not None and layer.size > found.min_power:
        return Cell(layer.in_words, "bad")
    return Cell(layer.in_words, "warn" if layer.smallest_detectable is None else "")
