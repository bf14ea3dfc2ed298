"""Everything that needs torch: layers that it lacks, and the exporter."""

try:
    import onnxscript  # noqa: F401
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    from normdeploy.errors import MissingDependencyError

    raise MissingDependencyError(str(error.name), "torch") from error

from normdeploy.torch.export import export
from normdeploy.torch.modules import BatchNormPerActivation, IntraChannelLRN
from normdeploy.torch.source import export_source

__all__ = ["BatchNormPerActivation", "IntraChannelLRN", "export", "export_source"]
