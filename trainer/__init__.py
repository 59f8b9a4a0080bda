"""Offline trainer: folders of real and fake faces in, one self-describing ONNX model out."""
