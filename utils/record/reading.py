"""Read run folders."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from utils.files.folders import numbered_folder
from utils.files.former import parse_json
from utils.files.yaml_ import load_yaml
from utils.results.predictions import RunError

if TYPE_CHECKING:
    from utils.annotations import StrPath


FORMAT, VERSION = 'symfer run', 1


def read_run(folder: StrPath, need: tuple | Sequence[str] = ()) -> dict[str, Any]:
    """Read a run folder.

    Parameters
    ----------
    folder : path
        Run folder, a file in one, or the folder or file of a model, which stands for its last finished run.
    need : sequence of str
        Further files that must exist, for example 'logits.npz'.

    Returns
    -------
    dict
        'folder', 'config' (the arguments), 'run' (run.json), 'result' (result.json), 'history' (list of dict).

    Raises
    ------
    RunError
        The folder is not a run folder or has another version, a file is missing or damaged, or the run has not
        finished.
    """
    folder = Path(folder)
    if folder.is_file():
        folder = (
            folder.with_suffix('')
            if folder.suffix in ('.h5', '.hdf5', '.pkl') and folder.stem != 'model'
            else folder.parent
        )
    if not folder.is_dir():
        raise RunError(f"there is no run folder '{folder}'")
    if not (folder / 'run.json').exists():
        runs = sorted(folder.glob('run-*'))
        finished = [run for run in runs if status_of(run) == 'finished']
        if not runs:
            raise RunError(f"'{folder}' is not a run folder: it has no run.json")
        folder = (finished or runs)[-1]
    missing = [
        name
        for name in ('run.json', 'config.yaml', 'result.json', 'history.csv', *need)
        if not (folder / name).is_file()
    ]
    if 'run.json' not in missing:
        run = _read(folder / 'run.json')
        if not isinstance(run, dict) or run.get('format') != FORMAT:
            raise RunError(f"'{folder}' is not a run folder: its run.json is not a {FORMAT}")
        if run.get('version') != VERSION:
            raise RunError(
                f"the run '{folder}' has version {run.get('version')}, but this symfer reads version {VERSION}"
            )
    status = status_of(folder)
    if 'result.json' not in missing and status != 'finished':
        raise RunError(f"the run '{folder}' has not finished: {status}")
    if missing:
        raise RunError(f"the run '{folder}' is incomplete: {', '.join(missing)} is missing")
    try:
        with open(folder / 'history.csv', newline='', encoding='utf-8') as file:
            history = [
                {key: value or None if key in ('stage', 'layer') else _number(value) for key, value in row.items()}
                for row in csv.DictReader(file)
            ]
    except (ValueError, TypeError, csv.Error) as error:
        raise RunError(f"'{folder / 'history.csv'}' cannot be read: {error}") from None
    config, result = _read(folder / 'config.yaml'), _read(folder / 'result.json')
    for name, table, kinds in (
        ('config.yaml', config, {'seed': int}),
        ('run.json', run, {'name': str, 'fingerprint': str, 'model': str}),
        ('result.json', result, {'evaluation': dict, 'test_error': (int, float)}),
    ):
        wrong = [
            key
            for key, kind in kinds.items()
            if not isinstance(table, dict) or not isinstance(table.get(key), kind)  # type: ignore[arg-type]
        ]
        if wrong:
            raise RunError(f"'{folder / name}' is damaged: it has no valid {', '.join(wrong)}")
    return {'folder': folder, 'config': config, 'run': run, 'result': result, 'history': history}


def same_data(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Return whether two runs, from `read_run`, used the same data set; early versions are compared by source, name."""
    a, b = a['run'], b['run']
    known = a.get('content_digest') and b.get('content_digest')
    return all(a.get(key) == b.get(key) for key in ('fingerprint', 'data_name', *(['content_digest'] if known else [])))


def status_of(folder: Path) -> str:
    """Return the status of a run folder: 'finished', 'running', ...; 'unknown' if result.json cannot be read."""
    try:
        return _read(Path(folder) / 'result.json').get('status', 'unknown')
    except (RunError, AttributeError):
        return 'unknown'


def _number(text):
    if text == '':
        return None
    value = float(text)
    return int(value) if value.is_integer() and '.' not in text and 'e' not in text else value


def _read(path):
    try:
        text = path.read_text(encoding='utf-8')
        return parse_json(text) if path.suffix == '.json' else load_yaml(text)
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RunError(f"'{path}' cannot be read: {' '.join(str(error).split())}") from None


def read_config(path: StrPath) -> Any:
    """Read the arguments of `launch.test` from a config.yaml, which was saved by a run or written by hand.

    A run folder stands for its config.yaml. A network ``file.py:Class`` is searched beside the file.

    Raises
    ------
    RunError
        The file is missing or is not a table of arguments.
    """
    path = Path(path)
    path = path / 'config.yaml' if path.is_dir() else path
    options = _read(path)
    if not isinstance(options, dict):
        raise RunError(f"'{path}' is not a configuration: expected lines 'argument: value'")
    file, colon, cls = str(options.get('network', '')).rpartition(':')
    if colon and not Path(file).is_absolute() and (path.parent / file).is_file():
        options['network'] = f'{path.parent / file}:{cls}'
    return options


def beside(run: str, word: str) -> Path:
    """Return the next free folder ``word-001``, ... beside the model of a run, without creating it."""
    return numbered_folder(read_run(run)['folder'].parent.parent, word, make=False)
