"""A pytest plugin that writes a line of JSON for each test as it ends, so that an aborted run also has results."""

import json
from pathlib import Path


def pytest_addoption(parser):
    parser.addoption('--outcomes', help='file for the outcomes of the tests')


def pytest_configure(config):
    path = config.getoption('--outcomes')
    if path and not hasattr(config, 'workerinput'):  # with xdist, only in the main process, which gets all reports
        config.pluginmanager.register(Outcomes(Path(path)), 'outcomes')


class Outcomes:
    """Writes one line for each test: its name, its outcome and its duration in seconds."""

    def __init__(self, path):
        self.path = path
        path.unlink(missing_ok=True)

    def pytest_runtest_logreport(self, report):
        if report.when == 'call' or report.outcome != 'passed':
            line = json.dumps({'test': report.nodeid, 'outcome': report.outcome, 'seconds': round(report.duration, 2)})
            with open(self.path, 'a', encoding='utf-8') as file:
                file.write(line + '\n')
