"""Decode picture files to pixels; refuse files that are cut off, damaged or not still pictures.

In: the bytes of a JPEG, PNG or WebP and the limits. Out: a decoded RGB picture, a resized tensor, or an ``ImageError``.
May import: ``service.contract.spec``.
"""
