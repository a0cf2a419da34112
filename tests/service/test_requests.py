"""Requests: pictures in, JSON out, and a status with a message if something is wrong."""

import io
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from service_data import LIMITS, png


def post(service, data, **headers):
    return service.client.post('/recognise', content=data, headers={k.replace('_', '-'): v for k, v in headers.items()})


def test_a_picture_has_its_faces(service):
    answer = post(service, png(255))
    assert answer.status_code == 200
    (face,) = answer.json()['faces']
    assert face['faceRectangle'] == {'left': 0, 'top': 0, 'width': 16, 'height': 16}
    assert face['scores'] == {'dark': 0.0, 'bright': 1.0} and face['answer'] == 'bright'
    assert 'file' not in answer.json()


def test_several_pictures_are_answered_in_their_order_the_bad_ones_too(service):
    files = [('picture', ('b"\r\n.png', png(255))), ('picture', ('x', b'no picture')), ('other', ('d', png(0)))]
    answer = service.client.post('/recognise', files=files)
    first, second, third = answer.json()['results']
    assert first['faces'][0]['answer'] == 'bright' and third['faces'][0]['answer'] == 'dark'
    assert 'is not a JPEG' in second['error']


def bomb():
    """A PNG of a few kilobytes that declares 100,000 x 100,000 pixels."""
    data = bytearray(png())
    data[16:24] = (100_000).to_bytes(4, 'big') * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, 'big')
    return bytes(data)


@pytest.mark.parametrize(
    'data, status, text',
    [
        (b'', 400, 'empty'),
        (b'GIF89a', 400, 'is not a JPEG'),
        (b'<svg/>', 400, 'is not a JPEG'),
        (png(side=64, mode='RGB')[:-40], 400, 'damaged or truncated'),
        (bomb(), 400, 'pixels'),
        (png(side=1100), 400, 'at most'),
        (bytes(LIMITS.body + 1), 413, 'at most 200000 bytes'),
    ],
    ids=['empty', 'stub', 'other', 'cut', 'bomb', 'large', 'heavy'],
)
def test_what_is_no_picture_gets_a_status_and_a_sentence(service, data, status, text):
    answer = post(service, data)
    assert answer.status_code == status and text in answer.json()['error']
    assert post(service, png()).status_code == 200


def test_a_body_that_says_less_than_it_is_ends_at_the_bound(service):
    def chunks():
        for _ in range(300):
            yield bytes(1000)

    answer = service.client.post('/recognise', content=chunks())
    assert answer.status_code == 413 and 'at most' in answer.json()['error']


@pytest.mark.parametrize(
    'kind, body, text',
    [
        ('multipart/form-data', b'x', 'without a boundary'),
        ('multipart/form-data; boundary=a', b'nonsense', 'is not multipart'),
        ('multipart/form-data; boundary=a', b'--a--\r\n', 'no picture'),
        (
            'multipart/form-data; boundary=a',
            b'--a\r\nContent-Disposition: form-data; name="x"\r\n\r\nhalf',
            'ends before',
        ),
        ('multipart/form-data; boundary=a', b'--a\r\nA: b\r\n\r\n1\r\n' * 4 + b'--a--\r\n', 'at most 3 pictures'),
    ],
)
def test_wrong_forms(service, kind, body, text):
    answer = post(service, body, content_type=kind)
    assert answer.status_code == 400 and text in answer.json()['error']


def test_paths_methods_and_cards(service):
    assert service.client.get('/health').json() == {'status': 'ok', 'waiting': 0}
    assert service.client.get('/model').json() == {'model': 'm.h5'}
    for path in ('/nothing', '/../setup.py', '/__init__.py', '/%2e%2e/app.py', '/page/index.html'):
        answer = service.client.get(path)
        assert answer.status_code == 404 and 'GET /docs' in answer.json()['error']
    assert service.client.get('/recognise').status_code == 405
    description = service.client.get('/openapi.json').json()
    assert set(description['paths']) == {'/recognise', '/live', '/model', '/health'}
    assert '/recognise' in service.client.get('/docs').text


def test_the_page_asks_for_nothing_elsewhere(service):
    page = service.client.get('/')
    assert page.status_code == 200 and "default-src 'none'" in page.headers['content-security-policy']
    for name in ('/', '/page.js', '/page.css', '/docs', '/icon.svg'):
        answer = service.client.get(name)
        assert answer.status_code == 200
        assert 'http://' not in answer.text.replace('http://www.w3.org/2000/svg', '') and 'https://' not in answer.text


def test_other_hosts_and_origins_are_refused(service):
    get = service.client.get
    assert get('/health', headers={'host': 'evil.org'}).status_code == 403
    assert get('/health', headers={'origin': 'http://evil.org'}).status_code == 403
    assert post(service, png(), origin='null').status_code == 403
    assert get('/health', headers={'origin': 'http://127.0.0.1:8000'}).status_code == 200
    friend = get('/health', headers={'origin': 'https://friend.org'})
    assert friend.headers['access-control-allow-origin'] == 'https://friend.org'
    assert 'access-control-allow-origin' not in get('/health').headers
    for host, status in (
        ('localhost:1', 200),
        ('192.168.1.7:8000', 200),
        ('[::1]:80', 200),
        ('1.2.3.4.evil.org', 403),
        ('', 403),
    ):
        assert get('/health', headers={'host': host}).status_code == status


def test_beyond_the_queue_there_is_a_status_that_says_when_to_ask_again(service):
    gate = threading.Event()
    service.classifier.wait = lambda: gate.wait(10)
    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(post, service, png()) for _ in range(12)]
        end = time.monotonic() + 10
        while sum(one.done() for one in waiting) < 3 and time.monotonic() < end:
            time.sleep(0.01)
        gate.set()
        answers = [one.result() for one in waiting]
    refused = [one for one in answers if one.status_code == 503]
    assert 3 <= len(refused) < 12 and all(one.headers['retry-after'] for one in refused)
    assert all(one.status_code == 200 for one in answers if one not in refused)


def test_pictures_that_wait_go_through_the_network_together(service):
    gate, entered = threading.Event(), threading.Event()
    service.classifier.wait = lambda: (entered.set(), gate.wait(10))
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(post, service, png(0))]
        assert entered.wait(10)
        waiting += [pool.submit(post, service, png(level)) for level in (255, 0, 255)]
        end = time.monotonic() + 10
        while service.client.get('/health').json()['waiting'] < 3 and time.monotonic() < end:
            time.sleep(0.01)
        gate.set()
        answers = [one.result().json()['faces'][0]['answer'] for one in waiting]
    assert answers == ['dark', 'bright', 'dark', 'bright'] and service.classifier.batches == [1, 3]


def test_a_defect_of_ours_is_a_status_and_the_service_goes_on(service):
    def fail():
        raise RuntimeError('secret')

    service.classifier.wait = fail
    answer = post(service, png())
    assert answer.status_code == 500 and 'secret' not in answer.text
    service.classifier.wait = None
    assert post(service, png()).status_code == 200


def test_turned_and_transparent_pictures_are_taken(service):
    values = np.zeros((8, 8, 4), np.uint8)  # black and wholly transparent: white behind it
    data = io.BytesIO()
    Image.fromarray(values).save(data, 'PNG')
    assert post(service, data.getvalue()).json()['faces'][0]['answer'] == 'bright'


def test_nothing_of_a_request_but_its_route_is_in_the_log(service, caplog):
    caplog.set_level('INFO', 'symfer.service')
    service.client.post('/recognise?who=me', files=[('picture', ('anna.png', png()))])
    assert [record.getMessage().split()[:3] for record in caplog.records if record.name == 'symfer.service'] == [
        ['POST', '/recognise', '200']
    ]
    assert 'anna' not in caplog.text and 'who' not in ' '.join(
        r.getMessage() for r in caplog.records if r.name == 'symfer.service'
    )
