"""What a file says of its own origin: Content Credentials (C2PA) and camera. It never affects the verdict.

In: the bytes of a picture or video. Out: the claims, checked where the extra ``provenance`` is installed.
May import: ``service.sandbox`` and ``service.contract.image``.
"""
