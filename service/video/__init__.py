"""Sampled frames of a video to tracked faces, and one verdict per face and for the video.

In: the bytes of an MP4, MOV, WebM or Matroska file. Out: a scored video, or the error that refuses it.
May import: ``service.inference``, ``service.sandbox`` and whatever those may import.
"""
