"""Export of a fitted Keras network to one ONNX file, verified to give the same results in the service.

In: ``model.keras`` and the run's configuration. Out: ``model.onnx`` with its metadata, also at lower precisions.
May import: ``trainer.evaluation``, ``trainer.networks``, ``trainer.data`` and the service's engine.
"""
