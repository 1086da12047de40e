"""A real HTTP server that speaks the OpenAI protocol: chat, responses, embeddings, streams."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

Json = dict[str, Any]


class Models:
    """Answers everything; `usage` None: it keeps what was used to itself."""

    def __init__(self) -> None:
        self.usage: Json | None = {
            "prompt_tokens": 1000,
            "completion_tokens": 100,
            "total_tokens": 1100,
            "prompt_tokens_details": {"cached_tokens": 400},
        }
        self.ids = count(1)

        def handler(*arguments: Any) -> _Handler:
            return _Handler(self, *arguments)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def chat(self, model: str) -> Json:
        message = {"role": "assistant", "content": "A bridge."}
        return {
            "id": f"chatcmpl-{next(self.ids)}",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": self.usage,
        }

    def chunks(self, model: str, *, with_usage: bool) -> Iterator[Json]:
        head = {
            "id": f"chatcmpl-{next(self.ids)}",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": model,
            "usage": None,
        }
        for word in ("A ", "bridge."):
            delta = {"index": 0, "finish_reason": None, "delta": {"content": word}}
            yield {**head, "choices": [delta]}
        if with_usage:
            yield {**head, "choices": [], "usage": self.usage}

    def response(self, model: str) -> Json:
        return {
            "id": f"resp_{next(self.ids)}",
            "object": "response",
            "created_at": 0,
            "status": "completed",
            "model": model,
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 500,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 50,
                "output_tokens_details": {"reasoning_tokens": 20},
                "total_tokens": 550,
            },
        }

    def events(self, model: str) -> Iterator[Json]:
        whole = self.response(model)
        begun = {**whole, "status": "in_progress", "usage": None}
        yield {"type": "response.created", "sequence_number": 0, "response": begun}
        yield {"type": "response.completed", "sequence_number": 1, "response": whole}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, models: Models, *arguments: Any) -> None:
        self.models = models
        super().__init__(*arguments)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model, streamed = asked["model"], asked.get("stream", False)
        options = asked.get("stream_options") or {}
        if self.path.endswith("/embeddings"):
            usage = {"prompt_tokens": 8, "total_tokens": 8}
            vector = {"object": "embedding", "index": 0, "embedding": [0.0]}
            self._json({"object": "list", "data": [vector], "model": model, "usage": usage})
        elif self.path.endswith("/responses"):
            if streamed:
                self._stream(self.models.events(model))
            else:
                self._json(self.models.response(model))
        elif streamed:
            with_usage = bool(options.get("include_usage"))
            self._stream(self.models.chunks(model, with_usage=with_usage), done=b"data: [DONE]\n\n")
        else:
            self._json(self.models.chat(model))

    def _json(self, body: Json) -> None:
        self._send("application/json", json.dumps(body).encode())

    def _stream(self, events: Iterator[Json], *, done: bytes = b"") -> None:
        lines = [
            (f"event: {event['type']}\n" if "type" in event else "")
            + f"data: {json.dumps(event)}\n\n"
            for event in events
        ]
        self._send("text/event-stream", "".join(lines).encode() + done)

    def _send(self, kind: str, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read assertions, not access logs."""
