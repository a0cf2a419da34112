"""The page in a browser, with a service started as by a user: pictures, camera, phone, keyboard. Run with `-m slow`.

SYMFER_SCREENSHOTS names a folder for screenshots of the page.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import browser
import cv2
import matplotlib.cbook
import numpy as np
import pytest

from utils.files.extras import MissingExtra
from utils.recognition.detection import model_file

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser.found() is None, reason='needs Chromium')]


@pytest.fixture(scope='module')
def hopper():
    return Path(matplotlib.cbook.get_sample_data('grace_hopper.jpg', asfileobj=False))


@pytest.fixture(scope='module')
def address():
    try:
        model_file()
    except MissingExtra as error:
        pytest.skip(str(error))
    process = subprocess.Popen(
        [sys.executable, 'launch.py', 'serve', '--port', '0'], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if found := re.match(r'http://\S+', line):
            yield found[0]
            break
    else:
        pytest.fail(f'the service did not start: status {process.wait()}')
    process.send_signal(signal.SIGINT)
    assert process.wait(20) in (0, 130)


@pytest.fixture(scope='module')
def film(hopper, tmp_path_factory):
    """A video that pans and zooms over a photograph."""
    picture = cv2.imread(str(hopper))
    path = tmp_path_factory.mktemp('film') / 'film.mjpeg'
    writer = cv2.VideoWriter(str(path.with_suffix('.avi')), cv2.VideoWriter_fourcc(*'MJPG'), 15, (640, 480))
    frames = []
    for k in range(45):
        side = 1 - 0.2 * np.sin(k / 45 * np.pi)
        height = int(480 * side)
        top, left = int(40 + 20 * np.sin(k / 7)), int(5 * np.cos(k / 5) + 5)
        part = picture[top : top + height, left : left + int(height * 500 / 480)]
        frame = cv2.resize(part, (640, 480))
        writer.write(frame)
        frames.append(cv2.imencode('.jpg', frame)[1].tobytes())
    writer.release()
    path.write_bytes(b''.join(frames))
    return path


def keep(page, name):
    folder = os.environ.get('SYMFER_SCREENSHOTS')
    if folder:
        page.picture(Path(folder) / f'{name}.png')


def test_pictures(address, hopper, tmp_path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'\xff\xd8\xff junk')
    for name, width, dark in (('desktop', 1280, False), ('phone', 390, True)):
        with browser.Browser() as page:
            page.open(address, width, dark=dark)
            page.until("document.getElementById('errors').textContent")
            page.choose('#files', [hopper, broken])
            page.until("document.querySelectorAll('.result').length === 2 && document.querySelector('.error')")
            page.until("document.querySelector('.stage img')?.naturalWidth === 512")
            assert page.run("document.querySelectorAll('.face').length") == 1
            assert 'neutral' in page.run("document.getElementById('status').textContent")
            assert page.run('document.documentElement.scrollWidth <= window.innerWidth'), 'it is wider than the window'
            pixels = "document.querySelector('.result canvas').getContext('2d').getImageData(0, 0, 512, 600).data"
            assert page.run(f'{pixels}.some(Boolean)')
            keep(page, f'pictures-{name}')
            complaints = [one for one in page.complaints() if '400' not in one]  # the broken picture's status
            assert not complaints


def test_camera(address, film):
    with browser.Browser(camera=film) as page:
        page.open(address)
        page.run("document.getElementById('camera').focus()")
        page('Input.dispatchKeyEvent', type='keyDown', key='Enter', code='Enter', windowsVirtualKeyCode=13, text='\r')
        page('Input.dispatchKeyEvent', type='keyUp', key='Enter', code='Enter', windowsVirtualKeyCode=13)
        page.until("document.querySelectorAll('#faces .face').length === 1")
        page.until("/frames\\/s/.test(document.getElementById('status').textContent)")
        keep(page, 'camera')
        assert page.run("document.getElementById('camera').getAttribute('aria-pressed')") == 'true'
        page.run("document.getElementById('camera').click()")
        page.until("document.getElementById('live').hidden")
        assert not page.complaints()


def test_interface_for_programs(address):
    with browser.Browser() as page:
        page.open(f'{address}/docs')
        assert '/recognise' in page.run('document.body.innerText')
        keep(page, 'docs')
        assert not page.complaints()
