"""What trainer and service must agree on: metadata, image path, face finder, framing, verdict and reasons.

Needs numpy and Pillow only, and ONNX Runtime for the face finder, so that the heavy trainer may
depend on it and it on nothing heavy.
"""
