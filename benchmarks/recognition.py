"""Measure the speed of recognition and of its parts: `python -m benchmarks.recognition [PARTS] [-o FILE.json]`.

The inputs are a generated video of 640x360 pixels, in which a photograph moves (Grace Hopper, included in matplotlib),
a folder of photographs of 640x480, and requests of concurrent clients to the service. Needs the face detector (extra
[faces], or SYMFER_FACE_MODEL).
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import matplotlib.cbook
import numpy as np

ROOT = Path(__file__).parents[1]
SEVERAL = ('parts', 'video', 'folder', 'memory', 'start', 'service')


def photograph():
    return cv2.imread(matplotlib.cbook.get_sample_data('grace_hopper.jpg', asfileobj=False))


def film(path, n, size=(640, 360)):
    """Write a video of `n` frames in which the photograph moves and changes its size."""
    picture = photograph()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 25, size)
    for k in range(n):
        factor = 0.55 + 0.1 * np.sin(k / 40)
        face = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        canvas = np.full((size[1], size[0], 3), 90, np.uint8)
        left = int((size[0] - face.shape[1]) * (0.5 + 0.4 * np.sin(k / 25)))
        part = face[10 : 10 + size[1]]
        canvas[: len(part), left : left + face.shape[1]] = part
        writer.write(canvas)
    writer.release()
    return path


def photographs(folder, n):
    """Write `n` JPEG photographs of 640x480 to a folder."""
    picture = photograph()
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(n):
        top, height = rng.integers(0, 60), rng.integers(380, 480)
        part = picture[top : top + height, : int(height * 4 / 3)]
        cv2.imwrite(str(folder / f'{k:05}.jpg'), cv2.resize(part, (640, 480)), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return folder


def recogniser():
    import launch
    from utils.recognition.classifier import Classifier
    from utils.recognition.recognise import Recogniser, shipped_model

    classifier = Classifier(launch.CONTEXT, shipped_model())
    for n in (1, 2, 8):
        classifier(np.zeros((n, *classifier.size), np.uint8))
    return Recogniser(classifier)


def each(function, n=50):
    """Median duration of a call in milliseconds."""
    function()
    times = []
    for _ in range(n):
        began = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - began))
    return round(float(np.median(times)), 2)


def parts(folder):
    """Times of decoding, detection and network, each alone, in ms."""
    from utils.recognition import images
    from utils.recognition.crops import crop

    with_faces = recogniser()
    picture = cv2.resize(photograph(), (640, 480))
    data = cv2.imencode('.jpg', picture)[1].tobytes()
    frame = np.ascontiguousarray(picture[:360])
    (found,) = with_faces.detector(picture)
    faces = np.stack([crop(picture, found, with_faces.classifier.size)] * 8)
    capture = cv2.VideoCapture(str(film(folder / 'parts.mp4', 200)))
    return {
        'decode a JPEG of 640x480': each(lambda: images.decode(data)),
        'decode a frame of 640x360': each(lambda: capture.read()),
        'detect in 640x360': each(lambda: with_faces.detector(frame)),
        'detect in 640x480': each(lambda: with_faces.detector(picture)),
        'crop a face': each(lambda: crop(picture, found, with_faces.classifier.size)),
        'network, one face and its mirror image': each(lambda: with_faces.classifier(faces[:1])),
        'network, eight faces and their mirror images': each(lambda: with_faces.classifier(faces)),
    }


def video(folder):
    """Frames per second end to end, without and with annotation."""
    from utils.recognition import session

    n, out = 300, {}
    path, with_faces = film(folder / 'film.mp4', n), recogniser()
    for name, options in (('plain', {}), ('annotated', {'annotate': folder / 'out.mp4', 'csv': folder / 'out.csv'})):
        began = time.perf_counter()
        summary = session.predict(with_faces.classifier, [str(path)], info=lambda line: None, overwrite=True, **options)
        out[f'{name}, frames/s'] = round(n / (time.perf_counter() - began), 1)
        assert summary.faces > 0.9 * n, summary.faces
    return out


def folder(folder):
    """Photographs per second."""
    from utils.recognition import session

    n = 1000
    path, with_faces = photographs(folder / 'photographs', n), recogniser()
    began = time.perf_counter()
    summary = session.predict(with_faces.classifier, [str(path)], info=lambda line: None)
    return {'photographs/s': round(n / (time.perf_counter() - began), 1), 'faces': summary.faces}


def memory(folder):
    """Peak memory after 1,000 and after 10,000 frames, in MiB."""
    import launch

    path, out, n = film(folder / 'long.mp4', 500), {}, 0
    while n < 10_000:
        for _ in launch.recognise(path):
            n += 1
            if n in (1000, 10_000):
                out[f'peak after {n} frames, MiB'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return out


def start(folder):
    """Seconds from the command to the first answer, with compiled functions in the cache."""
    path, times = folder / 'photo.jpg', []
    cv2.imwrite(str(path), photograph())
    for _ in range(4):
        began = time.perf_counter()
        subprocess.run([sys.executable, 'launch.py', 'predict', str(path)], cwd=ROOT, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return {'first answer, s': round(float(np.median(times[1:])), 2)}


def service(folder, clients=16, seconds=60):
    """Measure the service with concurrent clients that send requests without pause."""
    process = subprocess.Popen(
        [sys.executable, 'launch.py', 'serve', '--port', '0'],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    address = next(line.split()[0] for line in process.stdout if line.startswith('http://'))
    data = cv2.imencode('.jpg', cv2.resize(photograph(), (640, 480)))[1].tobytes()
    times, counts, lock = [], {}, threading.Lock()
    end = time.monotonic() + seconds

    def ask():
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                with urllib.request.urlopen(urllib.request.Request(f'{address}/recognise', data), timeout=60) as answer:
                    status = 200 if len(json.load(answer)['faces']) == 1 else 'wrong'
            except urllib.error.HTTPError as error:
                status = error.code
            except OSError as error:
                status = type(error).__name__
            with lock:
                counts[str(status)] = counts.get(str(status), 0) + 1
                times.append(time.perf_counter() - began)

    def resident():
        fields = dict(line.split(':', 1) for line in Path(f'/proc/{process.pid}/status').read_text().splitlines())
        return int(fields['VmRSS'].split()[0]) // 1024

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(min(10, seconds / 3))
    early = resident()
    for thread in threads:
        thread.join()
    late = resident()
    process.terminate()
    process.wait(20)
    return {
        'clients': clients,
        'seconds': seconds,
        'answers': counts,
        'requests/s': round(len(times) / seconds, 1),
        'median, ms': round(1000 * float(np.median(times))),
        'p95, ms': round(1000 * float(np.percentile(times, 95))),
        'memory after 10 s and at the end, MiB': [early, late],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('parts', nargs='*', default=SEVERAL, help=', '.join(SEVERAL))
    parser.add_argument('-o', '--out', type=Path, help='JSON file to write')
    arguments = parser.parse_args()
    wrong = set(arguments.parts) - set(SEVERAL)
    if wrong:
        parser.error(f'parts are {", ".join(SEVERAL)}, not {", ".join(wrong)}')
    model = next((line.split(':')[1].strip() for line in open('/proc/cpuinfo') if line.startswith('model name')), '')
    results = {'machine': f'{os.cpu_count()} cores, {model or platform.machine()}', 'opencv': cv2.__version__}
    print(json.dumps(results))
    for part in arguments.parts:
        with tempfile.TemporaryDirectory() as name:
            results[part] = globals()[part](Path(name))
        print(part, json.dumps(results[part], indent=1), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + '\n')


if __name__ == '__main__':
    main()
