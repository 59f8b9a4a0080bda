"""What a model file is worth: figures on labelled pictures, robustness, calibration, cost.

In: an exported model, run by the service's own engine, and a dataset. Out: figures with intervals.
May import: ``trainer.export``, ``trainer.augment``, ``trainer.networks``, ``trainer.audit`` and ``trainer.data``.
"""
