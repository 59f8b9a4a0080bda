"""Benchmarks: run by ``make bench``; every figure stands beside another of the same run."""
