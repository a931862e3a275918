"""An archive to be downloaded, by a server of this machine that sends it as slowly as a test wants."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase

ARCHIVE = "cifar-10-python.tar.gz"


@contextmanager
def serving(send: Callable[[BufferedIOBase], None]) -> Iterator[str]:
    """Serve CIFAR-10's archive within it, and yield its address; `send` writes the content once a download."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            if "Method" not in self.headers:  # torchvision asks first where the file really is
                send(self.wfile)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{ARCHIVE}"
        server.shutdown()
