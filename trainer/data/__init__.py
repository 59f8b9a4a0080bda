"""Turn data folders into samples: scanning, duplicates, groups, splits, cached tensors, twins, outliers.

In: folders of pictures. Out: a ``Dataset`` with a fingerprint, a ``Split``, memory-mapped uint8 tensors.
May import: ``trainer.recipes``, ``trainer.common`` and ``service.contract``.
"""
