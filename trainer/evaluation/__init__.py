"""Evaluation of a model file: metrics on labelled pictures, robustness, calibration, cost.

In: an exported model, run by the service's own engine, and a dataset. Out: metrics with confidence intervals.
May import: ``trainer.export`` (and be imported by it), ``trainer.augment``, ``trainer.data`` and whatever those may
import; ``service.inference``.
"""
