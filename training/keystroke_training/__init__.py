"""Trains the keystroke recognition models and writes them, measured, as ONNX files."""
