"""From a model that fails to the smallest file that does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from normdeploy.backends.catalog import find
from normdeploy.backends.tensorrt.plugins import plugin_libraries
from normdeploy.budget import budgeted
from normdeploy.choices import BACKEND_TIMEOUT
from normdeploy.environment import environment
from normdeploy.errors import ModelError, UsageError
from normdeploy.files import is_stdout, resolved_target, scratch_folder, staged
from normdeploy.graph.inference import infer
from normdeploy.graph.io import ModelSource, model_name, on_disk
from normdeploy.graph.scopes import node_name
from normdeploy.graph.strict import blames_invalid
from normdeploy.inputs.declared import declared_inputs, with_shapes
from normdeploy.inputs.images import ImageOptions
from normdeploy.inputs.preprocess import Function
from normdeploy.inputs.samples import open_samples
from normdeploy.inputs.sources import Data, Preparation
from normdeploy.validation.examinee import paired_models
from normdeploy.validation.reduction.failures import Failure, Piece
from normdeploy.validation.reduction.issue import issue_text
from normdeploy.validation.reduction.nodes import Tell
from normdeploy.validation.reduction.result import NodeLeft, Reduction
from normdeploy.validation.reduction.samples import FailingSample, NothingFails, failing_sample
from normdeploy.validation.reduction.subjects import BackendSubject, GraphSubject, Subject, Terms
from normdeploy.validation.reduction.writing import SmallFiles, write_piece
from normdeploy.validation.tolerance import given_tolerance


@blames_invalid
@budgeted
def reduce(
    model: ModelSource,
    output: str | os.PathLike[str],
    *,
    reference: ModelSource | None = None,
    backend: str | None = None,
    data: Data | None = None,
    preprocess: Function | str | ImageOptions | None = None,
    samples: int | None = None,
    seed: int = 0,
    shapes: Mapping[str, Sequence[int]] | None = None,
    map: Mapping[str, str] | None = None,  # noqa: A002
    rtol: float | None = None,
    atol: float | None = None,
    plugins: Sequence[str | os.PathLike[str]] = (),
    timeout: float = BACKEND_TIMEOUT,
    max_memory: float | None = None,
    progress: Tell | None = None,
) -> Reduction:
    """Write the smallest file that still fails as a model does: a few nodes, with their data.

    With a reference: those nodes in which the deployed graph and the original differ. With a backend: those
    that it computes wrongly, alone or together, or at which it crashes or hangs. With both, the backend is
    asked only if the graphs agree.

    Args:
        model: the deployed model.
        output: the file to write, `small.onnx`. Beside it come `small.npz`, the inputs; `small.expected.npz`,
            the right outputs; `small.md`, a text for an issue; and `small.reference.onnx`, the piece of the
            original, where the graphs differ.
        reference: the original.
        backend: the name of a backend.
        data, preprocess, samples, seed, shapes, map: see `normdeploy.check`.
        rtol, atol: what outputs are allowed; what fails has to miss this and what rounding explains.
        plugins: plugin libraries, where the backend can use them.
        timeout: seconds that the backend may take to load a model, and for each run; the reference likewise.
        max_memory: bytes that this process may take, half of the machine's memory by default.
        progress: is told what is being done.

    Returns:
        What is left, how it fails, and the files. It prints as `normdeploy reduce` shows it.

    Raises:
        UsageError: nothing fails, so that there is nothing to reduce; a file would be written over another.
        BackendUnavailable: the backend cannot work on this machine.
        NormdeployError: bad usage or bad input.

    Example:
        >>> import normdeploy as nd, onnx
        >>> model = onnx.load("models/digits/digits.onnx")
        >>> lrn = next(node for node in model.graph.node if node.op_type == "LRN")
        >>> next(item for item in lrn.attribute if item.name == "beta").f = 0.74
        >>> found = nd.reduce(model, "small.onnx", reference="models/digits/original.onnx",
        ...                   data="models/digits/heldout.npz", samples=2)
        >>> [(node.node, node.op_type) for node in found.nodes]
        [('features.3', 'LRN')]
    """
    if not timeout > 0:
        raise UsageError(f"timeout must be above 0, got {timeout}")
    if reference is None and backend is None:
        raise UsageError("nothing to compare with: give a reference or a backend (--reference, --backend)")
    if is_stdout(output):
        raise UsageError("-o has to name a file: several are written beside each other")
    found = None if backend is None else find(backend).with_plugins(plugin_libraries(plugins))
    terms = Terms(given_tolerance(rtol, atol), seed, timeout)
    deployed, original, pairing = paired_models(model, reference, map)
    infer(original)
    target = resolved_target(output)
    _refuse_overwriting(SmallFiles(target, has_original=True), model, reference, data)
    tell = progress or (lambda doing: None)
    inputs = with_shapes(declared_inputs(deployed, pairing.inputs), shapes or {})
    with staged(output) as part, scratch_folder() as folder, on_disk(model) as path:
        subjects: list[Subject] = []
        if reference is not None:
            subjects.append(GraphSubject(deployed, original, terms))
        if found is not None:
            subjects.append(BackendSubject(deployed, found, path, terms))
        for subject in subjects:
            with open_samples(inputs, data, samples, seed, Preparation(preprocess)) as opened:
                try:
                    failing = failing_sample(opened, inputs, subject, tell)
                    break
                except NothingFails:
                    if subject is subjects[-1]:
                        raise
        pieces = _smaller_and_smaller(subject, failing, tell)
        piece, failure, files = _written(subject, pieces, folder / part.name, tell)
        reduction = Reduction(
            model=model_name(model),
            reference=None if reference is None else model_name(reference),
            backend=subject.backend.name if subject.backend else None,
            status=failure.status,
            reason=failure.reason,
            nodes_before=len(deployed.graph),
            nodes=_left(piece.model),
            original_nodes=[] if piece.original is None else _left(piece.original),
            outputs=failure.outputs,
            samples=failing.numbers,
            files=[os.fspath(Path(output).with_name(file.name)) for file in files.all],
            versions=subject.versions,
            environment=environment(),
        )
        files.issue.write_text(issue_text(reduction, piece, failure, files), encoding="utf-8")
        for file in folder.iterdir():
            shutil.copyfile(file, part.with_name(file.name))
    return reduction


def _smaller_and_smaller(subject: Subject, failing: FailingSample, tell: Tell) -> list[tuple[Piece, Failure]]:
    """Pieces that fail, the smallest last."""
    found = [(subject.whole(failing.inputs), failing.failure)]
    found += subject.fewer_nodes(*found[0], tell)
    found.sort(key=lambda item: len(item[0].model.graph), reverse=True)
    found += subject.smaller_tensors(*found[-1], tell)
    return found


def _written(
    subject: Subject, pieces: Sequence[tuple[Piece, Failure]], target: Path, tell: Tell
) -> tuple[Piece, Failure, SmallFiles]:
    """Write the smallest piece whose files fail in a fresh process.

    Raises:
        UsageError: none does.
    """
    for piece, failure in reversed(pieces):
        tell(f"trying the written file, {len(piece.model.graph)} nodes")
        for leftover in target.parent.iterdir():
            leftover.unlink()
        files = SmallFiles(target, piece.original is not None)
        with suppress(ModelError):  # not everything that a backend runs can be written
            files = replace(files, has_expected=write_piece(piece, files))
            again = subject.again(files)
            if again is not None and again.status == failure.status:
                return piece, again, files
    raise UsageError("nothing to reduce: the model fails, but not again when its file is run anew")


def _left(model: ir.Model) -> list[NodeLeft]:
    return [NodeLeft(node_name(node), node.op_type) for node in model.graph]


def _refuse_overwriting(
    files: SmallFiles, model: ModelSource, reference: ModelSource | None, data: Data | None
) -> None:
    """Check that no file beside the one that -o names is one of those that are read.

    Raises:
        UsageError: one is.
    """
    read = {
        os.path.realpath(file) for file in (model, reference, data) if isinstance(file, str | os.PathLike)
    }
    for file in files.all[1:]:
        if os.path.realpath(file) in read:
            raise UsageError(f"{file}: would be written over, and is read: choose another name with -o")
