"""Reports as one self-contained HTML file: no network, no second file, for a phone as for a screen.

::

    page = Page("normdeploy profile", "model.onnx")
    page.add_badge("stable", "good")
    page.add_heading("Latency")
    page.add_table(["backend", "p50 ms"], [["onnxruntime", "1.20"], ["tensorrt", Cell("crashed", "bad")]])
    page.add_figure(charts.histogram(edges, counts, x="ms"), "Latency of 1,000 runs")
    write_text(path, page.html())

Every string is escaped here; callers pass plain text. The charts need the extra `report` (matplotlib).
"""

from normdeploy.pages import charts
from normdeploy.pages.charts import Svg
from normdeploy.pages.page import Cell, Page, Tone

__all__ = ["Cell", "Page", "Svg", "Tone", "charts"]
