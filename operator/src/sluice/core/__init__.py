"""The decisions, pure: no I/O, no clock, no randomness. :func:`sluice.core.decide.decide` is the way in."""
