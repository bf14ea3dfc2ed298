"""What the site needs beyond MkDocs: pages that live elsewhere, links to files, formulas, schemas as tables.

Pages are written so that they also read well where the repository is shown: their links are relative to
their own place in it. A link to a file that the site has no page for becomes plain text.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "plugin.md": "plugins/README.md",
}
"""Page of the site -> the file in the repository that it is."""

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\n]+(?:\n[^\]\n]+)?)\]\((?P<target>[^)\s]+)\)")
_SCHEMA = re.compile(r"^<!-- schema: (?P<name>\w+) -->$", re.MULTILINE)
_FORMULA = re.compile(
    r"<(?P<tag>span|div) class=\"arithmatex\">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>", re.DOTALL
)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages that live elsewhere."""
    for page, source in ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to the site's pages, and put tables in the place of schemas."""
    own = page.file.src_uri
    source = ELSEWHERE.get(own, f"docs/{own}")
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [_LINK.sub(lambda found: _link(found, source, own), part) for part in parts[::2]]
    return _SCHEMA.sub(lambda found: schema_table(found["name"]), "".join(parts))


def on_page_content(content: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn formulas into MathML, which browsers show without a script."""
    return _FORMULA.sub(_mathml, content)


def _link(found: re.Match[str], source: str, page: str) -> str:
    target, _, anchor = found["target"].partition("#")
    if not target or ":" in target:
        return found[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).exists():
        raise PluginError(f"{source} links to {target}, and there is no {path}")
    uri = next((uri for uri, place in ELSEWHERE.items() if place == path), path.removeprefix("docs/"))
    if uri == path and not path.startswith("docs/"):
        return found["text"]
    if (ROOT / path).is_dir():
        uri = posixpath.join(uri, "index.md")
    relative = posixpath.relpath(uri, posixpath.dirname(page) or ".")
    return f"[{found['text']}]({relative}{'#' if anchor else ''}{anchor})"


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found["tag"] == "div" else "inline"
    formula = convert(html.unescape(found["latex"]).strip(), display=display)
    return formula.replace("<mo>&#x0007C;</mo>", '<mi mathvariant="normal">|</mi>')  # no space around bars


def schema_table(name: str) -> str:
    """The fields of a schema, those of inner objects indented, as a table in Markdown."""
    schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text())
    rows = ["| field | type | |", "|---|---|---|"]
    _add_rows(rows, schema, schema, "")
    return "\n".join(rows)


def _add_rows(rows: list[str], schema: dict[str, Any], root: dict[str, Any], prefix: str) -> None:
    for field, value in schema.get("properties", {}).items():
        inner = _resolved(value, root)
        optional = "" if field in schema.get("required", ()) else ", may be missing"
        text = value.get("description", inner.get("description", ""))
        rows.append(f"| `{prefix}{field}` | {_type(value, root)}{optional} | {text} |")
        for part, mark in _objects(value, root):
            _add_rows(rows, part, root, f"{prefix}{field}{mark}.")


def _resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return found


def _alternatives(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    schema = _resolved(schema, root)
    return [part for option in schema.get("anyOf", ()) for part in _alternatives(option, root)] or [schema]


def _objects(schema: dict[str, Any], root: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The objects with named fields in a value, or in its array, and what a path to them has in between."""
    found = []
    for option in _alternatives(schema, root):
        if "properties" in option:
            found.append((option, ""))
        elif "items" in option:
            found += [(part, f"[]{mark}") for part, mark in _objects(option["items"], root)]
        elif isinstance(option.get("additionalProperties"), dict):
            found += [(part, f".*{mark}") for part, mark in _objects(option["additionalProperties"], root)]
    return found


def _type(schema: dict[str, Any], root: dict[str, Any]) -> str:
    names = []
    for option in _alternatives(schema, root):
        if "const" in option:
            names.append(f"`{json.dumps(option['const'])}`")
        elif "enum" in option:
            names += [f"`{json.dumps(value)}`" for value in option["enum"]]
        else:
            kinds = option.get("type", "any")
            names += [kinds] if isinstance(kinds, str) else kinds
    return ", ".join(dict.fromkeys(names))
