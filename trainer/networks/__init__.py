"""The networks, their initial weights, losses and metrics, in plain Keras 3.

In: a recipe. Out: a compiled ``keras.Model`` from uint8 pictures to logits and probabilities.
May import: ``trainer.recipes``, ``trainer.common`` and ``service.contract``.
"""
