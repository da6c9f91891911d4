"""PyTorch: initialise a model from the theory, and tell where a model departs from it.

Lives here: finding a model's layers and activations, drawing their weights, measuring a real model on a batch.
Not here: any choice of σ_w or σ_b (meanfield.theory). torch is imported when a function is called.
"""

from __future__ import annotations

from meanfield.frameworks.initialisation import Initialisation, LayerInitialisation
from meanfield.frameworks.torch.diagnose import diagnose
from meanfield.frameworks.torch.diagnosis import Diagnosis, Finding, LayerDiagnosis
from meanfield.frameworks.torch.initialiser import init_
from meanfield.frameworks.torch.jacobian import LayerJacobian, ModelJacobian, jacobian
from meanfield.frameworks.torch.module import module
from meanfield.frameworks.torch.monitoring import Monitor, monitor
from meanfield.frameworks.torch.network import network
from meanfield.frameworks.torch.prediction import LayerPrediction, Prediction, predict

__all__ = [
    "Diagnosis",
    "Finding",
    "Initialisation",
    "LayerDiagnosis",
    "LayerInitialisation",
    "LayerJacobian",
    "LayerPrediction",
    "ModelJacobian",
    "Monitor",
    "Prediction",
    "diagnose",
    "init_",
    "jacobian",
    "module",
    "monitor",
    "network",
    "predict",
]
