"""Networks in ONNX Runtime, with their export from torch."""
