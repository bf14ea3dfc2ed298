"""TensorRT and TensorRT-RTX: one implementation, which takes the Python module as an argument.

libraries.py finds the module; messages.py takes its log; model.py parses ONNX; plugins.py loads the user's
plugin libraries; engine.py builds; session.py runs; compiler.py serves `normdeploy build`.
"""
