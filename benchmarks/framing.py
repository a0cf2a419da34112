"""Measure how the error of a model depends on the frame of the faces: `python -m benchmarks.framing MODEL SET`.

The validation images of a set represent correctly framed faces. Each is shifted by up to 20 % of its side and scaled
by 0.7 to 1.4, as if a detector had used another frame. Beyond its edge an image continues with its mirror image. Test
images are not used. The model must not have been trained on the validation images: use symfer export MODEL --best.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import launch
import loaders
from utils.recognition.classifier import VIEWS, Classifier
from utils.recognition.crops import crop
from utils.recognition.detection import Detection

SHIFTS = (-0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2)
SCALES = (0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3, 1.4)


def framed(images, shift=(0.0, 0.0), scale=1.0):
    """Crop images (n, h, w) uint8 again with another frame."""
    height, width = images.shape[1:]
    face = Detection(0, 0, width, height)
    return np.stack([crop(image, face, (height, width), shift=shift, scale=scale) for image in images])


def errors(classifier, images, y):
    """Error in % for each frame of the images, as a dict with keys ('right' | 'down' | 'scale', value)."""
    out = {}
    for axis, values in (('right', SHIFTS), ('down', SHIFTS), ('scale', SCALES)):
        for value in values:
            shift = {'right': (value, 0.0), 'down': (0.0, value)}.get(axis, (0.0, 0.0))
            scale = value if axis == 'scale' else 1.0
            p = classifier(framed(images, shift, scale))
            out[axis, value] = 100 * float((p.argmax(axis=1) != y).mean())
    return out


def averages(classifier, images, y):
    """Error in % when logits are averaged over several frames of each face, with and without their mirror images."""
    here, *near = VIEWS['shifts']
    frames = {
        'as it is': [(here, 1.0)],
        'zooms': [(here, 0.95), (here, 1.05)],
        'shifts': [(shift, 1.0) for shift in near],
    }
    logits = {
        (name, mirrored): sum(
            classifier.logits(np.ascontiguousarray(framed(images, *frame)[:, :, :: -1 if mirrored else 1]))
            for frame in frames[name]
        )
        for name in frames
        for mirrored in (False, True)
    }
    out = {}
    for names in (('as it is',), ('as it is', 'shifts'), ('as it is', 'zooms'), ('as it is', 'shifts', 'zooms')):
        for mirrors in ((False,), (False, True)):
            total = sum(logits[name, mirrored] for name in names for mirrored in mirrors)
            label = ' + '.join([*names, *(['mirror'] if len(mirrors) == 2 else [])])
            out[label] = round(100 * float((total.argmax(axis=1) != y).mean()), 2)
    return out


def draw(path, found, title):
    """Draw the figure: error over shift and over scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout='constrained')
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for views, values in found.items():
        style = '-' if views == 'mirror' else '--'
        for axis, colour in (('right', 'tab:blue'), ('down', 'tab:orange')):
            line = [values[axis, shift] for shift in SHIFTS]
            left.plot([100 * shift for shift in SHIFTS], line, style, color=colour, label=f'{axis}, views: {views}')
        right.plot(
            SCALES, [values['scale', scale] for scale in SCALES], style, color='tab:green', label=f'views: {views}'
        )
    left.set(xlabel='shift of the frame (% of its side)', ylabel='error on validation images (%)')
    right.set(xlabel='side of the frame (1: as FER2013 has it)')
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(prog='python -m benchmarks.framing', description=__doc__.split('\n')[0])
    parser.add_argument('model')
    parser.add_argument('set')
    parser.add_argument('--images', type=int, default=10**6, help='largest number of validation images')
    parser.add_argument('--out', type=Path, default=Path('docs/bench'), help='folder for framing.json and framing.png')
    args = parser.parse_args()
    with loaders.load(args.set) as data:
        rows = np.flatnonzero(data.validation.view == 0)[: args.images]
        images, y = data.validation.images(rows), data.validation.y[rows]
    found = {}
    for views in ('none', 'mirror'):
        found[views] = errors(Classifier(launch.CONTEXT, args.model, views=views), images, y)
        print(f'views: {views}, {len(y)} validation images')
        for (axis, value), error in found[views].items():
            print(f'  {axis:6} {value:6.2f}  {error:6.2f} %')
    means = averages(Classifier(launch.CONTEXT, args.model, views='none'), images, y)
    for label, error in means.items():
        print(f'mean over {label:35} {error:6.2f} %')
    args.out.mkdir(parents=True, exist_ok=True)
    table = {v: {f'{axis} {value:g}': error for (axis, value), error in e.items()} for v, e in found.items()}
    about = {'model': Path(args.model).name, 'set': Path(args.set).name, 'images': len(y)}
    (args.out / 'framing.json').write_text(json.dumps({**about, 'errors': table, 'means': means}, indent=1) + '\n')
    draw(args.out / 'framing.png', found, f'{Path(args.model).stem} on {len(y)} validation images')


if __name__ == '__main__':
    sys.exit(main())
