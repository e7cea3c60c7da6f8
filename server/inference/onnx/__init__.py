"""ONNX Runtime: sessions, execution providers, and tensors bound in place."""
