"""Everything that needs torch: layers that it lacks, and the exporter.

- modules: LRN within a channel and BatchNorm per activation; they train and export.
- export: a torch module as an ONNX model.
- names: the names that its author knows, for the graph's nodes and free axes.
- source: what the command line takes, a factory or an exported program; never a pickle.
"""

try:
    import onnxscript  # noqa: F401
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    from normdeploy.errors import MissingDependencyError

    raise MissingDependencyError(str(error.name), "torch") from error

from normdeploy.torch.export import export
from normdeploy.torch.modules import BatchNormPerActivation, IntraChannelLRN
from normdeploy.torch.source import PROGRAM, export_source

__all__ = ["PROGRAM", "BatchNormPerActivation", "IntraChannelLRN", "export", "export_source"]
