"""A service with a test client and without a neural network."""

from types import SimpleNamespace

import pytest

pytest.importorskip('starlette')
pytest.importorskip('httpx')

from service_data import LIMITS, Brightness  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from utils.recognition.recognise import Recogniser  # noqa: E402
from utils.service.app import make_app  # noqa: E402


@pytest.fixture
def service():
    classifier = Brightness()
    app = make_app(Recogniser(classifier, 'none'), {'model': 'm.h5'}, LIMITS, origins=('https://friend.org',))
    with TestClient(app, base_url='http://127.0.0.1:8000', raise_server_exceptions=False) as client:
        yield SimpleNamespace(client=client, classifier=classifier, app=app)
