"""The routes of the service, as a Starlette application."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from utils.recognition.images import PictureError
from utils.service import openapi
from utils.service.batcher import Batcher, Busy
from utils.service.guard import LOCAL, Guard, TooLarge, body_of, problem
from utils.service.limits import Limits
from utils.service.live import answer_of, live
from utils.service.multipart import BodyError, pictures_of

if TYPE_CHECKING:
    from utils.recognition.recognise import Recogniser

PAGE = Path(__file__).parent / 'page'
KINDS = {'index.html': 'text/html', 'page.js': 'text/javascript', 'page.css': 'text/css', 'icon.svg': 'image/svg+xml'}


def make_app(
    recogniser: Recogniser,
    card: dict[str, Any],
    limits: Limits | None = None,
    *,
    hosts: tuple[str, ...] = LOCAL,
    origins: tuple[str, ...] = (),
) -> Starlette:
    """Make the application, which any ASGI server can run.

    Parameters
    ----------
    recogniser : Recogniser
        Recogniser, or an object with the same method `recognise`.
    card : dict
        Description of the model, returned by ``GET /model``.
    limits : Limits, optional
        Limits of the service.
    hosts, origins : tuple of str
        Names of the service and other origins, see `utils.service.guard.Guard`.

    Returns
    -------
    Starlette
        ASGI application.
    """
    limits = limits or Limits()

    @contextlib.asynccontextmanager
    async def lifespan(app):
        with Batcher(recogniser, limits) as batcher:
            app.state.batcher = batcher
            yield

    app = Starlette(
        routes=[
            Route('/', page, methods=['GET']),
            *(Route(f'/{name}', page, methods=['GET']) for name in KINDS),
            Route('/health', health, methods=['GET']),
            Route('/model', model, methods=['GET']),
            Route('/openapi.json', description, methods=['GET']),
            Route('/docs', documentation, methods=['GET']),
            Route('/recognise', recognise, methods=['POST', 'OPTIONS']),
            WebSocketRoute('/live', live),
        ],
        middleware=[Middleware(Guard, hosts=hosts, origins=origins)],
        exception_handlers={HTTPException: refused, Exception: failed},
        lifespan=lifespan,
    )
    app.state.card, app.state.limits, app.state.sockets = card, limits, 0
    return app


def refused(request: Request, error: Exception) -> Response:
    """Respond to an unknown path or method."""
    status = getattr(error, 'status_code', 400)
    text = {404: 'path not found', 405: 'method not allowed for this path'}.get(status, str(error))
    return problem(status, f'{text}; GET /docs lists all paths')


def failed(request: Request, error: Exception) -> Response:
    """Respond to a failure of the service itself, which is written to the log."""
    return problem(500, 'the service failed to process this request')


async def page(request: Request) -> Response:
    """Respond with a file of the page."""
    name = request.url.path.strip('/') or 'index.html'
    return Response((PAGE / name).read_bytes(), media_type=KINDS[name])


async def health(request: Request) -> Response:
    """Respond with the status of the service and the number of waiting pictures."""
    return JSONResponse({'status': 'ok', 'waiting': request.app.state.batcher.pending})


async def model(request: Request) -> Response:
    """Respond with the description of the model."""
    return JSONResponse(request.app.state.card)


async def description(request: Request) -> Response:
    """Respond with the OpenAPI document."""
    return Response(json.dumps(openapi.DESCRIPTION), media_type='application/json')


async def documentation(request: Request) -> Response:
    """Respond with the documentation as HTML."""
    return HTMLResponse(openapi.as_html())


async def recognise(request: Request) -> Response:
    """Respond with the faces of one picture or of several."""
    if request.method == 'OPTIONS':
        return Response(status_code=204)
    state, kind = request.app.state, request.headers.get('content-type', '')
    try:
        body = await body_of(request, state.limits)
        if not body:
            return problem(400, 'the body is empty: send the bytes of a picture')
        several = kind.lower().startswith('multipart/form-data')
        pictures = pictures_of(kind, body, state.limits.pictures) if several else [body]
        results = await state.batcher.recognise(pictures)
    except TooLarge as error:
        return problem(413, str(error), connection='close')
    except BodyError as error:
        return problem(400, str(error))
    except Busy:
        return problem(503, 'too many pictures are waiting', retry_after='1')
    except TimeoutError:
        return problem(503, 'the picture was not processed in time', retry_after='5')
    except ClientDisconnect:
        return Response(status_code=400)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, PictureError):
            raise result
    if not several:
        one = results[0]
        return problem(400, str(one)) if isinstance(one, PictureError) else JSONResponse(answer_of(one))
    return JSONResponse(
        {'results': [{'error': str(one)} if isinstance(one, PictureError) else answer_of(one) for one in results]}
    )
