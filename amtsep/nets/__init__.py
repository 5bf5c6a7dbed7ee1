"""The network: constant-Q front end, model, checkpoints, ONNX export. Only this room and training need torch."""
