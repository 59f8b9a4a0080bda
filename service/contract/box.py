"""The rectangle that image, faces and verdict share."""

# Left, top, right and bottom, pixels, not rounded.
Box = tuple[float, float, float, float]
