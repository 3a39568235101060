"""Sluice: progressive delivery for machine-learning models on KServe."""

__version__ = "0.1.0"
