"""Code shared by trainer and service: model metadata, decoding, face finding, framing, verdicts.

In: the bytes of a picture, a model's metadata, its logits. Out: uint8 tensors, and a judgement with its reasons.
May import: numpy, Pillow and simplejpeg; ONNX Runtime for the face finder, protobuf for ONNX files; nothing else of the
service.
"""
