"""How fast a model is in each backend, how sure that is, and where the time goes."""

from normdeploy.profiling.profiler import profile
from normdeploy.profiling.report import BackendProfile, Profile

__all__ = ["BackendProfile", "Profile", "profile"]
