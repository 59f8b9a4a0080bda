"""Logits to calibrated probabilities, a verdict, its reasons, and the evidence for it.

In: logits and the prepared picture that they were computed from. Out: a judgement; never a response body.
May import: every other part of ``service.contract``.
"""
