"""`normdeploy optimize`."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import click

from normdeploy.cli.explain import explain
from normdeploy.cli.output import STDOUT, write_json
from normdeploy.cli.parameters import SHAPE_METAVAR, by_name, named_shape
from normdeploy.passes import OptimizationReport, Target, optimize
from normdeploy.resources import limit_memory


@click.command(name="optimize")
@click.argument("model", metavar="IN.onnx")
@click.option("-o", "--output", required=True, metavar="OUT.onnx", help="The file to write; may be IN.onnx.")
@click.option(
    "--target",
    type=click.Choice(get_args(Target)),
    default="portable",
    show_default=True,
    help="What runs the result: any runtime, onnxruntime's CPU, or TensorRT.",
)
@click.option(
    "--explain", "with_reasons", is_flag=True, help="Say what became of each BatchNorm and LRN, and why."
)
@click.option("--json", "json_path", metavar="FILE", help="Write the report as JSON; - for standard output.")
@click.option("--no-verify", is_flag=True, help="Do not compute the model before and after and compare.")
@click.option(
    "--shape",
    "shapes",
    type=named_shape,
    metavar=SHAPE_METAVAR,
    multiple=True,
    help="Of an input whose shape the model leaves open, for the comparison.",
)
def command(
    model: str,
    output: str,
    target: Target,
    with_reasons: bool,
    json_path: str | None,
    no_verify: bool,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
) -> None:
    """Fold BatchNorm, recover LRN and tidy up an ONNX model.

    The result is computed before and after in float64 on random inputs, and not written if it differs by
    more than rounding.
    """
    limit_memory()
    result = optimize(model, target=target, verify=not no_verify, shapes=by_name(shapes))
    result.save(output)
    if json_path is not None:
        write_json(json_path, result.report.to_json())
    if json_path != STDOUT:
        click.echo(f"wrote {output}: {_summary(result.report)}{'' if no_verify else ', verified'}")
        if with_reasons:
            explain(result.report)


def _summary(report: OptimizationReport) -> str:
    parts = [f"{report.nodes_before} -> {report.nodes_after} nodes"]
    for kind, records in (("BatchNorm", report.batchnorm), ("LRN", report.lrn)):
        counts = Counter(record.status for record in records)
        parts += [f"{kind} {count} {status}" for status, count in sorted(counts.items())]
    return ", ".join(parts)
