"""ONNX graphs: reading, writing, traversal and constants. The only place that knows ONNX's file format."""
