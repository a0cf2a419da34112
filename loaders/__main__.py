"""The command line: `python -m loaders SOURCE`, `... audit SET`, `... show SET`, `... check SET`."""

import argparse
import os
import signal
import sys

from loaders import fer2013
from loaders.audit.findings import audit, report, write_list
from loaders.audit.show import show
from loaders.errors import DataError, visible
from loaders.sets.building import build
from loaders.sets.dataset import load
from loaders.sources.reading import read

USAGE = """\
python -m loaders SOURCE [--sets 1 2 3 4] [-o FOLDER] ...      make data sets
       python -m loaders audit SET [--list FILE] ...                  twins and blanks
       python -m loaders show SET [-o FOLDER] ...                     contact sheets
       python -m loaders check SET...                                 checksums"""


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line."""

    def error(self, message):
        self.exit(2, f'error: {message}; see {self.prog} --help\n')


def build_parser():
    parser = Parser(
        'python -m loaders',
        USAGE,
        description=(
            'Make HDF5 data sets of FER2013 in any layout, or of your own images. `audit`, '
            '`show` and `check` in place of SOURCE look at a data set; each has its own --help. A source of '
            'that name is given as ./audit.'
        ),
    )
    add = parser.add_argument
    add(
        'source',
        metavar='SOURCE',
        help='fer2013.csv, .csv.gz, .tar.gz, icml_face_data.csv, '
        'train.csv, a folder or zip archive with any of these or with '
        '[train|test/]<class>/<image>, or a set 1 or 2 made before',
    )
    add(
        '--sets',
        type=int,
        nargs='+',
        choices=(1, 2, 3, 4),
        default=[2],
        help='sets of thesis 5.2: 1 as they are, 2 and mirrored, 3 five crops of 44x44, '
        '4 shifted, rotated and scaled at 42x42 (default: 2)',
    )
    add('-o', '--out', default='datasets', help='folder to write to (default: datasets)')
    add('--prefix', default='', help='put before the names of the files')
    add(
        '--validation',
        type=number,
        metavar='N',
        help='number or fraction of the original '
        'training images held out for validation (default: as in the thesis; 0: none)',
    )
    add('--stratify', action='store_true', help='hold out equal parts of each class')
    add('--no-twins', action='store_true', help='hold out only images of which no exact copy stays in training')
    add(
        '--test',
        type=number,
        metavar='N',
        help='number or fraction of the images held out for testing where the source has no test images',
    )
    add('--size', type=size, metavar='HxW', help='height and width of the images')
    add('--classes', nargs='+', metavar='NAME', help='names of the labels 0, 1, ...')
    add('--votes', metavar='CSV', help='fer2013new.csv of FER+: labels by majority of votes')
    add('--seed', type=natural, default=0, help='seed of all choices (default: 0)')
    add('--skip-bad', action='store_true', help='leave bad rows and images out, and list them')
    return parser


def audit_parser():
    parser = Parser(
        'python -m loaders audit', description=('Exact and near twins, contradicting labels and constant images.')
    )
    parser.add_argument('set', metavar='SET', help='set 1 or 2, or any source')
    parser.add_argument(
        '--near', type=float, default=0.9, help='correlation from which images are near twins (default: 0.9)'
    )
    parser.add_argument('--exact', action='store_true', help='exact twins only: much faster')
    parser.add_argument('--list', metavar='FILE', help='write all findings as a CSV table')
    return parser


def show_parser():
    parser = Parser(
        'python -m loaders show',
        description=('A contact sheet of each class and one with all views of an image, as PNG files.'),
    )
    parser.add_argument('set', metavar='SET')
    parser.add_argument('-o', '--out', default='.', help='folder to write to (default: .)')
    parser.add_argument('--per-class', type=natural, default=100, help='images of each class (default: 100)')
    parser.add_argument('--image', type=natural, help='number in the source of the image of which all views are shown')
    parser.add_argument('--seed', type=natural, default=0, help='seed of the choice (default: 0)')
    return parser


def check_parser():
    parser = Parser('python -m loaders check', description=('Read a whole data set and compare it with its checksums.'))
    parser.add_argument('set', metavar='SET', nargs='+')
    return parser


def number(text):
    """A number of images, or a fraction where it has a point."""
    return float(text) if '.' in text else int(text)


def natural(text):
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def size(text):
    height, width = (int(side) for side in text.lower().split('x'))
    if not (1 <= height <= 4096 and 1 <= width <= 4096):
        raise ValueError
    return height, width


def run(arguments):
    """Do what the arguments (a list of str) ask for."""
    if arguments[:1] == ['audit']:
        args = audit_parser().parse_args(arguments[1:])
        near = None if args.exact else args.near
        originals = read(args.set)
        print(f'{args.set}: {originals.layout}')
        print(*fer2013.compare(originals.classes, originals.counts), sep='\n')
        found = audit(originals, near)
        print(*report(originals, found, near), sep='\n')
        if args.list:
            write_list(args.list, originals, found)
            print(args.list)
    elif arguments[:1] == ['show']:
        args = show_parser().parse_args(arguments[1:])
        with load(args.set) as data:
            print(*show(data, args.out, per_class=args.per_class, image=args.image, seed=args.seed), sep='\n')
    elif arguments[:1] == ['check']:
        args = check_parser().parse_args(arguments[1:])
        for path in args.set:
            with load(path) as data:
                print(
                    f'{path}: whole'
                    if data.verify()
                    else f'{path}: made before there were checksums; it does not contradict itself'
                )
    else:
        build(**vars(build_parser().parse_args(arguments)))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        run(sys.argv[1:])
    except DataError as error:
        print('error:', visible(' '.join(str(error).split())), file=sys.stderr)
        return 2
    except MemoryError:
        print(
            'error: the memory is used up: make fewer --sets in one command, or smaller images with --size',
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print('error: interrupted; no file was left half-written', file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of the output, head for one, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
