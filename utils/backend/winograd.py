"""Translation of `utils.ops.winograd`."""

import jax.numpy as jnp
from jax import lax
from pytensor.link.jax.dispatch import jax_funcify

from utils.backend.fusion import materialised
from utils.ops import winograd


def _combine(matrix, parts):
    """Compute ``sum over k of matrix[i, k] * parts[k]`` for each row i; skip zeros and share equal factors.

    It uses `lax`, because thousands of these are traced for one network, and `jnp` takes several times as long.
    """
    out = []
    for row in matrix:
        by_factor = {}
        for factor, part in zip(row.tolist(), parts):
            if factor:
                by_factor.setdefault(abs(factor), []).append((factor > 0, part))
        total = None
        for factor, signed in sorted(by_factor.items(), key=lambda item: item[0]):
            # The group takes the sign of its first part, so that most operations are additions.
            signed.sort(key=lambda item: not item[0])
            plus = signed[0][0]
            group = signed[0][1]
            for positive, part in signed[1:]:
                group = (lax.add if positive == plus else lax.sub)(group, part)
            group = group if factor == 1 else lax.mul(group, lax.full_like(group, factor))
            if total is None:
                total = group if plus else lax.neg(group)
            else:
                total = (lax.add if plus else lax.sub)(total, group)
        out.append(total)
    return out


def _combine_2d(matrices, parts):
    """Apply `_combine` along both axes of parts[i][j]; returns a list of lists."""
    rows, columns = matrices
    half = [_combine(columns, row) for row in parts]
    whole = [_combine(rows, list(column)) for column in zip(*half)]
    return list(zip(*whole))


@jax_funcify.register(winograd.TileTransform)
def _(op, **kwargs):
    (mh, mw) = op.tile
    BT, AT = ([winograd.matrices(m)[k] for m in op.tile] for k in (0, 2))

    def to_tiles(x):
        if op.kind == 'output':
            x = materialised(x)  # a gradient, whose expression would be computed again in each transform
        n, height, width, channels = x.shape
        (th, tw), zero = op.counts(height, width), jnp.zeros((), x.dtype)
        if op.kind == 'input':
            x = lax.pad(x, zero, ((0, 0, 0), (1, mh * th + 1 - height, 0), (1, mw * tw + 1 - width, 0), (0, 0, 0)))
            rows = _combine(BT[0], [lax.slice_in_dim(x, a, a + mh * (th - 1) + 1, mh, 1) for a in range(mh + 2)])
            out = [
                v
                for row in rows
                for v in _combine(
                    BT[1], [lax.slice_in_dim(row, b, b + mw * (tw - 1) + 1, mw, 2) for b in range(mw + 2)]
                )
            ]
        else:
            x = lax.pad(x, zero, ((0, 0, 0), (0, mh * th - height, 0), (0, mw * tw - width, 0), (0, 0, 0)))
            x = x.reshape(n, th, mh, tw, mw, channels)
            rows = _combine(AT[0].T, [lax.index_in_dim(x, a, 2, keepdims=False) for a in range(mh)])
            out = [
                v
                for row in rows
                for v in _combine(AT[1].T, [lax.index_in_dim(row, b, 3, keepdims=False) for b in range(mw)])
            ]
        return tuple(lax.reshape(v, (n * th * tw, channels)) for v in out)

    return to_tiles


@jax_funcify.register(winograd.InverseTileTransform)
def _(op, **kwargs):
    (mh, mw), (height, width), (th, tw) = op.tile, op.image, op.counts(*op.image)
    BT, AT = ([winograd.matrices(m)[k] for m in op.tile] for k in (0, 2))

    def add_up(*places):
        places = [lax.reshape(v, (v.shape[0] // (th * tw), th, tw, v.shape[1])) for v in places]
        places = [places[i * (mw + 2) : (i + 1) * (mw + 2)] for i in range(mh + 2)]
        n, _, _, channels = places[0][0].shape
        if op.kind == 'output':
            y = _combine_2d(AT, places)
            y = jnp.stack([jnp.stack(row, axis=3) for row in y], axis=2).reshape(n, mh * th, mw * tw, channels)
            return y[:, :height, :width]
        rows = []
        for row in places:
            # Column b of tile t is column mw * t + b of the padded image: the last two lie in the next tile.
            S = _combine(BT[1].T, row)
            shift = [
                lax.pad(v, jnp.zeros((), v.dtype), ((0, 0, 0), (0, 0, 0), (k >= mw, k < mw, 0), (0, 0, 0)))
                for k, v in enumerate(S)
            ]
            columns = [lax.add(shift[k], shift[mw + k]) if k < 2 else shift[k] for k in range(mw)]
            rows.append(jnp.stack(columns, axis=3).reshape(n, th, mw * (tw + 1), channels)[:, :, 1 : 1 + width])
        # Rows by a product with a constant matrix: as fast as additions, and much faster to compile.
        rows = jnp.stack(rows, axis=1).reshape(n, (mh + 2) * th, width * channels)
        K = jnp.asarray(winograd.axis_map('input', mh, height).reshape(-1, height), rows.dtype)
        x = lax.dot_general(jnp.broadcast_to(K.T, (n, *K.T.shape)), rows, (((2,), (1,)), ((0,), (0,))))
        return x.reshape(n, height, width, channels)

    return add_up


@jax_funcify.register(winograd.FilterTransform)
def _(op, **kwargs):
    def to_places(W):
        places = _combine_2d(op.maps(), [[W[a, b] for b in range(3)] for a in range(3)])
        return tuple(u for row in places for u in row)

    return to_places


@jax_funcify.register(winograd.InverseFilterTransform)
def _(op, **kwargs):
    def from_places(*places):
        side = op.tile[1] + 2
        W = _combine_2d([G.T for G in op.maps()], [places[k : k + side] for k in range(0, len(places), side)])
        return jnp.stack([jnp.stack(row) for row in W])

    return from_places


@jax_funcify.register(winograd.BatchedProducts)
def _(op, **kwargs):
    def products(*factors):
        dimensions = (((0 if op.transposed == 'a' else 1,), (1 if op.transposed == 'b' else 0,)), ((), ()))
        n = len(factors) // 2
        return tuple(lax.dot_general(a, b, dimensions) for a, b in zip(factors[:n], factors[n:]))

    return products
