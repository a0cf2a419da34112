"""A headless Chromium, driven through its debugging protocol: `Browser`, with what the test of the page needs."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')


def found():
    """Return the path of the program, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """A page of a headless Chromium; a context manager.

    Parameters
    ----------
    camera : path, optional
        Video (MJPEG) that replaces the camera.
    """

    def __init__(self, camera=None):
        self.folder = tempfile.mkdtemp()
        words = [found(), '--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0',
                 '--remote-allow-origins=*', f'--user-data-dir={self.folder}', '--no-first-run',
                 '--disable-background-networking', '--use-fake-ui-for-media-stream',
                 '--use-fake-device-for-media-stream', 'about:blank']  # fmt: skip
        if camera:
            words.insert(-1, f'--use-file-for-fake-video-capture={camera}')
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.events, self.count = [], 0

    def __enter__(self):
        from websockets.sync.client import connect

        port_file = Path(self.folder) / 'DevToolsActivePort'
        end = time.monotonic() + 30
        while not port_file.exists() or not port_file.read_text().strip():
            if time.monotonic() > end:
                raise TimeoutError('Chromium did not start')
            time.sleep(0.05)
        port = port_file.read_text().split()[0]
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/json') as answer:
            (target,) = [one for one in json.load(answer) if one['type'] == 'page'][:1]
        self.stack = ExitStack()
        self.socket = self.stack.enter_context(connect(target['webSocketDebuggerUrl'], max_size=2**26))
        for domain in ('Page', 'Runtime', 'Network', 'Log', 'DOM'):
            self(f'{domain}.enable')
        return self

    def __exit__(self, *_):
        self.stack.close()
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __call__(self, method, **parameters):
        """Send a command to the browser and return its response."""
        self.count += 1
        self.socket.send(json.dumps({'id': self.count, 'method': method, 'params': parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=30))
            if message.get('id') == self.count:
                if 'error' in message:
                    raise RuntimeError(message['error'])
                return message['result']
            self.events.append(message)

    def run(self, code):
        """Evaluate a JavaScript expression on the page and return its value; promises are awaited."""
        result = self('Runtime.evaluate', expression=code, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(result['exceptionDetails'])
        return result['result'].get('value')

    def until(self, code, seconds=20):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(f'Boolean({code})'):
            if time.monotonic() > end:
                raise TimeoutError(f'{code}; the page says: {self.run("document.body.innerText")}')
            time.sleep(0.05)

    def open(self, address, width=1280, height=900, dark=False):
        """Open an address in a window of this size."""
        self('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        value = 'dark' if dark else 'light'
        self('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': value}])
        self('Page.navigate', url=address)
        self.until("document.readyState === 'complete'")

    def choose(self, selector, files):
        """Put files into an input."""
        root = self('DOM.getDocument')['root']['nodeId']
        node = self('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
        self('DOM.setFileInputFiles', nodeId=node, files=[str(file) for file in files])

    def picture(self, path):
        """Return a screenshot of the whole page as PNG."""
        data = self('Page.captureScreenshot', format='png', captureBeyondViewport=True)['data']
        Path(path).write_bytes(base64.b64decode(data))

    def complaints(self):
        """Return the console errors and the requests to other hosts than the page's."""
        self.run('1')
        out = []
        for event in self.events:
            what = event.get('params', {})
            if event.get('method') == 'Runtime.exceptionThrown':
                out.append(what['exceptionDetails'].get('text'))
            if event.get('method') == 'Log.entryAdded' and what['entry']['level'] == 'error':
                out.append(what['entry']['text'])
            if event.get('method') == 'Network.requestWillBeSent':
                url = what['request']['url']
                if not url.startswith(('http://127.0.0.1:', 'blob:', 'data:', 'ws://127.0.0.1:')):
                    out.append(url)
        return out
