"""Export of a fitted Keras network to one ONNX file, verified to give the same results in the service.

In: ``model.keras`` and the run's configuration. Out: ``model.onnx`` with its metadata, also at lower precisions.
May import: ``trainer.evaluation`` (and be imported by it), ``trainer.networks``, ``trainer.data`` and whatever those
may import; ``service.inference``.
"""
