"""Runs the examples in the documentation and writes what they print into the pages.

    python docs/examples.py [--write] [PAGE ...]

Without --write it only says which pages no longer show what happens; tests/docs does the same. Nothing is
measured longer than it takes to see that it works then. An output that still matches stays as it is; to have
it written anew, delete it. The examples of a page are its fenced blocks of these languages, run in order in
one empty folder that has a link to the repository's `models`:

- `console`: each line `$ command` is run by bash, and what follows it is its output. It has to succeed; a
  failure worth showing is written `$ command || echo "exit code $?"`.
- `python`: run, all of a page in one namespace; with `title="net.py"` written to that file instead. A
  `text` block right after it is what it prints.
- `pycon`: a doctest, in the namespace of the `python` blocks.

A comment before the fence says what is different: `<!-- not run: reason -->`, or `<!-- varies: reason -->`
where numbers and lines depend on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(
    path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
)
"""Every page that may have examples, by its path from the repository's root."""

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>not run|varies)\b[^\n]*-->\n)?"
    r"```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_RIGHT_AFTER = re.compile(r"```\n\n?(<!--[^\n]*-->\n)?```text\n")
_NUMBER = re.compile(r"(?<![A-Za-z])\d+(\.\d+)*(e[+-]?\d+)?")
_PATH = re.compile(r"\S*/\S*")
_DURATION = re.compile(r"--duration [\d.]+")
_SHORT = "--duration 0.1"
_MEASURED_ERROR = re.compile(r"\b\d\.\d\de[+-]\d\d\b")
_SAME_SIZE = 30.0
_LINES_THAT_STAY = 4
"""Where the output varies, its first lines do not, numbers and paths aside."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        language: after the opening fence.
        title: the file that it is, or "".
        mark: "not run", "varies" or "".
        body: between the fences.
        start, end: where the body is in the page.
        line: the number of its first line.
    """

    language: str
    title: str
    mark: str
    body: str
    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Outcome:
    """What a block of output should show, and whether it shows it."""

    block: Block
    actual: str
    matches: bool


class ExampleFailed(Exception):
    """An example does not work; the message has its output."""


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(
            found["language"],
            found["title"] or "",
            found["mark"] or "",
            found["body"],
            found.start("body"),
            found.end("body"),
            text.count("\n", 0, found.start("body")) + 1,
        )
        for found in _FENCE.finditer(text)
    ]


def run(text: str, hurried: bool = False) -> list[Outcome]:
    """Run a page's examples in the working folder, which has to be empty and importable from.

    Args:
        text: of the page.
        hurried: whether what varies from machine to machine is measured briefly only.

    Raises:
        ExampleFailed: a command or a Python block fails.
    """
    Path("models").symlink_to(ROOT / "models")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    outcomes, printed, after = [], "", 0
    for block in blocks(text):
        if block.mark == "not run":
            continue
        if block.language == "console":
            outcomes.append(_outcome(block, _console(block, hurried and block.mark == "varies")))
        elif block.language == "python" and block.title:
            Path(block.title).write_text(block.body)
        elif block.language == "python":
            printed, after = _python(block, namespace), block.end
        elif block.language == "pycon":
            _doctest(block, namespace)
        elif block.language == "text" and _RIGHT_AFTER.fullmatch(text[after : block.start]):
            outcomes.append(_outcome(block, printed))
    return outcomes


def updated(text: str, outcomes: Sequence[Outcome]) -> str:
    """The page with the output of every example that no longer shows it replaced."""
    for outcome in reversed(outcomes):
        if not outcome.matches:
            text = text[: outcome.block.start] + outcome.actual + text[outcome.block.end :]
    return text


def alike(documented: str, actual: str, *, varies: bool = False) -> bool:
    """Whether an output is still as documented.

    Lines have to be the same but for spaces. In a line with a measured error, such as 3.44e-06, numbers with
    a point may be up to 30 times larger or smaller, since processors round differently. Where the output
    varies, the first four lines have to be the same, numbers and paths aside.
    """
    lines, found = _lines(documented), _lines(actual)
    if varies:
        lines, found = lines[:_LINES_THAT_STAY], found[:_LINES_THAT_STAY]
        return list(map(_without_what_varies, lines)) == list(map(_without_what_varies, found))
    return len(lines) == len(found) and all(map(_same_line, lines, found))


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.strip("\n").splitlines()]


def _without_what_varies(line: str) -> str:
    return _NUMBER.sub("0", _PATH.sub("/", line))


def _same_line(documented: str, actual: str) -> bool:
    if not _MEASURED_ERROR.search(documented):
        return documented == actual
    words, found = documented.split(), actual.split()
    return len(words) == len(found) and all(map(_same_word, words, found))


def _same_word(documented: str, actual: str) -> bool:
    if documented == actual:
        return True
    try:
        one, other = float(documented), float(actual)
    except ValueError:
        return False
    return "." in documented and "." in actual and one <= other * _SAME_SIZE and other <= one * _SAME_SIZE


def _outcome(block: Block, actual: str) -> Outcome:
    return Outcome(block, actual, alike(block.body, actual, varies=block.mark == "varies"))


def commands(block: Block) -> Iterator[str]:
    """The commands of a console block; a backslash continues a line."""
    lines = iter(block.body.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line
            while command.endswith("\\"):
                command += "\n" + next(lines)
            yield command.removeprefix("$ ")


def _console(block: Block, hurried: bool) -> str:
    shown = []
    for command in commands(block):
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        done = subprocess.run(
            ["bash", "-c", _DURATION.sub(_SHORT, command) if hurried else command],  # noqa: S607
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PATH": path},
            check=False,
        )
        if done.returncode:
            raise ExampleFailed(f"line {block.line}: exit code {done.returncode}\n$ {command}\n{done.stdout}")
        shown.append(f"$ {command}\n{_shown(done.stdout)}")
    return "".join(shown)


def _shown(printed: str) -> str:
    """As a page shows it: without spaces at the ends of lines, and without the place of the repository."""
    return "".join(f"{line.rstrip()}\n" for line in printed.replace(f"{ROOT}/", "").splitlines())


def _python(block: Block, namespace: dict[str, Any]) -> str:
    printed = io.StringIO()
    code = compile("\n" * (block.line - 1) + block.body, "page", "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)  # noqa: S102
    return _shown(printed.getvalue())


def _doctest(block: Block, namespace: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.body, namespace, "page", "page", block.line - 1)
    report = io.StringIO()
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(
        test, out=report.write, clear_globs=False
    )
    namespace.update(test.globs)
    if report.getvalue():
        raise ExampleFailed(report.getvalue())


def main() -> int:
    """Compare or rewrite pages; 1 if a page does not show what happens, or an example fails."""
    parser = argparse.ArgumentParser(description="run the documentation's examples")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="from the repository's root; by default all")
    parser.add_argument("--write", action="store_true", help="write what they print into the pages")
    options = parser.parse_args()
    pages = options.pages or PAGES
    if len(pages) == 1:
        return _check(pages[0], options.write)
    flags = ["--write"] if options.write else []
    each = [subprocess.run([sys.executable, __file__, *flags, page], check=False) for page in pages]
    return max(done.returncode for done in each)


def _check(page: str, write: bool) -> int:
    text = (ROOT / page).read_text()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        try:
            outcomes = run(text, hurried=not write)
        except ExampleFailed as failure:
            print(f"{page}, {failure}")
            return 1
        finally:
            os.chdir(ROOT)
    stale = [outcome for outcome in outcomes if not outcome.matches]
    for outcome in stale:
        print(f"{page}, line {outcome.block.line}: {'written' if write else 'prints now'}\n{outcome.actual}")
    if write:
        (ROOT / page).write_text(updated(text, outcomes))
        return 0
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
