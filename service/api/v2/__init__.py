"""The Open Inference Protocol, version 2, which Triton and KServe speak and their clients expect.

In: inference requests, in JSON or with binary data behind it. Out: the answers of ``POST /predict`` as output tensors.
May import: ``service.api`` and whatever that may import.
"""
