"""The GPU through NVIDIA's driver: memory, copies, a stream and events, by ctypes.

The driver (libcuda) comes with every NVIDIA GPU, so nothing else has to be installed. These calls and
TensorRT's own meet in the GPU's primary context. This file imports the standard library only, so that it runs
as a script, which tells within a moment what GPUs there are: `hardware` asks it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LIBRARY = "libcuda.so.1"
_NAME_BYTES = 256
_L2_CACHE_SIZE = 38  # CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, in bytes
_CAPTURE_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
_NO_GPU = (
    "the NVIDIA driver finds no GPU: give this process one (CUDA_VISIBLE_DEVICES, docker run --gpus all)"
)

_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "cuInit": (ctypes.c_uint,),
    "cuDriverGetVersion": (ctypes.POINTER(ctypes.c_int),),
    "cuDeviceGetCount": (ctypes.POINTER(ctypes.c_int),),
    "cuDeviceGet": (ctypes.POINTER(ctypes.c_int), ctypes.c_int),
    "cuDeviceGetName": (ctypes.c_char_p, ctypes.c_int, ctypes.c_int),
    "cuDeviceGetAttribute": (ctypes.POINTER(ctypes.c_int), ctypes.c_int, ctypes.c_int),
    "cuDevicePrimaryCtxRetain": (ctypes.POINTER(ctypes.c_void_p), ctypes.c_int),
    "cuCtxSetCurrent": (ctypes.c_void_p,),
    "cuStreamCreate": (ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint),
    "cuStreamSynchronize": (ctypes.c_void_p,),
    "cuEventCreate": (ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint),
    "cuEventRecord": (ctypes.c_void_p, ctypes.c_void_p),
    "cuEventElapsedTime": (ctypes.POINTER(ctypes.c_float), ctypes.c_void_p, ctypes.c_void_p),
    "cuEventDestroy_v2": (ctypes.c_void_p,),
    "cuMemAlloc_v2": (ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t),
    "cuMemFree_v2": (ctypes.c_uint64,),
    "cuMemcpyHtoDAsync_v2": (ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p),
    "cuMemcpyDtoHAsync_v2": (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p),
    "cuMemcpyDtoDAsync_v2": (ctypes.c_uint64, ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p),
    "cuMemGetInfo_v2": (ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)),
    "cuStreamBeginCapture_v2": (ctypes.c_void_p, ctypes.c_int),
    "cuStreamEndCapture": (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)),
    "cuGraphInstantiateWithFlags": (ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p, ctypes.c_ulonglong),
    "cuGraphLaunch": (ctypes.c_void_p, ctypes.c_void_p),
    "cuGraphDestroy": (ctypes.c_void_p,),
    "cuGraphExecDestroy": (ctypes.c_void_p,),
}
"""The driver's functions that are called, with the types of their arguments; each returns a status."""


class CudaError(Exception):
    """A call of the driver failed; the message has its own words.

    No error of the package's tree, since this file imports nothing of it: where no GPU can be had the callers
    raise BackendUnavailable, and a worker reports any other as a crash of its backend.
    """


class Driver:
    """NVIDIA's driver, started.

    Raises:
        CudaError: there is none, or it does not start.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise CudaError(
                f"no NVIDIA driver ({_LIBRARY} not found): install NVIDIA's driver, or give the container "
                f"its GPU (--gpus all)"
            ) from error
        self.call("cuInit", 0)

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver.

        Args:
            name: one of those in `_ARGUMENTS`.
            arguments: the function's.

        Raises:
            CudaError: it returns a status other than 0.
        """
        function = getattr(self._library, name)
        function.argtypes = _ARGUMENTS[name]
        status = function(*arguments)
        if status != 0:
            raise CudaError(f"the NVIDIA driver's {name} fails: {self._words(status)} (status {status})")

    def _words(self, status: int) -> str:
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(ctypes.c_int(status), ctypes.byref(text))
        return text.value.decode() if text.value else "unknown error"

    @property
    def version(self) -> str:
        """The newest CUDA that the driver serves, such as 13.0."""
        number = ctypes.c_int()
        self.call("cuDriverGetVersion", ctypes.byref(number))
        return f"{number.value // 1000}.{number.value % 1000 // 10}"

    def gpu_names(self) -> list[str]:
        """The names of the GPUs that this process may use."""
        count, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
        self.call("cuDeviceGetCount", ctypes.byref(count))
        names = []
        for index in range(count.value):
            device = ctypes.c_int()
            self.call("cuDeviceGet", ctypes.byref(device), index)
            self.call("cuDeviceGetName", name, _NAME_BYTES, device)
            names.append(name.value.decode())
        return names


class Gpu:
    """The first GPU, with a stream. Its primary context becomes current in the thread that makes this.

    Attributes:
        name: such as NVIDIA H200.
        driver_version: the newest CUDA that the driver serves.
        stream: the handle of the stream, in which all that is begun here runs in order.
        l2_bytes: size of the second-level cache.

    Raises:
        CudaError: there is no driver or no GPU.
    """

    def __init__(self) -> None:
        self._driver = Driver()
        names = self._driver.gpu_names()
        if not names:
            raise CudaError(_NO_GPU)
        self.name = names[0]
        self.driver_version = self._driver.version
        device, context, stream = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self._driver.call("cuDeviceGet", ctypes.byref(device), 0)
        self._driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._driver.call("cuCtxSetCurrent", context)
        self._driver.call("cuStreamCreate", ctypes.byref(stream), 0)
        assert stream.value is not None
        self.stream: int = stream.value
        cache = ctypes.c_int()
        self._driver.call("cuDeviceGetAttribute", ctypes.byref(cache), _L2_CACHE_SIZE, device)
        self.l2_bytes = cache.value

    def free_memory(self) -> int:
        """Bytes of the GPU's memory that no process has taken."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._driver.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    @contextmanager
    def memory(self, nbytes: int) -> Iterator[int]:
        """Take memory on the GPU, and give it back on leaving.

        Args:
            nbytes: how much; 0 is allowed.

        Yields:
            Its address.

        Raises:
            CudaError: too little is left.
        """
        address = ctypes.c_uint64()
        self._driver.call("cuMemAlloc_v2", ctypes.byref(address), max(nbytes, 1))
        try:
            yield address.value
        finally:
            self._driver.call("cuMemFree_v2", address)

    def upload(self, array: NDArray[Any], address: int) -> None:
        """Begin to copy a contiguous array, which must live until `synchronize`, to the GPU."""
        if array.nbytes:
            self._driver.call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self.stream)

    def download(self, address: int, array: NDArray[Any]) -> None:
        """Begin to fill a contiguous array, which must live until `synchronize`, from the GPU."""
        if array.nbytes:
            self._driver.call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self.stream)

    def copy(self, source: int, target: int, nbytes: int) -> None:
        """Begin to copy from one address on the GPU to another."""
        self._driver.call("cuMemcpyDtoDAsync_v2", target, source, nbytes, self.stream)

    def synchronize(self) -> None:
        """Wait until everything in the stream is done.

        Raises:
            CudaError: something in the stream failed.
        """
        self._driver.call("cuStreamSynchronize", self.stream)

    @contextmanager
    def events(self, count: int) -> Iterator[list[ctypes.c_void_p]]:
        """Events to set in the stream with `record`, destroyed on leaving."""
        events = [ctypes.c_void_p() for _ in range(count)]
        try:
            for event in events:
                self._driver.call("cuEventCreate", ctypes.byref(event), 0)
            yield events
        finally:
            for event in filter(None, events):
                self._driver.call("cuEventDestroy_v2", event)

    def record(self, event: ctypes.c_void_p) -> None:
        """Set an event behind everything that is in the stream by now."""
        self._driver.call("cuEventRecord", event, self.stream)

    @contextmanager
    def graph(self, enqueue: Callable[[], bool]) -> Iterator[ctypes.c_void_p]:
        """Capture work as a CUDA graph, which `launch` runs as a whole; destroyed on leaving.

        Capturing runs nothing. It is this thread's alone: what others do meanwhile does not end it.

        Args:
            enqueue: puts the work into the stream, without waiting and without taking memory; gives false if
                it fails.

        Raises:
            CudaError: `enqueue` fails, or does what cannot be captured. The stream can be used as before.
        """
        executable = ctypes.c_void_p()
        captured = self._capture(enqueue)
        try:
            self._driver.call("cuGraphInstantiateWithFlags", ctypes.byref(executable), captured, 0)
        finally:
            self._driver.call("cuGraphDestroy", captured)
        try:
            yield executable
        finally:
            self._driver.call("cuGraphExecDestroy", executable)

    def _capture(self, enqueue: Callable[[], bool]) -> ctypes.c_void_p:
        captured, enqueued = ctypes.c_void_p(), False
        self._driver.call("cuStreamBeginCapture_v2", self.stream, _CAPTURE_THREAD_LOCAL)
        try:
            enqueued = enqueue()
        finally:
            self._driver.call("cuStreamEndCapture", self.stream, ctypes.byref(captured))
        if not enqueued:
            if captured:
                self._driver.call("cuGraphDestroy", captured)
            raise CudaError("what was to be captured could not be enqueued")
        return captured

    def launch(self, executable: ctypes.c_void_p) -> None:
        """Begin to run a captured graph."""
        self._driver.call("cuGraphLaunch", executable, self.stream)

    def milliseconds(self, begin: ctypes.c_void_p, end: ctypes.c_void_p) -> float:
        """The time between two events that the GPU has passed."""
        elapsed = ctypes.c_float()
        self._driver.call("cuEventElapsedTime", ctypes.byref(elapsed), begin, end)
        return elapsed.value


def main() -> None:
    """Print the newest CUDA that the driver serves and the GPUs, or why there are none."""
    try:
        driver = Driver()
        names = driver.gpu_names()
        if not names:
            raise CudaError(_NO_GPU)
        print(f"CUDA {driver.version}: {', '.join(names)}")
    except CudaError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
