"""The report of a run: figures drawn from the finished model, and one HTML file that opens offline.

==================  ===========================================================================
`draw`              all figures of a run or an evaluation
`write_report`      the HTML file
==================  ===========================================================================
"""
import base64
import html
import json
from pathlib import Path

import numpy as np

from utils import evaluation, figures, reporting
from utils.augmentation import Cropped, centre
from utils.inspection import Inspector
from utils.layer import parameters
from utils.rules import RULES
from utils.saving import replacing

# File of each figure in the order of the report, its heading, what a reader has to know.
FIGURES = {
    'curves': ('Curves', 'Cross-entropy by epoch. The kept epoch is that of the smallest {figure}.'),
    'confusion': ('Confusion matrix', 'Share of each true class that got each answer, and number of images.'),
    'mistakes': ('Worst mistakes', 'Probabilities of all classes beside each face: red the answer, green the truth.'),
    'calibration': ('Calibration', 'Of the answers given with a probability of 80 %, 80 % should be right.'),
    'filters': ('First-layer filters', ''),
    'features': ('Feature maps', 'The maps that vary most, of each convolutional layer, for one face.'),
    'saliency': ('Saliency and Grad-CAM', 'How much the score of the answer changes with each pixel, and where the '
                                          'last convolutional layer sees evidence for it.'),
    'weights': ('Weights by epoch', 'Colour is the square root of the share of the values.'),
    'activations': ('Outputs of layers by epoch', 'For one fixed batch of training images.')}

CSS = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1080px; margin: 2em auto; padding: 0 1em }
h1 { margin-bottom: 0 } h2 { margin-top: 2em; border-bottom: 1px solid #ddd }
table { border-collapse: collapse; margin: .8em 0 } td, th { padding: .2em .7em; text-align: right }
td { white-space: nowrap }
th { border-bottom: 1px solid #888 } td:first-child, th:first-child { text-align: left }
tr:nth-child(even) td { background: #f6f6f6 } img { max-width: 100% } pre { background: #f6f6f6; padding: .8em;
overflow-x: auto; font-size: 12.5px } .note { color: #666 } .big { font-size: 1.25em }
tr.own td { font-weight: bold; background: #e8f0fb } .row { display: flex; gap: 4em; align-items: flex-start }
.row td:nth-child(2), .row th:nth-child(2) { text-align: left }
"""


def draw(folder, network, im_dim, subset, classes, outputs, scores, histograms=()):
    """Draw the figures of a model on test images into a folder.

    Parameters
    ----------
    folder : path
    network : Layer
        With the parameters that are to be looked at.
    im_dim : (int, int)
    subset : loaders.Subset
        The test images.
    outputs : dict of str to array (n, n_classes)
        Linear outputs, as for `utils.evaluation.evaluate`.
    scores : dict
        What `utils.evaluation.evaluate` made of them.
    histograms : list of dict
        One per epoch, as for `utils.figures.histograms`.
    """
    folder = Path(folder)
    kind = evaluation.final_kind(scores)
    whole, p = scores[kind]['whole'], evaluation.probabilities(outputs[kind])
    name = 'special test' if kind == 'special' else 'test'
    figures.confusion_matrix(whole['confusion'], classes, folder / 'confusion.png',
                             f"{name}, error {whole['error']:.2f} % of {whole['images']}")
    figures.calibration_curve(whole['calibration'], folder / 'calibration.png', name)
    figures.worst_mistakes(subset.images, subset.y, p, classes, folder / 'mistakes.png')
    rows = _examples(subset.y, p, len(classes))
    images, answers = subset.images(rows), p[rows].argmax(axis=1)
    if isinstance(network, Cropped):
        network, im_dim, images = network.network, network.size, centre(images, network.size)
    first = next((q for key, q in parameters(network).items() if key.rpartition('.')[2] == 'W'), None)
    if first is not None:
        figures.first_layer_filters(first.get_value(), im_dim, folder / 'filters.png')
    inspector = Inspector(network, im_dim, len(rows))
    saliency, cam = inspector.saliency(images, answers)
    captions = [f'{classes[a]}, {100 * p[row, a]:.0f} %'
                + ('' if a == subset.y[row] else f'\n(is {classes[subset.y[row]]})') for row, a in zip(rows, answers)]
    figures.saliency_maps(images, saliency, cam, captions, folder / 'saliency.png')
    maps = {layer: value[0] for layer, value in inspector.feature_maps(images).items()}
    figures.feature_maps(images[0], maps, folder / 'features.png', f'A face taken for {captions[0]}')
    for key, title in (('weights', 'Weights'), ('activations', 'Outputs of layers')):
        figures.histograms(histograms, key, folder / f'{key}.png', title)


def _examples(y, p, n_classes):
    """Of each class, the right answer of median probability; a wrong one where there is no right one."""
    rows = []
    for k in range(n_classes):
        mine = np.flatnonzero(y == k)
        right = mine[p[mine].argmax(axis=1) == k]
        chosen = right if len(right) else mine
        if len(chosen):
            rows.append(chosen[np.argsort(p[chosen, k], kind='stable')[len(chosen) // 2]])
    return np.array(rows)


# ------------------------------------------------------------------------------------------- HTML

def _table(head, rows, own=()):
    def line(cells, tag):
        return ''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)
    body = ''.join(f'<tr{" class=own" if k in own else ""}>{line(row, "td")}</tr>' for k, row in enumerate(rows))
    return f'<table><tr>{line(head, "th")}</tr>{body}</table>'


def _errors(scores):
    rows = []
    for kind, title in (('plain', 'test'), ('special', 'special test')):
        for half, e in scores.get(kind, {}).items():
            without = e.get('without_twins')
            rows.append([f'{title}, {half}', e['images'], f"{e['error']:.2f}",
                         '{:.2f} – {:.2f}'.format(*e['interval']),
                         f"{without['error']:.2f} of {without['images']}" if without else '',
                         f"{e['macro_f1']:.3f}", f"{e['top2_error']:.2f}", f"{e['cross_entropy']:.4f}",
                         f"{e['ece']:.3f}"])
    return _table(['', 'images', 'error %', '95 % interval', 'without training twins %', 'macro-F1',
                   'not in best two %', 'cross-entropy', 'calibration error'], rows)


def _classes(entry):
    return _table(['class', 'images', 'precision', 'recall', 'F1'], [
        [name, row['images'], *(f'{row[key]:.3f}' for key in ('precision', 'recall', 'f1'))]
        for name, row in entry['per_class'].items()])


def _ranking(name, scores):
    """The competition's tables with the result in its place."""
    final, parts = scores[evaluation.final_kind(scores)], []
    for half, column, title in (('whole', 1, 'both halves'), ('private', 2, 'private half, which decided')):
        if half in final:
            rows = sorted([(row[column], 0, row[0]) for row in reporting.COMPETITION if row[column] is not None]
                          + [(final[half]['error'], 1, name)])
            parts.append(_table(['', f'team, by {title}', 'error %'], [
                [f'#{k}', team, f'{error:.2f}'] for k, (error, _, team) in enumerate(rows, start=1)],
                own=[k for k, row in enumerate(rows) if row[1]]))
    return ''.join(parts)


def _image(path):
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{path.stem}" src="data:image/png;base64,{data}">'


def write_report(path, title, scores, figure_folder, *, lead='', history=(), texts=None, note='', rule='entropy'):
    """Write one HTML file in which everything is contained.

    Parameters
    ----------
    path : path
    title, lead, note : str
        Heading, the result in a sentence, what has to be said of the data.
    scores : dict
        From `utils.evaluation.evaluate`.
    figure_folder : path
        Figures named as the keys of `FIGURES`; those that are not there are left out.
    history : list of dict
    texts : dict of str to str
        Further sections, as they are: configuration, environment, log.
    rule : {'entropy', 'error'}
        By which the epoch was kept.
    """
    final = scores[evaluation.final_kind(scores)]['whole']
    parts = [f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
             f'<style>{CSS}</style></head><body><h1>{html.escape(title)}</h1>'
             f'<p class="big">{html.escape(lead)}</p><p class="note">{html.escape(note)}</p>',
             '<h2>Test</h2>', _errors(scores), '<h2>Classes</h2>', _classes(final),
             '<h2>The competition of 2013</h2>', f'<div class="row">{_ranking(title, scores)}</div>']
    for name, (heading, text) in FIGURES.items():
        file = Path(figure_folder) / f'{name}.png'
        if file.is_file():
            text = html.escape(text.format(figure=RULES[rule].label))
            parts.append(f'<h2>{heading}</h2><p class="note">{text}</p>{_image(file)}')
    if history:
        columns = [key for key in ('stage', 'epoch', 'rate', 'train_cross_entropy', 'validation_cross_entropy',
                                   'validation_error', 'test_error', 'seconds')
                   if any(row[key] is not None for row in history)]
        parts.append('<h2>Epochs</h2>' + _table([key.replace('_', ' ') for key in columns], [
            [f'{row[key]:.4g}' if isinstance(row[key], float) else '' if row[key] is None else row[key]
             for key in columns] for row in history]))
    for heading, text in (texts or {}).items():
        parts.append(f'<h2>{html.escape(heading)}</h2><pre>{html.escape(text)}</pre>')
    with replacing(path) as temporary:
        temporary.write_text('\n'.join([*parts, '</body></html>']), encoding='utf-8')


def texts_of(folder):
    """Configuration, environment and log of a run folder, for `write_report`."""
    folder = Path(folder)
    run = json.loads((folder / 'run.json').read_text(encoding='utf-8'))
    return {'Configuration': (folder / 'config.yaml').read_text(encoding='utf-8'),
            'Environment': '\n'.join(f'{key}: {value}' for key, value in run['environment'].items()
                                     if value is not None)
            + f"\ndata: {run['data']}\ndata fingerprint: {run['fingerprint']}\nstarted: {run['started']}",
            'Log': (folder / 'log.txt').read_text(encoding='utf-8')}
