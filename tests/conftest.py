"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# MLflow tells its makers of its use otherwise, from a thread that changes the environment under whoever reads it.
os.environ["DO_NOT_TRACK"] = "true"

# How long an example takes says more about the machine than about the code.
settings.register_profile("sluice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sluice")
