"""Something for a real Prometheus to scrape."""

import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from testbed.ports import LOOPBACK
from testbed.prometheus import Prometheus

_markers = itertools.count(1)


class Exporter:
    """Exposes whatever a test writes into `text`."""

    def __init__(self) -> None:
        self.text = ""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = exporter.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """No access log."""

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.address = f"{LOOPBACK}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def scrape(prometheus: Prometheus, exporter: Exporter, text: str) -> None:
    """Have the text scraped once it stands there."""
    marker = next(_markers)
    exporter.text = text + f"marker {marker}\n"
    prometheus.scrape("api", [exporter.address])
    prometheus.wait_for(f"marker == {marker}")
