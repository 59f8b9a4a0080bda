"""Export of a fitted Keras network to one ONNX file, verified to give the same results in the service.

In: ``model.keras`` and the run's configuration. Out: ``model.onnx`` with its metadata, also at lower precisions.
May import: ``trainer.evaluation``, ``trainer.networks`` and what they may import; ``service.inference``.
"""
