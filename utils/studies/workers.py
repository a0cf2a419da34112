"""Run all trials in turn, in several processes, or on a Ray cluster."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from utils.record.trackers import needed

RETRIES = 3  # of a trial whose worker died


def in_turn(
    all_options: Sequence[dict[str, Any]], work: Callable[..., Any], info: Callable[..., Any]
) -> dict[Any, Any]:
    """Run the trials in this process. A trial that fails is reported and skipped.

    Returns
    -------
    dict of str to str
        Error of each failed trial, by model file.
    """
    failures = {}
    for k, options in enumerate(all_options, start=1):
        info(f"\ntrial {k} of {len(all_options)}: '{options['savename']}'")
        try:
            info(f'trial {k} of {len(all_options)}: {work(options)}')
        except (ValueError, OSError, FloatingPointError) as error:
            failures[options['savename']] = str(error)
            info(f'trial {k} of {len(all_options)} failed: {error}')
    return failures


def in_processes(
    all_options: Sequence[dict[str, Any]], command: Sequence[str], workers: int, info: Callable[..., Any]
) -> Any:
    """Run the trials in several processes on this machine. A trial whose process dies is run again.

    Parameters
    ----------
    all_options : sequence of dict
        Arguments of each trial.
    command : list of str
        Command that reads a trial as JSON from its input and runs it.
    workers : int
        Number of processes.
    info : callable
        Called with each text to print.

    Returns
    -------
    dict of str to str
        Error of each failed trial, by model file.
    """
    waiting = [(options, 0) for options in all_options]
    running, failures, done = {}, {}, 0
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                options, tries = waiting.pop(0)
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
                )
                process.stdin.write(json.dumps(options))
                process.stdin.close()
                running[process] = options, tries
                info(f"process {process.pid}: '{options['savename']}'")
            time.sleep(0.1)
            for process in [p for p in running if p.poll() is not None]:
                options, tries = running.pop(process)
                errors = process.stderr.read().strip()
                process.stderr.close()
                if process.returncode < 0 and tries < RETRIES:
                    info(f'process {process.pid} died (signal {-process.returncode}); its trial is started again')
                    waiting.insert(0, (options, tries + 1))
                    continue
                done += 1
                if process.returncode:
                    failures[options['savename']] = errors.splitlines()[-1] if errors else f'exit {process.returncode}'
                info(
                    f"{done} of {len(all_options)}: '{options['savename']}' "
                    + (f'failed: {failures[options["savename"]]}' if process.returncode else 'finished')
                )
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
    return failures


def worker_command(module: str, name: str) -> list[str]:
    """Return a command for `in_processes`: a new interpreter that calls a function with its standard input.

    The function returns the exit status.
    """
    return [
        sys.executable,
        '-c',
        f'import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); '
        f'import {module}; sys.exit({module}.{name}(sys.stdin))',
    ]


def on_ray(
    all_options: Sequence[dict[str, Any]], function: str, address: Any, cpus: Any, info: Callable[..., Any]
) -> Any:
    """Run the trials as tasks of a Ray cluster. A task whose worker dies is retried.

    Parameters
    ----------
    all_options : sequence of dict
        Arguments of each trial.
    function : str
        Function that runs a trial, as ``module:name``; the worker imports it.
    address : str or None
        Address of a cluster that shares this folder and has symfer installed. None starts one on this machine.
    cpus : int or None
        Number of workers of a cluster that is started here; by default one per core.
    info : callable
        Called with each text to print.

    Returns
    -------
    dict of str to str
        Error of each failed trial, by model file.
    """
    os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
    ray = needed('ray', 'ray')
    root = str(Path(__file__).parents[2])
    ray.init(
        address=address,
        num_cpus=None if address else cpus,
        log_to_driver=False,
        logging_level='error',
        include_dashboard=False if address is None else None,
        runtime_env={'env_vars': {'PYTHONPATH': os.pathsep.join([root, os.environ.get('PYTHONPATH', '')])}},
    )
    try:
        gpu = {'num_gpus': 1} if ray.cluster_resources().get('GPU') else {}
        task = ray.remote(max_retries=RETRIES, **gpu)(_ray_trial)
        waiting = {task.remote(function, options, os.getcwd()): options for options in all_options}
        failures, done = {}, 0
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            options = waiting.pop(ready)
            done += 1
            try:
                outcome = ray.get(ready)
            except ray.exceptions.RayError as error:
                cause = getattr(error, 'cause', None) or error
                outcome = failures[options['savename']] = f'failed: {str(cause).strip().splitlines()[-1]}'
            info(f"{done} of {len(all_options)}: '{options['savename']}' {outcome}")
        return failures
    finally:
        ray.shutdown()


def _ray_trial(function, options, folder):
    """Run a trial in a Ray worker, in the folder in which the sweep was started."""
    os.chdir(folder)
    module, _, name = function.partition(':')
    return getattr(importlib.import_module(module), name)(options)
