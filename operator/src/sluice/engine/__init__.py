"""The engine: from a change seen to a change made. Observe, decide (in ``core``), act."""
