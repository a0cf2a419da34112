"""What a person sees of an experiment: lines, progress bar, curves, the table of the competition.

==================  ===========================================================================
`Console`           lines and progress display of a running experiment
`plot_curves`       training and validation cross-entropy with the entropy point (thesis Figure 18)
`write_history`     one CSV row per epoch
`COMPETITION`       results of the 2013 competition
`rank`, `ranking`   a result's place in it (thesis Tables 6-12)
==================  ===========================================================================
"""
import csv
import sys
import time
from pathlib import Path

from rich.console import Console as Terminal
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from utils import figures
from utils.rules import RULES
from utils.saving import replacing

# Team, mean error of public and private test (thesis Table 1), error on the private test, which decided
# (Kaggle, Challenges in Representation Learning: Facial Expression Recognition Challenge, 2013; 56 teams).
COMPETITION = (
    ('RBM', 29.53, 28.84), ('Unsupervised', 30.83, 30.73), ('Maxim Milakov', 31.15, 31.18),
    ('Radu+Marius+Cristi', 32.60, 32.52), ('Lor.Voldy', 35.09, 34.75), ('ryank', None, 34.91),
    ('Eric Cartman', None, 35.53), ('Xavier Bouthillier', None, 35.78), ('Alejandro Dubrovsky', None, 36.89),
    ('sayit', None, 37.81))
TEAMS = 56


def rank(error, half='whole'):
    """Place that a test error would have had in the 2013 competition.

    Parameters
    ----------
    error : float
        In %.
    half : {'whole', 'private'}
        Among the five teams whose mean over both halves is known, or among the ten best on the private half.

    Returns
    -------
    int
        1 + number of teams with a smaller error; one more than the teams known means that or any later place.
    """
    column = {'whole': 1, 'private': 2}[half]
    return 1 + sum(bool(row[column] < error) for row in COMPETITION if row[column] is not None)


def ranking(results, half='whole'):
    """The competition's table with results ranked in it, as Tables 6-12 of the thesis.

    Parameters
    ----------
    results : dict of str to float
        Error in % by name.
    half : {'whole', 'private'}

    Returns
    -------
    str
        One line per row; own results are marked with an arrow.
    """
    column = {'whole': 1, 'private': 2}[half]
    rows = [(row[column], 0, row[0]) for row in COMPETITION if row[column] is not None]
    rows = sorted(rows + [(error, 1, name) for name, error in results.items()])
    width = max(len('Name of network / team'), *(len(name) for _, _, name in rows))
    lines = [f"{'Ranking':8}  {'Name of network / team':{width}}  Error (%)"]
    for place, (error, own, name) in enumerate(rows, start=1):
        lines.append(f"{f'#{place}':8}  {name:{width}}  {error:9.2f}{'  <--' if own else ''}")
    return '\n'.join(lines)


class Console:
    """Tells of a running experiment on the terminal.

    Parameters
    ----------
    verbose : {0, 1, 2}
        0 nothing; 1 a line per epoch and, on a terminal, a display of where it is; 2 also what is done besides.
    on_epoch : callable, optional
        Called with the entry of each epoch when it is over and saved.
    """

    def __init__(self, verbose=1, on_epoch=None):
        self.verbose, self.on_epoch, self.progress = verbose, on_epoch, None
        self.terminal = Terminal()
        self.best, self.told, self.log, self.cost = None, [], None, ''
        self.rule = RULES['entropy']
        self.n_epochs = None            # of the stage
        self.check = lambda: None       # called at every minibatch

    def write_to(self, path):
        """Write what was said, and what will be, into a file as well."""
        self.log = Path(path)
        self.log.write_text(''.join(self.told), encoding='utf-8')

    def follow(self, rule, history):
        """Take the best epoch by a rule, beginning with the epochs that a resumed run has had."""
        self.rule = RULES[rule]
        self.best = self.rule.best(row for row in history if row['stage'] == 'train')

    def say(self, text='', level=1):
        if level <= 1:
            self._write(text)
        if self.verbose < level:
            return
        if self.progress:       # above the display, as it is: no markup, colours or folding
            self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, flush=True)

    def note(self, text):
        """Say something that stands in the log in any case, and on the terminal with `verbose` 2 only."""
        self._write(text)
        self.say(text, level=2)

    def _write(self, text):
        self.told.append(f'{text}\n')
        if not self.log:
            return
        try:
            with open(self.log, 'a', encoding='utf-8') as file:
                file.write(f'{text}\n')
        except OSError as error:        # on a full disk the model matters more
            print(f"the log '{self.log}' cannot be written: {error.strerror}", file=sys.stderr)
            self.log = None

    def epoch_begins(self, stage, epoch, n_epochs, n_images):
        self.shown, self.n_epochs = time.monotonic(), n_epochs
        if not self.verbose or not self.terminal.is_terminal:
            return
        if self.progress is None:
            self.progress = Progress(
                TextColumn('{task.description}'), BarColumn(), TaskProgressColumn(),
                TextColumn('{task.fields[speed]}'), TextColumn('time left'), TimeRemainingColumn(),
                TextColumn('{task.fields[note]}'), console=self.terminal, transient=True)
            self.task = None
            self.progress.start()
        if self.task is None or self.stage != stage:
            if self.task is not None:
                self.progress.remove_task(self.task)
            # One bar over the stage, so that the time left is the stage's.
            self.task = self.progress.add_task('', total=(n_epochs - epoch + 1) * n_images, speed='', note='')
            self.stage, self.seen = stage, 0
        self.began, self.before = time.monotonic(), self.seen
        self.progress.update(self.task, description=f'{stage} {epoch}/{n_epochs}')

    def compiling(self, what):
        """Say why nothing moves at first."""
        self.say(f'compiling the {what}')

    def warn(self, text):
        self.say(f'warning: {text}')

    def minibatch(self, count, cost):
        self.check()
        if not self.progress:
            return
        self.seen += count
        self.progress.advance(self.task, count)
        now = time.monotonic()
        if now - self.shown > 1:        # reading a cost waits for the device
            self.shown, self.cost = now, f'cost {float(cost):.3f}'
            speed = (self.seen - self.before) / max(now - self.began, 1e-9)
            self.progress.update(self.task, speed=f'{speed:.0f} images/s', note=self._note())

    def _note(self):
        best = self.best and f"best epoch {self.best['epoch']}: {self.best['validation_error']:.2f} %"
        return ', '.join(filter(None, [self.cost, best]))

    def epoch_ends(self, row):
        self.best = self.rule.best([self.best, row] if self.best else [row])
        self.say(epoch_line(row, self.n_epochs))
        if self.on_epoch:
            self.on_epoch(row)

    def close(self):
        """Take the display away."""
        if self.progress:
            self.progress.stop()
            self.progress = None


def epoch_line(row, n_epochs):
    """The line of thesis 5.3 for an epoch of a stage of `n_epochs`.

    ``train epoch 3/10, validation error 41.20 %, test error 42.03 % (...)``
    """
    line = f"{row['stage']} epoch {row['epoch']}/{n_epochs}"
    if row['validation_error'] is not None:
        line += f", validation error {row['validation_error']:.2f} %"
    else:
        line += f", train cost {row['train_cost']:.4f}"
    if row['test_error'] is not None:
        line += f", test error {row['test_error']:.2f} %"
    notes = [f"{row['images'] / row['seconds']:.0f} images/s"]
    if row['validation_error'] is not None:
        notes.insert(0, f"cross-entropy: train {row['train_cross_entropy']:.4f}, "
                        f"validation {row['validation_cross_entropy']:.4f}")
    return f"{line} ({'; '.join(notes)})"


def plot_curves(history, path, best=None, title='', rule='entropy'):
    """Draw training and validation cross-entropy by epoch, with the kept epoch marked, as thesis Figure 18.

    Parameters
    ----------
    history : list of dict
        From `utils.methodology.Trainer`.
    path : path
        Ending in .png, .pdf or .svg.
    best : dict, optional
        Entry of the kept epoch.
    title : str
    rule : {'entropy', 'error'}
        By which it was kept.
    """
    figure = figures.blank(7.5, 4.5)
    axes = figure.subplots()
    offset = 0
    styles = {'train': ('tab:blue', '-', 'training'), 'retrain': ('tab:blue', '--', 'training, with validation images'),
              'anneal': ('tab:cyan', '--', 'annealing')}
    for stage, (colour, style, label) in styles.items():
        rows = [row for row in history if row['stage'] == stage]
        if not rows:
            continue
        # Retraining starts afresh, so its curve lies over the first one; annealing follows on it.
        start = offset if stage == 'anneal' else 0
        axes.plot([start + row['epoch'] for row in rows], [row['train_cross_entropy'] for row in rows],
                  style, color=colour, label=label, marker='.' if len(rows) < 40 else None)
        offset = rows[-1]['epoch']
    rows = [row for row in history if row['validation_cross_entropy'] is not None]
    if rows:
        axes.plot([row['epoch'] for row in rows], [row['validation_cross_entropy'] for row in rows], '-',
                  color='tab:red', label='validation', marker='.' if len(rows) < 40 else None)
    if best:
        axes.axvline(best['epoch'], color='0.6', linewidth=1, zorder=0)
        axes.plot(best['epoch'], best['validation_cross_entropy'], 'o', color='tab:red', markersize=8,
                  markerfacecolor='none', label=f"{RULES[rule].point}: epoch {best['epoch']}, {RULES[rule].text(best)}")
    axes.set(xlabel='epoch', ylabel='cross-entropy (nats)', title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=.3)
    axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, format=Path(path).suffix[1:])


def write_history(history, path):
    """Write one CSV row per epoch."""
    history = [{**row, 'images_per_second': round(row['images'] / row['seconds'], 1)} for row in history]
    with replacing(path) as temporary, open(temporary, 'w', newline='') as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]) if history else ['epoch'])
        writer.writeheader()
        writer.writerows(history)
