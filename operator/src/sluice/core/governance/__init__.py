"""Governance: what must be true of a release. Controls are pure functions of a facts document."""
