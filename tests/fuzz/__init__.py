"""Fuzzing: what no input may do. ``python -m tests.fuzz`` searches; the corpus is replayed as a test."""
