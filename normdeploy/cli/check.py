"""`normdeploy check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from normdeploy.choices import KERNELS
from normdeploy.cli.data_options import labels_option, map_option, preprocess_options
from normdeploy.cli.options import (
    backends_option,
    complete_file,
    data_option,
    html_option,
    json_option,
    max_memory_option,
    model_argument,
    plugins_option,
    seed_option,
    shapes_option,
    timeout_option,
)
from normdeploy.cli.output import deliver, progress_bar, require_apart
from normdeploy.cli.ranges import shape_or_range
from normdeploy.cli.verb import Verb, Verbosity, verbosity
from normdeploy.errors import ExitCode, InputError

if TYPE_CHECKING:
    from normdeploy.inputs.ranges import Range

_EXIT_CODES = {"pass": ExitCode.PASSED, "mismatch": ExitCode.FAILED, "error": ExitCode.UNAVAILABLE}


@click.command(name="check", cls=Verb)
@model_argument()
@click.option(
    "--reference",
    metavar="ORIGINAL.onnx",
    shell_complete=complete_file,
    help="Run the reference on this file instead of MODEL.",
)
@backends_option()
@data_option(
    "An .npz (an array per input, samples along the first axis; 'labels' adds accuracies), an .npy, a "
    "folder of them or of images, or FILE.py:FUNCTION that yields {name: array}. By default random inputs."
)
@labels_option()
@preprocess_options()
@click.option("--samples", type=int, metavar="N", help="By default all of the data, or 8 random ones.")
@seed_option()
@shapes_option(
    "Of an input whose shape the model leaves open; with --invariants a range as NAME:MIN:OPT:MAX too.",
    value=shape_or_range,
)
@map_option()
@click.option(
    "--rtol",
    type=float,
    metavar="R",
    help="Allow rtol * |reference| + atol; by default rounding is measured.",
)
@click.option("--atol", type=float, metavar="A", help="See --rtol.")
@click.option(
    "--max-flips",
    metavar="N|P%",
    help="Pass if at most so many samples change their class, whatever the numbers.",
)
@click.option(
    "--max-accuracy-drop",
    type=float,
    metavar="R",
    help="Pass if the accuracy drops by at most R (0.01 is one percentage point).",
)
@plugins_option("A plugin library for backends that can use it (tensorrt), instead of the model's functions.")
@timeout_option("For loading the model, and for each batch, in a backend and in the reference.")
@max_memory_option()
@click.option("--localize", is_flag=True, help="Name the first node that a backend computes wrongly.")
@click.option(
    "--invariants",
    is_flag=True,
    help="Hold each backend against itself: equal and permuted rows, other batches and shapes, repeated "
    "runs, inner tensors as outputs.",
)
@click.option(
    "--kernels",
    type=click.Choice(KERNELS),
    default="here",
    show_default=True,
    help="any: ask whether every kernel that a backend may choose would pass, here or elsewhere (float16 "
    "inside LRN, TF32, ...); of the backends named, or of all.",
)
@click.option(
    "--power",
    is_flag=True,
    help="Measure for each layer the smallest error that this check would have called wrong.",
)
@click.option(
    "--min-power",
    metavar="R|P%",
    help="Pass only if errors from R on (0.01 or 1%) would be seen in every layer; needs --power.",
)
@json_option("the report")
@click.option(
    "--junit",
    "junit_path",
    metavar="FILE",
    shell_complete=complete_file,
    help="Write the report as JUnit XML, a test case for each backend and output; - for standard output.",
)
@html_option("the report")
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    reference: str | None,
    backends: Sequence[str],
    data: str | None,
    labels: str | None,
    preprocess: Any,
    samples: int | None,
    seed: int,
    shapes: Mapping[str, Sequence[int] | Range],
    names: Mapping[str, str],
    rtol: float | None,
    atol: float | None,
    max_flips: str | None,
    max_accuracy_drop: float | None,
    plugins: Sequence[str],
    timeout: float,
    max_memory: int | None,
    localize: bool,
    invariants: bool,
    kernels: str,
    power: bool,
    min_power: str | None,
    json_path: str | None,
    junit_path: str | None,
    html_path: str | None,
) -> None:
    """Compare what backends make of MODEL.onnx with the NumPy reference in float64.

    Exit code: 0 all passed; 1 a backend's numbers are wrong or depend on the kernel, a gate is missed, or an
    invariant broken; 2 bad usage or bad input, or no output has a finite number; 3 a backend crashed, timed
    out, or was asked for and is not available.
    """
    from normdeploy.pages.charts import require_charts
    from normdeploy.resources import limit_memory, process_limit
    from normdeploy.validation import check, text

    if html_path is not None:
        require_charts()
    limit_memory(process_limit(max_memory))
    reads = (model, reference, data, labels, preprocess if isinstance(preprocess, str) else None, *plugins)
    require_apart(reads, json=json_path, junit=junit_path, html=html_path)
    with progress_bar("checking") as progress:
        report = check(
            model,
            reference=reference,
            backends=backends or None,
            data=data,
            preprocess=preprocess,
            labels=labels,
            samples=samples,
            seed=seed,
            shapes=shapes,
            map=names,
            rtol=rtol,
            atol=atol,
            max_flips=max_flips,
            max_accuracy_drop=max_accuracy_drop,
            localize=localize,
            invariants=invariants,
            kernels=kernels,
            power=power,
            min_power=min_power,
            plugins=plugins,
            timeout=timeout,
            max_memory=max_memory,
            progress=progress,
        )
    if html_path is not None:
        report.to_html(html_path)
    if junit_path is not None:
        report.to_junit(junit_path)
    shown = text.render(report, verbose=verbosity() is Verbosity.VERBOSE)
    deliver(report, json_path, shown, junit_path, html_path)
    if report.verdict == "error" and report.shows_nothing:
        raise InputError(
            "nothing could be compared, no output has a finite number on these inputs: give others"
        )
    ctx.exit(_EXIT_CODES[report.verdict])
