"""Benchmarks: the numbers of the design, from the shipped code on real servers."""
