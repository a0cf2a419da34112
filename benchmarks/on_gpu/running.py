"""Run steps one after another, each in a separate process group with a time limit, and summarise their outcomes."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from benchmarks.on_gpu.steps import Step, arguments
from utils.results.tables import as_markdown, as_text

ROOT = Path(__file__).resolve().parents[2]
HEAD = ('step', 'outcome', 'seconds', 'figures')
GRACE = 5  # seconds between the two signals to a step that exceeds its time


class Outcome(NamedTuple):
    """Outcome of a step, 'passed', 'failed' or 'out of time', with its figures in words."""

    step: str
    outcome: str
    seconds: float
    figures: str

    @property
    def row(self) -> list[str]:
        return [self.step, self.outcome, f'{self.seconds:.0f}', self.figures]


def run(step: Step, out: Path, environment: dict[str, str], limits: float = 1.0) -> Outcome:
    """Run a step with its output in a log in the folder of the report."""
    start = time.perf_counter()
    figures = out / step.figures
    figures.unlink(missing_ok=True)  # from an earlier run
    with open(out / f'{step.name}.log', 'w', encoding='utf-8') as log:
        process = subprocess.Popen(
            arguments(step, out),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            outcome = 'failed' if process.wait(step.seconds * limits) else 'passed'
        except subprocess.TimeoutExpired:
            outcome = 'out of time'
        finally:
            end(process)
    return Outcome(step.name, outcome, time.perf_counter() - start, in_words(step.name, figures))


def end(process: subprocess.Popen) -> None:
    """End a process and its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def in_words(name: str, path: Path) -> str:
    """Format the figures that a step has written in one line."""
    if not path.exists():
        return 'none'
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.jsonl':
        lines = [json.loads(line) for line in text.splitlines()]
        counts = Counter(line['outcome'] for line in lines)
        failed = [line['test'].rpartition('/')[2] for line in lines if line['outcome'] == 'failed']
        words = ', '.join(f'{n} {outcome}' for outcome, n in sorted(counts.items(), reverse=True))
        return words + (f': {", ".join(failed[:5])}' + (', ...' if len(failed) > 5 else '') if failed else '')
    try:
        return SUMMARIES[name](json.loads(text))
    except (ValueError, KeyError):
        return 'not complete'


def _speed(rows):
    from benchmarks.train import label, own, ratio

    parts = []
    for case in {json.dumps(row['case']): row['case'] for row in rows}.values():
        group = [row for row in rows if row['case'] == case]
        best = ratio(group)
        beside = f', {best[0]:.2f} times {best[1]}' if best else ''
        parts.append(
            f'{label(case)}: {own(group)["images_per_s"]:,.0f} images/s{beside}' if own(group) else label(case)
        )
    return '; '.join(parts)


def _precision(figures):
    parts = [
        f'{name} {f["images_per_second"]:,.0f} images/s, validation {f["validation_cross_entropy"]:.4f}'
        if 'error' not in f
        else f'{name} {f["error"]}'
        for name, f in figures['precisions'].items()
    ]
    return f'chosen: {figures["chosen"] or "none"}; ' + '; '.join(parts)


SUMMARIES = {
    'device': lambda f: ' '.join([f['device'], f['nvidia-smi'], f'JAX {f["versions"].get("jax")}']),
    'sets': lambda f: '; '.join(f'{name} from {one["of"]} in {one["seconds"]} s' for name, one in f.items()),
    'speed': _speed,
    'precision': _precision,
    'epoch': lambda f: (
        f'{f["seconds_of_an_epoch"]} s per epoch in {f["precision"]}, {f["images_per_second"]:,.0f} images/s, '
        f'{len(f["epochs"])} epochs'
    ),
}


def write_summary(out: Path, outcomes: list[Outcome], about: str) -> str:
    """Write the table of outcomes as JSON and Markdown to the folder, and return it as text for the terminal."""
    rows = [outcome.row for outcome in outcomes]
    summary = {'about': about, 'steps': [outcome._asdict() for outcome in outcomes]}
    (out / 'summary.json').write_text(json.dumps(summary, indent=1), encoding='utf-8')
    (out / 'summary.md').write_text(f'{about}\n\n{as_markdown(HEAD, rows)}', encoding='utf-8')
    return as_text(HEAD[:3], [row[:3] for row in rows])
