"""Fitted estimators as ONNX graphs, built by hand."""
