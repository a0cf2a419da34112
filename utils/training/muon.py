"""Muon: momentum with orthogonalised matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

from utils.training.adaptive import adamw, check_positive, check_share, zeros_like

if TYPE_CHECKING:
    from utils.annotations import Shared, Tensor


# Coefficients of a fifth-degree polynomial that moves singular values towards 1 in few steps (reference of `muon`).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of a matrix (rows, columns) near 1, to about 0.7 to 1.2; keep its singular vectors."""
    a, b, c = (np.float32(v) for v in NEWTON_SCHULZ)
    rows, columns = matrix.type.shape
    x = matrix.T if rows > columns else matrix
    x = x / (pt.sqrt(pt.sum(x**2, dtype=x.dtype, acc_dtype=x.dtype)) + np.float32(1e-7))
    for _ in range(steps):
        square = pt.dot(x, x.T)
        x = a * x + pt.dot(b * square + c * pt.dot(square, square), x)
    return x.T if rows > columns else x


def muon(
    gradients: dict[str, Tensor],
    parameters: dict[str, Shared],
    rate: Shared,
    mu: float = 0.95,
    nesterov: bool = True,
    steps: int = 5,
    others: float = 0.015,
    decay: float = 0.0,
) -> tuple[dict[Any, Tensor], dict[str, Shared]]:
    """Muon [1]_: momentum with orthogonalised matrices for filters and hidden weights; AdamW for the rest.

    ``v := mu * v + gradient``, ``W := W - rate * sqrt(max(1, rows / columns)) * orthogonalised(u)``, where u is
    ``gradient + mu * v`` or, without `nesterov`, v. Filters (height, width, n_in, n_out) are treated as matrices
    (n_out, height * width * n_in). The last layer (`mlp.layers.Softmax`), biases, gamma and beta are trained by
    `adamw` at ``rate * others``.

    Parameters
    ----------
    mu : float in [0, 1)
        Momentum.
    nesterov : bool
        Use Nesterov momentum.
    steps : int
        Number of Newton-Schulz iterations, 1 to 20.
    others : float > 0
        Factor on the learning rate of the parameters trained by AdamW.
    decay : float >= 0
        Factor of weight decay, decoupled as in `adamw`: weights shrink by rate times `decay` of themselves.

    References
    ----------
    .. [1] Jordan et al. (2024), Muon: An optimizer for hidden layers in neural networks,
       kellerjordan.github.io/posts/muon.
    """
    check_share(mu, 'mu')
    check_positive(others, 'others')
    if steps not in range(1, 21):
        raise ValueError(f'steps of an optimiser must be a whole number from 1 to 20, got {steps!r}')
    matrices = {
        name: p
        for name, p in parameters.items()
        if p.tag.regularizable and p.ndim in (2, 4) and 'softmax' not in name.split('.')
    }
    rest = {name: p for name, p in parameters.items() if name not in matrices}
    updates, state = adamw(gradients, rest, rate * np.float32(others), decay=decay) if rest else ({}, {})
    for name, W in matrices.items():
        v = state[f'velocity.{name}'] = zeros_like(W)
        updates[v] = np.float32(mu) * v + gradients[name]
        step = gradients[name] + np.float32(mu) * updates[v] if nesterov else updates[v]
        shape = W.type.shape
        flat = step.reshape((int(np.prod(shape[:-1])), shape[-1])).T  # (n_out, the rest)
        scale = np.float32(max(1.0, shape[-1] / np.prod(shape[:-1])) ** 0.5)
        kept = W - rate * np.float32(decay) * W if decay else W
        updates[W] = kept - rate * scale * orthogonalised(flat, steps).T.reshape(shape)
    return updates, state
