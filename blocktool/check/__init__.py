"""Holds modules to their shapes: sweeps, checks on real data, proofs."""
