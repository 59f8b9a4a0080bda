"""A fitted Keras network to one ONNX file that the service loads, proven to answer alike.

In: ``model.keras`` and the run's configuration. Out: ``model.onnx`` with its metadata, also at lower precision.
May import: ``trainer.evaluation``, ``trainer.networks``, ``trainer.data`` and the service's engine.
"""
