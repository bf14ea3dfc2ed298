"""Exports: right nodes, right numbers in onnxruntime and in the reference, nothing of ours needed to run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import normdeploy as nd
from normdeploy.errors import ExportError, InputError, UsageError
from normdeploy.passes import OptimizationReport
from normdeploy.torch import BatchNormPerActivation, IntraChannelLRN


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random BatchNorm statistics and parameters, as training would leave them; evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm | BatchNormPerActivation):
            for tensor, low, high in (
                (part.weight, 0.5, 1.5), (part.bias, -1, 1),
                (part.running_mean, -1, 1), (part.running_var, 0.5, 2),
            ):  # fmt: skip
                tensor.data.uniform_(low, high, generator=generator)
    return module.eval()


def export(
    module: nn.Module, x: Tensor, path: Path, **options: object
) -> tuple[onnx.ModelProto, OptimizationReport]:
    report = nd.export(module, x, path, **options)  # type: ignore[arg-type]
    onnx.checker.check_model(str(path), full_check=True)
    return onnx.load(path), report


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node if node.op_type != "Constant"]


def assert_computes(path: Path, module: nn.Module, *inputs: Tensor, rtol: float = 1e-5) -> None:
    """onnxruntime and the reference give what torch gives."""
    session = onnxruntime.InferenceSession(path)
    feeds = {item.name: x.numpy() for item, x in zip(session.get_inputs(), inputs, strict=True)}
    with torch.no_grad():
        expected = module(*inputs).numpy()
    atol = rtol * float(np.abs(expected).max())
    (output,) = session.run(None, feeds)
    np.testing.assert_allclose(output, expected, rtol=rtol, atol=atol)
    (reference,) = nd.evaluate(path, feeds).values()
    np.testing.assert_allclose(reference, expected, rtol=rtol, atol=atol)


class Normalizations(nn.Module):
    """One LRN of every kind side by side, so that one export tries them all."""

    def __init__(self) -> None:
        super().__init__()
        self.across = nn.ModuleDict(
            {f"size{n}": nn.LocalResponseNorm(n, 0.7, 0.75, 1.5) for n in (2, 3, 4, 5)}
        )
        self.across["k0"] = nn.LocalResponseNorm(3, 0.7, 0.75, 0.0)
        self.across["beta1"] = nn.LocalResponseNorm(3, 0.7, 1.0, 1.5)
        self.across["size17"] = nn.LocalResponseNorm(17, 0.7, 0.5, 1.5)
        self.within = nn.ModuleDict({f"size{n}": IntraChannelLRN(n, 0.7, 0.75, 1.5) for n in (2, 3, 4, 5)})

    def forward(self, x: Tensor) -> Tensor:
        x = x + 3  # k = 0 divides by the window's sum, which may be anything but zero
        return torch.cat([layer(x) for layer in (*self.across.values(), *self.within.values())], 1)


@pytest.mark.parametrize("dynamic", [{}, {"x": [0, 2, 3]}], ids=["static", "dynamic"])
def test_every_kind_of_lrn(tmp_path: Path, dynamic: dict[str, list[int]]) -> None:
    module, path = Normalizations().eval(), tmp_path / "m.onnx"
    model, report = export(module, torch.randn(2, 6, 9, 7), path, dynamic=dynamic)
    counts = {name: operators(model).count(name) for name in ("LRN", "IntraChannelLRN", "AveragePool")}
    assert counts == {"LRN": 3, "IntraChannelLRN": 4, "AveragePool": 4}
    assert [record.status for record in report.lrn].count("recovered") == 7
    reasons = {record.nodes[-1]: record.reason for record in report.lrn if record.status == "kept"}
    assert set(reasons) == {f"across.{name}" for name in ("size2", "size4", "k0", "size17")}
    assert "k 0 is outside" in reasons["across.k0"]
    assert [function.name for function in model.functions] == ["IntraChannelLRN"]
    shape = (3, 6, 5, 8) if dynamic else (2, 6, 9, 7)
    assert_computes(path, module, torch.randn(shape))


@pytest.mark.parametrize("shape", [(2, 5, 8), (2, 5, 4, 3, 6)], ids=["rank3", "rank5"])
def test_other_ranks_stay_as_torch_computes_them_across(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """onnxruntime takes LRN of rank 4 only."""
    module = nn.Sequential(nn.LocalResponseNorm(3, 0.5), IntraChannelLRN(3, 0.5)).eval()
    model, report = export(module, torch.randn(shape), tmp_path / "m.onnx")
    assert "LRN" not in operators(model)
    assert operators(model).count("IntraChannelLRN") == 1
    assert f"rank {len(shape)}, not 4" in report.lrn[0].reason
    assert_computes(tmp_path / "m.onnx", module, torch.randn(shape))


def test_functional_lrn_is_recovered_too(tmp_path: Path) -> None:
    class Functional(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.local_response_norm(x, 5, alpha=0.3)

    model, _ = export(Functional().eval(), torch.randn(1, 7, 4, 4), tmp_path / "m.onnx")
    assert operators(model) == ["LRN"]
    assert nd.LRN.from_onnx(model.graph.node[0]).alpha == pytest.approx(0.3)


class Foldable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, groups=4), nn.BatchNorm2d(8), nn.ReLU(),
            nn.ConvTranspose2d(8, 6, 3, stride=2, groups=2), nn.BatchNorm2d(6), nn.ReLU(),
            nn.Flatten(), nn.Linear(6 * 17 * 17, 5), nn.BatchNorm1d(5),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.body(x)
        return result


def test_batch_norm_is_folded_into_conv_conv_transpose_and_linear(tmp_path: Path) -> None:
    module = randomize(Foldable())
    model, report = export(module, torch.randn(1, 3, 10, 10), tmp_path / "m.onnx", dynamic={"x": [0]})
    assert "BatchNormalization" not in operators(model)
    assert [(record.status, record.into) for record in report.batchnorm] == [
        ("folded", "body.0"), ("folded", "body.3"), ("folded", "body.6"), ("folded", "body.10")
    ]  # fmt: skip
    assert_computes(tmp_path / "m.onnx", module, torch.randn(3, 3, 10, 10))


def test_no_fold_keeps_batch_norm(tmp_path: Path) -> None:
    module = randomize(Foldable())
    model, report = export(module, torch.randn(1, 3, 10, 10), tmp_path / "m.onnx", fold=False)
    assert operators(model).count("BatchNormalization") == 4
    assert report.batchnorm == []
    assert_computes(tmp_path / "m.onnx", module, torch.randn(1, 3, 10, 10))


def test_what_cannot_be_folded_is_kept_and_named(tmp_path: Path) -> None:
    module = randomize(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)))
    model, report = export(module, torch.randn(1, 3, 6, 6), tmp_path / "m.onnx")
    assert operators(model).count("BatchNormalization") == 1
    (record,) = report.batchnorm
    assert (record.node, record.status) == ("1", "kept")
    assert "Relu" in record.reason
    assert_computes(tmp_path / "m.onnx", module, torch.randn(1, 3, 6, 6))


def test_batch_norm_per_activation_becomes_two_constants(tmp_path: Path) -> None:
    module = randomize(BatchNormPerActivation((3, 4, 5)))
    model, _ = export(module, torch.randn(2, 3, 4, 5), tmp_path / "m.onnx", dynamic={"x": [0]})
    assert operators(model) == ["Mul", "Add"]
    assert [list(tensor.dims) for tensor in model.graph.initializer] == [[3, 4, 5]] * 2
    assert_computes(tmp_path / "m.onnx", module, torch.randn(6, 3, 4, 5))


def test_half_precision_module_exports_without_overflow(tmp_path: Path) -> None:
    module = nn.Sequential(IntraChannelLRN(3)).half().eval()
    export(module, torch.randn(1, 2, 5, 5).half(), tmp_path / "m.onnx")
    x = torch.full((1, 2, 5, 5), 300.0).half()
    (y,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {"input": x.numpy()})
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, module(x).numpy(), rtol=2e-3)


def test_names_are_those_of_the_module(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(2, 4, 1), nn.LocalResponseNorm(3))

        def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            y = self.features(image)
            return y * mask, y.mean()

    model, _ = export(
        Two().eval(), (torch.randn(1, 2, 4, 4), torch.ones(1, 1, 4, 4)), tmp_path / "m.onnx",  # type: ignore[arg-type]
        dynamic={"image": [0, 2], "mask": [0, 2]},
        shapes={"image": [2, 2, 6, 4], "mask": [2, 1, 6, 4]},
    )  # fmt: skip
    assert [item.name for item in model.graph.input] == ["image", "mask"]
    assert [item.name for item in model.graph.output] == ["output_0", "output_1"]
    assert {"features.0", "features.1"} <= {node.name for node in model.graph.node}
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_file_tells_nothing_of_the_exporting_machine(tmp_path: Path) -> None:
    export(randomize(Foldable()), torch.randn(1, 3, 10, 10), tmp_path / "m.onnx")
    content = (tmp_path / "m.onnx").read_bytes()
    assert b"site-packages" not in content
    assert str(Path(__file__).parent).encode() not in content


def test_training_mode_is_refused(tmp_path: Path) -> None:
    module = Foldable()
    with pytest.raises(ExportError, match=r"training mode; call module.eval\(\) first"):
        nd.export(module, torch.randn(1, 3, 10, 10), tmp_path / "m.onnx")
    program = torch.export.export(module, (torch.randn(2, 3, 10, 10),))
    with pytest.raises(ExportError, match="exported in training mode"):
        nd.export(program, None, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_bad_arguments(tmp_path: Path) -> None:
    module, x, path = nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2), tmp_path / "m.onnx"
    with pytest.raises(InputError, match=r"do not fit Sequential\.forward"):
        nd.export(module, (x, x), path)
    with pytest.raises(InputError, match="'input' is str, not a tensor"):
        nd.export(module, ["x"], path)  # type: ignore[list-item]
    with pytest.raises(UsageError, match="has no input 'y'; it has input"):
        nd.export(module, x, path, dynamic={"y": [0]})
    with pytest.raises(UsageError, match=r"shape \(1, 2\) has no axis 2"):
        nd.export(module, x, path, dynamic={"input": [2]})
    with pytest.raises(UsageError, match="has 1 outputs, 2 names"):
        nd.export(module, x, path, output_names=["a", "b"])
    with pytest.raises(UsageError, match="cannot be written"):
        nd.export(module, x, tmp_path / "missing" / "m.onnx")


def test_a_module_that_torch_cannot_export_is_one_line(tmp_path: Path) -> None:
    class Branches(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ExportError, match="torch cannot export Branches") as raised:
        nd.export(Branches().eval(), torch.ones(2), tmp_path / "m.onnx")
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_progress_names_each_stage_in_turn(tmp_path):
    seen: list[str] = []
    export(nn.Conv2d(3, 4, 3).eval(), torch.zeros(1, 3, 8, 8), tmp_path / "m.onnx", progress=seen.append)
    passes = [stage for stage in seen if stage.startswith("rewriting: ")]
    assert "rewriting: fold BatchNorm" in passes
    assert [stage for stage in seen if stage not in passes] == [
        "tracing", "translating", "inferring shapes", "writing",
    ]  # fmt: skip
