"""Confined child processes for hostile files, and the messages that they exchange with the service.

In: the bytes of a video or a signed picture. Out: length-prefixed messages; a crash ends only the child process.
May import: the standard library only.
"""
