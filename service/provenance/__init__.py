"""Provenance that a file declares: Content Credentials (C2PA) and camera. It never affects the verdict.

In: the bytes of a picture or video. Out: the claims, validated if the extra ``provenance`` is installed.
May import: ``service.sandbox`` and ``service.contract.image``.
"""
