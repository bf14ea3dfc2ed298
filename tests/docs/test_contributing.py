"""The map in CONTRIBUTING.md: all of the package is in it, and all of it is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "normdeploy"
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
LINES = re.search(r"```\n(normdeploy/\n.*?)```", TEXT, re.DOTALL)[1].splitlines()
_NAME = re.compile(r"(?<![\w./])[\w.]+(?:\.py|/)(?:[\w.]+(?:\.py|/))*")


def entries(lines):
    """[(folder, what the map names in it)]; a description names what is in the folder of its line."""
    found = []
    folder = ROOT
    for line in lines:
        indent, head, body = re.fullmatch(r"( *)(\S+(?: \S+)*)(?: {2,}(.*))?", line).groups()
        if len(indent) > 2:  # goes on with the line before
            found += [(folder, name) for name in _NAME.findall(line)]
            continue
        place = PACKAGE if indent else ROOT
        names = _NAME.findall(head)
        folder = next((place / name for name in reversed(names) if name.endswith("/")), place)
        found += [(place, name) for name in names] + [(folder, name) for name in _NAME.findall(body or "")]
    return found


def exists(folder, name):
    """In the folder of its line, or by its path from the package or the root."""
    return any((place / name).exists() for place in (folder, PACKAGE, ROOT))


def test_nothing_in_the_map_is_gone():
    found = entries(LINES)
    assert len(found) > 60
    assert [name for folder, name in found if not exists(folder, name)] == []


def test_a_name_that_is_gone_is_noticed():
    assert [exists(folder, name) for folder, name in entries(["  graph/   io.py, gone.py"])] == [
        True,
        True,
        False,
    ]


def test_every_part_of_the_package_is_in_the_map():
    named = {name.rstrip("/") for folder, name in entries(LINES) if folder == PACKAGE}
    parts = {
        path.name
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").is_file())
    }
    assert parts <= named, f"not in the map of CONTRIBUTING.md: {parts - named}"


def test_the_map_fits_on_a_screen():
    assert len(LINES) <= 55
    assert max(map(len, LINES)) <= 96


def test_the_layers_are_those_that_are_enforced():
    source = (ROOT / "tests" / "test_architecture.py").read_text()
    layers = re.search(r"LAYERS = \((.*?)\n\)\n", source, re.DOTALL)[1]
    enforced = [sorted(re.findall(r'"(\w+)"', line)) for line in layers.strip().splitlines()]
    written = re.search(r"\*\*Layers\.\*\*.*?: (.*?)\.\s+`tests", TEXT, re.DOTALL)[1]
    shown = [sorted(re.findall(r"`(\w+)`", layer)) for layer in written.split("→")]
    assert shown == [layer for layer in enforced if layer != ["__main__"]]
