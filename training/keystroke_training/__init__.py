"""Trains the keystroke recognition models and writes them, measured, as ONNX files."""

import os

# Before ONNX Runtime is imported anywhere: it would report to its makers.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
