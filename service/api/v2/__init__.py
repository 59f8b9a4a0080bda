"""The Open Inference Protocol, version 2, for clients of Triton and KServe.

In: inference requests, as JSON or as JSON followed by binary data. Out: the results of ``POST /predict`` as tensors.
May import: ``service.api`` and everything that may import.
"""
