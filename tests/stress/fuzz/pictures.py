"""Pictures of all formats, and bodies of requests to the service."""

import io
import json

import numpy as np
from PIL import Image

from tests.stress.fuzz.base import Kind
from tests.stress.fuzz.mutations import havoc, in_png

SIDES = (24, 17)


def encoded(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def good_pictures():
    """Make pictures for every decoder: colours, palettes, transparency, 16 bits, CMYK, several frames, orientation."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (*SIDES, 3), dtype=np.uint8))
    alpha = Image.fromarray(rng.integers(0, 256, (*SIDES, 4), dtype=np.uint8))
    grey, deep = colour.convert('L'), Image.fromarray(rng.integers(0, 65536, SIDES, dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, 'maker'
    return [
        encoded(colour, 'JPEG', exif=exif),
        encoded(colour, 'JPEG', progressive=True),
        encoded(colour.convert('CMYK'), 'JPEG'),
        encoded(grey, 'JPEG'),
        encoded(alpha, 'PNG'),
        encoded(colour.convert('P'), 'PNG', transparency=3),
        encoded(deep, 'PNG'),
        encoded(grey.convert('1'), 'PNG', exif=exif),
        encoded(alpha, 'WEBP', lossless=True),
        encoded(colour, 'WEBP', quality=50, exif=exif),
        encoded(colour, 'BMP'),
        encoded(grey.convert('1'), 'BMP'),
        encoded(colour.convert('P'), 'GIF', save_all=True, append_images=[grey.convert('P')]),
        encoded(colour, 'TIFF'),
        encoded(deep, 'TIFF', compression='tiff_lzw'),
        encoded(colour, 'TIFF', compression='jpeg'),
        encoded(alpha, 'TIFF', compression='tiff_deflate'),
        encoded(grey.convert('F'), 'TIFF'),
        encoded(grey.convert('1'), 'TIFF', compression='group4'),
        encoded(colour, 'PPM'),
        encoded(grey, 'PPM'),
        b'P3\n2 2\n255\n1 2 3 4 5 6 7 8 9 10 11 12\n',
    ]


class Picture(Kind):
    """A picture given to `symfer predict`."""

    suffix = '.img'

    def __init__(self, folder):
        from utils.recognition import images

        self.errors = (images.PictureError,)
        super().__init__(folder)

    def good(self):
        pictures = good_pictures()
        for data in pictures:  # load imports and tables of decoders before memory is limited
            self.path.write_bytes(data)
            Picture.read(self)
        return pictures

    def mutate(self, rng):
        data = rng.choice(self.seeds)
        if data[:4] == b'\x89PNG' and rng.random() < 0.7:
            return in_png(data, rng, self.seeds)
        return havoc(data, rng, self.seeds)

    def read(self):
        from utils.recognition import crops, detection, images

        picture = images.read(self.path)
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        (box,) = detection.whole_picture(picture)
        assert crops.crop(picture, box, (48, 48)).shape == (48, 48)


class Refused(Exception):
    """The service answered with a status from 400 to 499, or with 503."""


class Request(Picture):
    """The body of a request to the service; its last byte but one chooses the declared content type."""

    suffix = '.body'

    def __init__(self, folder):
        from starlette.testclient import TestClient

        from tests.service_data import Brightness
        from utils.recognition.recognise import Recogniser
        from utils.service.app import make_app
        from utils.service.limits import Limits

        app = make_app(Recogniser(Brightness(), 'none'), {}, Limits(body=50_000))
        self.client = TestClient(app, base_url='http://127.0.0.1', raise_server_exceptions=False)
        self.client.__enter__()
        self.client.get('/health')
        super().__init__(folder)
        self.errors = (Refused,)

    def good(self):
        pictures = super().good()
        forms = []
        for k in range(0, len(pictures), 2):
            parts = b''.join(
                b'--edge\r\nContent-Disposition: form-data; name="p"; filename="%d.png"\r\n\r\n%b\r\n' % (n, data)
                for n, data in enumerate(pictures[k : k + 3])
            )
            forms.append(parts + b'--edge--\r\n')
        return pictures[::3] + forms

    def read(self):
        data = self.path.read_bytes()
        form = b'--edge' in data[:200] or len(data) % 3 == 0
        kind = 'multipart/form-data; boundary=edge' if form else 'image/png'
        answer = self.client.post('/recognise', content=data, headers={'content-type': kind})
        body = json.loads(answer.content)
        if 400 <= answer.status_code < 500 or answer.status_code == 503:
            raise Refused(body['error'])
        assert answer.status_code == 200, answer.status_code
        for one in body.get('results', [body]):
            assert 'error' in one or len(one['faces']) == 1
