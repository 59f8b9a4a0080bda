"""Evaluation of a model file: metrics on labelled pictures, robustness, calibration, cost.

In: an exported model, run by the service's own engine, and a dataset. Out: metrics with confidence intervals.
May import: ``trainer.augment``, ``trainer.data`` and what they may import; ``service.inference``.
"""
