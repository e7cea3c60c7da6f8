"""Servers written by hand with FastAPI, uvicorn and ONNX Runtime: what Tureen is measured against.

Each is run as `python -m benchmarks.baselines.NAME MODEL` and says its address when it is ready, once for each
process that serves.
"""
