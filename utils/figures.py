"""The figures of a run, one function each; every one writes a PNG file.

=====================  ========================================================================
`confusion_matrix`     truth against answer
`calibration_curve`    confidence against accuracy
`worst_mistakes`       wrong answers given with the highest probability
`first_layer_filters`  weights of the first layer as images
`feature_maps`         what the layers make of one face
`saliency_maps`        the pixels that answers hang on, and Grad-CAM
`histograms`           weights or outputs of layers, epoch by epoch
`curves_of_runs`       validation cross-entropy of several runs
`rate_range`           cost against learning rate
=====================  ========================================================================
"""
import numpy as np

from utils.rules import RULES
from utils.saving import replacing


def blank(*size):
    """An empty figure of that width and height in inches."""
    # Not at the top: matplotlib takes a third of a second, and not every process draws.
    from matplotlib.figure import Figure
    return Figure(figsize=size, layout='constrained')


def _save(figure, path, dpi=120):
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format='png')


def _bare(axes):
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_frame_on(False)


def confusion_matrix(confusion, classes, path, title=''):
    """Draw counts (rows: truth) with the share of the row as colour and in %."""
    confusion = np.asarray(confusion)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = 1.8 + .72 * len(classes)
    figure = blank(side + 1, side)
    axes = figure.subplots()
    shown = axes.imshow(100 * share, cmap='Blues', vmin=0, vmax=100)
    for i, j in np.ndindex(confusion.shape):
        axes.text(j, i, f'{100 * share[i, j]:.0f} %\n{confusion[i, j]}', ha='center', va='center', fontsize=8,
                  color='white' if share[i, j] > .55 else 'black')
    places = range(len(classes))
    axes.set(xlabel='answer', ylabel='truth', title=title)
    axes.set_xticks(places, classes, rotation=35, ha='right')
    axes.set_yticks(places, [f'{name}\n({n})' for name, n in zip(classes, confusion.sum(axis=1))])
    figure.colorbar(shown, ax=axes, label='share of the class (%)', shrink=.8)
    _save(figure, path)


def calibration_curve(calibration, path, title=''):
    """Draw accuracy against confidence, from `utils.evaluation.calibration`, with the images of each bin below."""
    figure = blank(5.4, 5.6)
    axes, counts = figure.subplots(2, height_ratios=(3, 1), sharex=True)
    axes.plot([0, 100], [0, 100], color='0.6', linewidth=1, linestyle='--', label='calibrated')
    confidence, accuracy = (100 * np.array(calibration[key]) for key in ('confidence', 'accuracy'))
    axes.plot(confidence, accuracy, 'o-', color='tab:blue', label=f"this model (expected calibration error "
              f"{100 * calibration['ece']:.1f} %)")
    axes.set(ylabel='right answers (%)', xlim=(0, 100), ylim=(0, 100), title=title)
    axes.legend(loc='lower right', fontsize=8)
    axes.grid(alpha=.3)
    counts.bar(confidence, calibration['images'], width=3, color='tab:blue')
    counts.set(xlabel='probability of the answer (%)', ylabel='images')
    _save(figure, path)


def worst_mistakes(images, truth, p, classes, path, n=12):
    """Draw the wrong answers given with the highest probability.

    Parameters
    ----------
    images : callable
        Rows (k,) -> uint8 array (k, height, width).
    truth : int array (n,)
    p : array (n, n_classes)
        Probabilities.
    """
    answer = p.argmax(axis=1)
    wrong = np.flatnonzero(answer != truth)
    rows = wrong[np.argsort(-p[wrong].max(axis=1), kind='stable')][:n]
    if not len(rows):
        return False
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    figure = blank(3.1 * columns, 1.95 * lines + .4)
    figure.suptitle('Wrong answers given with the highest probability')
    grid = figure.subplots(lines, 2 * columns, squeeze=False, width_ratios=[1.1, 1] * columns)
    for axes in grid.flat:
        _bare(axes)
    for place, (row, image) in enumerate(zip(rows, images(rows))):
        face, bars = grid[place // columns, 2 * (place % columns):][:2]
        face.imshow(image, cmap='gray', vmin=0, vmax=255)
        face.set_title(f'is {classes[truth[row]]}', fontsize=9)
        colours = ['tab:red' if k == answer[row] else 'tab:green' if k == truth[row] else '0.75'
                   for k in range(len(classes))]
        bars.barh(range(len(classes)), p[row], color=colours)
        bars.set(xlim=(0, 1), ylim=(len(classes) - .4, -.6))
        bars.set_yticks(range(len(classes)), classes, fontsize=7)
        bars.tick_params(length=0, pad=1)
        bars.set_title(f'{100 * p[row].max():.0f} % {classes[answer[row]]}', fontsize=9, color='tab:red')
    _save(figure, path)
    return True


def first_layer_filters(W, im_dim, path, most=64):
    """Draw the weights of the first layer, convolution (h, w, 1, n) or fully connected (pixels, n), as images."""
    if W.ndim == 4:
        filters = W.mean(axis=2).transpose(2, 0, 1)
    elif W.shape[0] == np.prod(im_dim):
        filters = W.T.reshape(-1, *im_dim)
    else:
        return False
    total = len(filters)
    filters = filters[:most]
    columns = min(16, len(filters))
    lines = -(-len(filters) // columns)
    figure = blank(max(4, .6 * columns), .6 * lines + .5)
    figure.suptitle(f'Weights of the first layer{f", {most} of {total}" if total > most else ""} '
                    '(blue negative, red positive)', fontsize=10)
    for axes, one in zip(figure.subplots(lines, columns, squeeze=False).flat,
                         [*filters, *[None] * (lines * columns - len(filters))]):
        _bare(axes)
        if one is not None:
            limit = abs(one).max() or 1
            axes.imshow(one, cmap='RdBu_r', vmin=-limit, vmax=limit)
    _save(figure, path)
    return True


def feature_maps(image, maps, path, title='', most=12):
    """Draw the strongest feature maps of each layer for one face.

    Parameters
    ----------
    image : uint8 array (height, width)
    maps : dict of str to array (h, w, channels)
    """
    if not maps:
        return False
    columns = min(most, max(m.shape[2] for m in maps.values()))
    figure = blank(.95 * (columns + 1.4), .95 * len(maps) + .5)
    figure.suptitle(title, fontsize=10)
    grid = figure.subplots(len(maps), columns + 1, squeeze=False, width_ratios=[1.4] + [1] * columns)
    for axes in grid.flat:
        _bare(axes)
    grid[0, 0].imshow(image, cmap='gray', vmin=0, vmax=255)
    for line, (name, value) in zip(grid, maps.items()):
        line[0].set_xlabel(f'{name}\n{value.shape[0]}x{value.shape[1]}, {value.shape[2]} maps', fontsize=7)
        # Tanh and sigmoid maps are strong where they vary, not where they are large.
        order = np.argsort(-value.std(axis=(0, 1)), kind='stable')[:columns]
        for axes, k in zip(line[1:], order):
            axes.imshow(value[..., k], cmap='viridis')
    _save(figure, path)
    return True


def saliency_maps(images, saliency, cam, captions, path):
    """Draw faces, the gradient of a class's score with respect to their pixels, and Grad-CAM over them."""
    lines = ['face', 'saliency'] + (['Grad-CAM'] if cam is not None else [])
    figure = blank(1.35 * len(images) + .7, 1.4 * len(lines) + .6)
    grid = figure.subplots(len(lines), len(images), squeeze=False)
    for axes in grid.flat:
        _bare(axes)
    for name, line in zip(lines, grid):
        line[0].set_ylabel(name, fontsize=9)
    height, width = images.shape[1:]
    for k, caption in enumerate(captions):
        grid[0, k].set_title(caption, fontsize=8)
        grid[0, k].imshow(images[k], cmap='gray', vmin=0, vmax=255)
        grid[1, k].imshow(saliency[k], cmap='magma', vmax=np.quantile(saliency[k], .995) or 1)
        if cam is not None:
            grid[2, k].imshow(images[k], cmap='gray', vmin=0, vmax=255)
            grid[2, k].imshow(cam[k], cmap='jet', alpha=.45, interpolation='bilinear', vmin=0,
                              vmax=cam[k].max() or 1, extent=(-.5, width - .5, height - .5, -.5))
    _save(figure, path)


def histograms(epochs, key, path, title):
    """Draw a histogram per layer and epoch, as columns of colour.

    Parameters
    ----------
    epochs : list of dict
        Each with 'stage', 'epoch' and, under `key`, histograms by name; see `utils.inspection.histogram`.
    key : {'weights', 'activations'}
    """
    names = list(epochs[0][key]) if epochs else []
    if not names:
        return False
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure = blank(3.9 * columns, 2.3 * lines + .5)
    figure.suptitle(title)
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True)
    stages = [epoch['stage'] for epoch in epochs]
    starts = [k for k in range(1, len(epochs)) if stages[k] != stages[k - 1]]
    for axes in grid.flat[len(names):]:
        axes.set_visible(False)
    for axes, name in zip(grid.flat, names):
        all_of_it = [epoch[key][name] for epoch in epochs]
        low, high = min(_quantile(h, .002) for h in all_of_it), max(_quantile(h, .998) for h in all_of_it)
        edges = np.linspace(low, high if high > low else low + 1, 81)
        density = np.array([_rebinned(h, edges) for h in all_of_it]).T
        # The root lets the tails be seen; beside the peak of a rectifier at 0 nothing else would be.
        root = np.sqrt(density)
        axes.pcolormesh(np.arange(len(epochs) + 1) + .5, edges, root, cmap='Blues', rasterized=True, vmin=0,
                        vmax=np.quantile(root, .97) or None)
        for k in starts:
            axes.axvline(k + .5, color='tab:red', linewidth=.8)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in grid[-1]:
        axes.set_xlabel('epoch; red: next stage', fontsize=8)
    _save(figure, path)
    return True


def _quantile(h, share):
    """The value below which a share of the values of a histogram lies."""
    own = np.linspace(h['low'], h['high'], len(h['counts']) + 1)
    return float(np.interp(share, np.concatenate([[0], np.cumsum(h['counts'])]) / max(sum(h['counts']), 1), own))


def _rebinned(h, edges):
    """Share of the values of a histogram in the bins of other edges, values taken as spread evenly in each bin."""
    own = np.linspace(h['low'], h['high'], len(h['counts']) + 1)
    cumulated = np.concatenate([[0], np.cumsum(h['counts'])])
    share = np.diff(np.interp(edges, own, cumulated))
    return share / max(cumulated[-1], 1)


def curves_of_runs(histories, path, title='', rules=None):
    """Draw validation and training cross-entropy of several runs in one figure.

    Parameters
    ----------
    histories : dict of str to list of (list of dict)
        By name, the histories of one run or of several with other seeds, which get one colour.
    rules : dict of str to Rule, optional
        By name, the rule by which epochs were kept; by default the entropy point.
    """
    rules = rules or dict.fromkeys(histories, RULES['entropy'])
    figure = blank(8, 4.8)
    axes = figure.subplots()
    for k, (name, runs) in enumerate(histories.items()):
        for place, history in enumerate(runs):
            rows = [row for row in history if row['stage'] == 'train']
            validated = [row for row in rows if row['validation_cross_entropy'] is not None]
            best = rules[name].best(rows)
            colour, mark = f'C{k % 10}', '.' if len(rows) < 40 else None
            axes.plot([row['epoch'] for row in rows], [row['train_cross_entropy'] for row in rows], ':', color=colour,
                      linewidth=1)
            axes.plot([row['epoch'] for row in validated], [row['validation_cross_entropy'] for row in validated], '-',
                      color=colour, marker=mark, label=name if place == 0 else None)
            if best:
                axes.plot(best['epoch'], best['validation_cross_entropy'], 'o', markersize=8, markerfacecolor='none',
                          color=colour)
    axes.plot([], [], ':', color='0.4', label='training')
    axes.plot([], [], 'o', color='0.4', markerfacecolor='none',
              label=' or '.join(dict.fromkeys(rule.point for rule in rules.values())))
    axes.set(xlabel='epoch', ylabel='cross-entropy (nats)', title=title or 'Validation, solid; training, dotted')
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def rate_range(rates, costs, smooth, suggestion, path):
    """Draw the cost of a learning-rate range test against the rate."""
    figure = blank(7, 4.2)
    axes = figure.subplots()
    axes.plot(rates, costs, color='0.8', label='minibatches')
    axes.plot(rates, smooth, color='tab:blue', label='smoothed')
    if suggestion:
        axes.axvline(suggestion, color='tab:red', linewidth=1, label=f'steepest descent: {suggestion:.3g}')
    finite = np.asarray(smooth)[np.isfinite(smooth)]
    axes.set(xscale='log', xlabel='learning rate', ylabel='training cost', ylim=(
        finite.min() - .05 * np.ptp(finite) - 1e-3, finite[0] + .6 * (finite[0] - finite.min()) + .1))
    axes.grid(alpha=.3)
    axes.legend()
    _save(figure, path)
