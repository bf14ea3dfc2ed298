"""Runtimes that execute a model, each in a process of its own.

A backend is a runtime in one configuration. Where its native code crashes, hangs or leaks, that ends its own
process only, and is reported as a failure.

In this process:
    catalog.py         `BACKENDS`: every backend by name, what it needs, and how it is started
    worker_session.py  `WorkerSession`: starts a worker process, asks it, and survives whatever it does
    protocol.py        how messages between the two processes look
    hardware.py        whether there is a GPU, asked of a process of its own too

In the worker process:
    worker.py          opens a session and serves requests; its docstring lists them
    session.py         what can be opened, as protocols: `Session`, and what some can do besides running
    measurement.py     times a session
    onnxruntime.py     onnxruntime's sessions; onnxruntime_layers.py reads what its profiler writes
    tensorrt/          the sessions of TensorRT and TensorRT-RTX, and the building of engines
    cuda.py            NVIDIA's driver by ctypes: memory, copies, events, graphs
    device.py          `Device`: how much of a GPU's memory a session takes, and how fast that is

A new backend is a `Factory` (session.py) with an entry in the catalog.
"""
