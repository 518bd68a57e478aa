#!/usr/bin/env python3
"""Serve a page to drop an image on: class, calibrated probability, patches, evidence map. Only this machine reaches it.

Nothing is kept of an image. Ctrl-C ends it.
"""

import argparse
import signal
from pathlib import Path
from types import FrameType

from werkzeug.serving import WSGIRequestHandler, make_server

from pyhisto.bundle import Bundle, default_bundle, open_bundle
from pyhisto.cli import Parser, natural, positive, run
from pyhisto.errors import InputError
from pyhisto.inference.engines import AUTO, ENGINES
from pyhisto.inference.evidence import find_head
from pyhisto.inference.model import Model
from pyhisto.inference.serving import LOOPBACK, make_app


class Quiet(WSGIRequestHandler):
    """No line for every request: who asked about which image is nobody's business."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def main() -> None:
    """Parse, load, serve."""
    args = parse()
    with open_bundle(args.bundle or default_bundle()) as bundle:
        model = Model(bundle, args.engine, evidence=has_maps(bundle))
        hosts = (*LOOPBACK, args.host) if args.host not in LOOPBACK else LOOPBACK
        app = make_app(model, args.most, hosts)
        try:
            server = make_server(args.host, args.port, app, threaded=True, request_handler=Quiet)
        except (OSError, SystemExit):
            raise InputError(f"--host {args.host} --port {args.port}: cannot listen there; choose another") from None
        signal.signal(signal.SIGTERM, stop)
        print(bundle.notice)
        if args.host not in LOOPBACK:
            print(f"Whoever reaches {args.host} can use it: there is no password")
        shown = f"[{args.host}]" if ":" in args.host else args.host
        print(f"http://{shown}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("ended")


def has_maps(bundle: Bundle) -> bool:
    """Whether every network of a bundle has an exact evidence map."""
    try:
        return all(find_head(network.deploy) for network in bundle.networks)
    except InputError:
        return False


def stop(_: int, __: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bundle", type=Path, metavar="B", help="the model, folder or zip (default: the one that ships, models/pcam)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=natural, default=8765, help="0: any that is free (default %(default)s)")
    parser.add_argument(
        "--most", type=positive, default=32, metavar="MB", help="largest file that is taken (default %(default)s)"
    )
    parser.add_argument(
        "--engine", choices=[AUTO, *ENGINES], default=AUTO, help="auto (default): the fastest installed"
    )
    return parser.parse_args()


if __name__ == "__main__":
    run(main)
