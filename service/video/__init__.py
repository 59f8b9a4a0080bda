"""Videos: sample frames, track faces, and give one verdict per face and one for the video.

In: the bytes of an MP4, MOV, WebM or Matroska file. Out: a scored video, or the error that rejects it.
May import: ``service.inference``, ``service.sandbox`` and the packages that those may import.
"""
