"""Picture files to pixels, refusing whatever is cut off, damaged or not a still picture.

In: the bytes of a JPEG, PNG or WebP and the limits. Out: a decoded RGB picture, a resized tensor, or an ``ImageError``.
May import: ``service.contract.spec`` only.
"""
