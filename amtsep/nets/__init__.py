"""The network: constant-Q front end, layers, model, checkpoints, ONNX export. The only room besides training that needs torch."""
