"""normdeploy: take networks with LRN and BatchNorm to ONNX and TensorRT, and prove that they still compute the same."""
