"""Frameworks on one thread and on the processor, whatever the machine has."""

from __future__ import annotations

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("KERAS_BACKEND", "jax")

# Scripts and models that need torch or scikit-learn.
collect_ignore = [
    *("false_alarms.py", "gaussian_processes.py", "layer_variances.py", "planted_faults.py", "public_models.py", "real_models.py"),
    "torchvision_ops.py",
]
