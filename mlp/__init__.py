"""Multi-layer perceptrons and the layers that all networks share."""
from mlp.mlp import MLP

__all__ = ['MLP']
