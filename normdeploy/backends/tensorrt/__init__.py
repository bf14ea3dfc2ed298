"""TensorRT and TensorRT-RTX: one implementation, which takes the library's Python module as an argument.

libraries.py   the two libraries: their modules, what each can do. Nothing else imports the modules
messages.py    `Messages`: the library's log, for the reason where a call fails
model.py       `ParsedModel`: an ONNX model as a network; types of tensors
plugins.py     plugin libraries: loading them, and making a model use their operators
engine.py      building an engine from a network, and reading one back
execution.py   `Execution`: an engine with memory on the GPU, run directly or as a CUDA graph
layers.py      times of layers, by the library's profiler
session.py     `TensorRtSession`: what the backends `tensorrt` and `tensorrt-rtx` open
compiler.py    `Compiler`: what `normdeploy build` opens
"""
