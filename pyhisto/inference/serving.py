"""A page to drop an image on: one upload, one answer, nothing kept, no script at all."""

from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from pyhisto.errors import InputError
from pyhisto.inference.diagnosis import conclude, prepare_image
from pyhisto.inference.findings import card, style
from pyhisto.inference.model import Model
from pyhisto.inference.pages import render
from pyhisto.preprocessing.images import decode_image

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that only this machine reaches."""
MEGABYTE = 1 << 20
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
"""What a browser may load for the page: nothing from anywhere."""


class InMemory(Request):
    """A request whose upload never touches the disk; MAX_CONTENT_LENGTH bounds it."""

    def _get_file_stream(
        self, total_content_length: int | None, content_type: str | None, filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:  # fmt: skip
        return BytesIO()


def make_app(model: Model, most_megabytes: int, hosts: tuple[str, ...]) -> Flask:
    """The application. It answers to the names `hosts` alone, so that no other site's page can talk to it."""
    app = Flask(__name__, static_folder=None)
    app.request_class = InMemory
    app.config["MAX_CONTENT_LENGTH"] = most_megabytes * MEGABYTE
    app.config["MAX_FORM_MEMORY_SIZE"] = MEGABYTE
    turn = Lock()  # one image at a time: an engine is no engine for two threads

    def answer(fault: str = "", one: object = None, status: int = 200) -> Response:
        description = model.bundle.description
        page = render(
            "serve.html",
            title=f"{'Fault: ' if fault else 'Result: ' if one else ''}Ask {description.name}",
            model=description.name,
            notice=model.bundle.notice,
            fault=fault,
            one=one,
            most=most_megabytes,
            style=style(),
        )
        return Response(page, status, mimetype="text/html")

    @app.before_request
    def refuse_other_hosts() -> Response | None:
        name = request.host.rsplit(":", 1)[0].strip("[]") if not request.host.endswith("]") else request.host[1:-1]
        return None if name in hosts else answer(f"This server does not answer to the name {name}.", status=403)

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/")
    def form() -> Response:
        return answer()

    @app.post("/")
    def diagnose() -> Response:
        upload = request.files.get("image")
        if upload is None or not upload.filename:
            return answer("No image was sent: choose one.", status=400)
        name = Path(upload.filename.replace("\\", "/")).name[:200] or "image"
        try:
            image = decode_image(upload.stream.read(), name)
            with turn:
                (finding,) = conclude([prepare_image(Path(name), image, model.preparation)], model)
        except InputError as error:
            return answer(str(error), status=415)
        return answer(one=card(finding, model.bundle))

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(_: RequestEntityTooLarge) -> Response:
        return answer(f"The file is larger than {most_megabytes} MB: send a smaller one.", status=413)

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> Response:
        return answer(f"{error.name}.", status=error.code or 500)

    return app
