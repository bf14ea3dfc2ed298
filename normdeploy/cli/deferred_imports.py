"""Modules that are imported when something in them is first used.

onnx_ir imports sympy, for arithmetic with symbolic sizes, which no command does: a third of a second that a
command would spend before it begins. Python itself can put an import off: `importlib.util.LazyLoader`
gives a module that loads itself when one of its attributes is first asked for. Nothing is replaced or cut
out: whoever does use sympy (torch's exporter does) gets all of it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

SYMBOLIC = ("sympy", "onnx_ir._symbolic_shapes")
"""sympy, and the one module that uses it while it is itself imported."""


class _Deferring:
    """A finder for sys.meta_path: finds modules of some names as Python does, and has them loaded later."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for other modules: they are left to the finders that come after."""
        if fullname not in self._names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@contextmanager
def deferred(names: Sequence[str] = SYMBOLIC) -> Iterator[None]:
    """Inside it, importing one of these modules loads it on its first use; what is loaded already stays."""
    finder = _Deferring(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
