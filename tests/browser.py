"""A real browser for pages: what it lays out and paints."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH: apt-get install chromium")

_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--virtual-time-budget=3000",
)  # fmt: skip

_MEASURE = """
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, root = page.documentElement, view = frame.contentWindow;
  const texts = [...page.querySelectorAll("svg text")];
  document.querySelector("pre").textContent = JSON.stringify({
    width: root.clientWidth, scrollWidth: root.scrollWidth, height: root.scrollHeight,
    background: view.getComputedStyle(page.body).backgroundColor,
    ink: view.getComputedStyle(page.body).color,
    text: page.body.innerText,
    figures: [...page.querySelectorAll("figure svg")].map(svg => {
      const box = svg.getBoundingClientRect();
      return [box.width, box.height];
    }),
    axis: texts.length ? view.getComputedStyle(texts[0]).fill : "",
    textHeight: texts.length ? Math.min(...texts.map(text => text.getBoundingClientRect().height)) : 0,
    scripts: page.scripts.length,
  });
};
"""


def measure(page: str, folder: Path, *, width: int, dark: bool) -> dict[str, Any]:
    """How a page is laid out in a window of this width: a frame, since browsers' own windows are wider."""
    host = folder / "host.html"
    host.write_text(
        f'<!DOCTYPE html><iframe width="{width}" height="3000" style="border:0"></iframe>'
        f"<pre></pre><script>{_MEASURE} frame.srcdoc = {json.dumps(page).replace('</', '<' + chr(92) + '/')};"
        f"</script>"
    )
    dom = _run(folder, dark, "--dump-dom", str(host))
    found = re.search(r"<pre>(.*?)</pre>", dom, re.DOTALL)
    assert found, dom[-2000:]
    return json.loads(html.unescape(found.group(1)))


def screenshot(page: str, folder: Path, *, dark: bool) -> Path:
    """The page as painted, 900 pixels wide."""
    source, picture = folder / "page.html", folder / f"{'dark' if dark else 'light'}.png"
    source.write_text(page)
    _run(folder, dark, "--window-size=900,1600", f"--screenshot={picture}", str(source))
    return picture


def _run(folder: Path, dark: bool, *arguments: str) -> str:
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [BROWSER, *_OPTIONS, scheme, f"--user-data-dir={folder / 'profile'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout
