"""Augmentation of training tensors: re-encoding, and drawings made from pictures.

In: uint8 ``[H, W, 3]`` and a seeded generator. Out: uint8 ``[H, W, 3]``.
May import: ``trainer.recipes`` and ``service.contract``.
"""
