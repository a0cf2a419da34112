"""The WebSocket for cameras: one frame, one answer."""

import pytest
from service_data import png
from starlette.websockets import WebSocketDisconnect

HEADERS = {'origin': 'http://127.0.0.1:8000', 'host': '127.0.0.1:8000'}


def test_frames_are_answered_in_turn_with_numbers_of_persons(service):
    with service.client.websocket_connect('/live', headers=HEADERS) as socket:
        for level, answer in ((0, 'dark'), (255, 'bright')):
            socket.send_bytes(png(level, kind='JPEG'))
            (face,) = socket.receive_json()['faces']
            assert face['answer'] == answer and face['person'] == 1
        socket.send_bytes(b'no picture')
        assert 'is not a JPEG' in socket.receive_json()['error']
        socket.send_text('hello')
        assert 'bytes of a picture' in socket.receive_json()['error']
        socket.send_bytes(png())
        assert socket.receive_json()['faces']
    with service.client.websocket_connect('/live', headers=HEADERS) as socket:  # another camera, numbered anew
        socket.send_bytes(png())
        assert socket.receive_json()['faces'][0]['person'] == 1


def test_no_more_sockets_than_may_be(service):
    connect = service.client.websocket_connect
    with connect('/live', headers=HEADERS) as one, connect('/live', headers=HEADERS):
        with connect('/live', headers=HEADERS) as third, pytest.raises(WebSocketDisconnect) as error:
            third.receive_json()
        assert error.value.code == 1013
        one.send_bytes(png())
        assert one.receive_json()['faces']
    with connect('/live', headers=HEADERS) as again:
        again.send_bytes(png())
        assert again.receive_json()['faces']


def test_pages_of_other_origins_cannot_watch(service):
    with (
        pytest.raises(WebSocketDisconnect) as error,
        service.client.websocket_connect('/live', headers=HEADERS | {'origin': 'http://evil.org'}),
    ):
        pass
    assert error.value.code == 1008


def test_a_message_that_is_too_large_ends_the_connection(service):
    with service.client.websocket_connect('/live', headers=HEADERS) as socket:
        socket.send_bytes(bytes(200_001))
        with pytest.raises(WebSocketDisconnect) as error:
            socket.receive_json()
        assert error.value.code == 1009
