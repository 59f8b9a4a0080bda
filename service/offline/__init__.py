"""Offline: archives of pictures to a file of verdicts, by what answers over HTTP."""
