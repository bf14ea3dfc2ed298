"""Is the deployed model still the model? Backends against the NumPy reference."""

from normdeploy.validation.checker import check
from normdeploy.validation.report import BackendReport, CheckReport, OutputReport

__all__ = ["BackendReport", "CheckReport", "OutputReport", "check"]
