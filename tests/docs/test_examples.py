"""Every command and every block of Python in the documentation runs, and prints what the page shows."""

import subprocess
import sys

import pytest

from docs.examples import PAGES, ROOT, alike, blocks, commands, updated

WITH_EXAMPLES = [
    page
    for page in PAGES
    if any(
        block.language in ("console", "python", "pycon") and block.mark != "not run"
        for block in blocks((ROOT / page).read_text())
    )
]


@pytest.mark.parametrize("page", WITH_EXAMPLES)
def test_the_examples_of(page):
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "examples.py", page], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_verb_has_a_page_with_its_help():
    from normdeploy.cli.app import VERBS

    for verb in VERBS:
        shown = blocks((ROOT / "docs" / "commands" / f"{verb}.md").read_text())
        lines = [line for block in shown if block.language == "console" for line in commands(block)]
        assert f"normdeploy {verb} --help" in lines
        assert f"docs/commands/{verb}.md" in WITH_EXAMPLES


PAGE = """
```python title="net.py"
x = 1
```

<!-- varies: times -->
```console
$ one \\
    --option
output
$ two
```

<!-- not run: too long -->
```python
forever()
```
"""


def test_blocks():
    python, console, skipped = blocks(PAGE)
    assert (python.language, python.title, python.mark, python.body) == ("python", "net.py", "", "x = 1\n")
    assert (console.mark, skipped.mark) == ("varies", "not run")
    assert list(commands(console)) == ["one \\\n    --option", "two"]
    assert console.line == 8


def run_page(tmp_path, text, *flags):
    page = tmp_path / "page.md"
    page.write_text(text)
    command = [sys.executable, ROOT / "docs" / "examples.py", *flags, page]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, page.read_text()


STALE = """
```console
$ echo "1 node"; ls
1 nodes
```

```python
print("two")
```

```text
three
```
"""


def test_a_stale_output_is_noticed_and_written(tmp_path):
    code, said, text = run_page(tmp_path, STALE)
    assert code == 1
    assert "line 3" in said
    assert "line 12" in said
    assert text == STALE
    code, _, text = run_page(tmp_path, STALE, "--write")
    assert code == 0
    assert '$ echo "1 node"; ls\n1 node\nmodels\n```' in text
    assert "```text\ntwo\n```" in text
    assert run_page(tmp_path, text)[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ false\n```\n",
        "```python\nassert False\n```\n",
        "```pycon\n>>> 1 + 1\n3\n```\n",
    ],
)
def test_an_example_that_fails_is_noticed(tmp_path, text):
    code, _, after = run_page(tmp_path, text, "--write")
    assert code == 1
    assert after == text


@pytest.mark.parametrize(
    ("documented", "actual", "same"),
    [
        ("a  b\n", "a b  \n", True),
        ("23 -> 19 nodes\n", "23 -> 18 nodes\n", False),
        ("alpha 0.01\n", "alpha 0.02\n", False),
        ("pass scores 3.44e-06 1.30e-04 0.285 0 0\n", "pass scores 4.1e-06 9.9e-05 0.211 0 0\n", True),
        ("pass scores 3.44e-06 1.30e-04 0.285 0 0\n", "pass scores 3.44e-06 1.30e-04 0.285 1 0\n", False),
        ("pass scores 3.44e-06 1.30e-04 0.285 0 0\n", "fail scores 3.44e-06 1.30e-04 0.285 0 0\n", False),
        ("pass scores 3.44e-06\n", "pass scores 3.44e-02\n", False),
        ("accuracy: 99.33%\n", "accuracy: 99.11%\n", False),
        ("one\n", "one\ntwo\n", False),
    ],
)
def test_alike(documented, actual, same):
    assert alike(documented, actual) is same


def test_alike_where_output_varies():
    documented = "$ profile\nnet.onnx\nmean ms p50\nonnxruntime 0.24 0.11\nnot stable\n"
    assert alike(documented, "$ profile\nnet.onnx\nmean ms p50\nonnxruntime 12.5 3\n", varies=True)
    assert not alike(documented, "$ profile\nnet.onnx\nmean ms p90\nonnxruntime 12.5 3\n", varies=True)
    assert not alike(documented, "$ profile\nnet.onnx\nmean ms p50\ntensorrt 12.5 3\n", varies=True)
    assert alike("python 3.11 (/a/b)\n", "python 3.13 (.venv/c)\n", varies=True)


def test_nothing_is_updated_that_matches():
    assert updated(STALE, []) == STALE
