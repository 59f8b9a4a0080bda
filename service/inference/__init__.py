"""One model and the threads that score pictures with it.

In: the bytes of a picture, or its pixels. Out: a scored picture with its timings, or the error that refuses it.
May import: ``service.contract``, ``service.provenance``, ``service.observability`` and the modules beside these
packages, but not ``service.app`` or ``service.client``.
"""
