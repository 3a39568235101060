"""Model artifacts: found in MLflow, downloaded, and proved to be the ones that were released.

Runs as its own process: the operator calls ``python -m sluice.storage resolve`` and ``… evidence`` so that MLflow's
memory never lives in the operator, and KServe calls ``python -m sluice.storage SOURCE DESTINATION`` as the
storage initializer of every model pod.
"""
