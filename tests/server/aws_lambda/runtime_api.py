"""The Runtime API of Lambda, as far as `awslambdaric` asks it; and a function that runs against it."""

import base64
import json
import os
import queue
import subprocess
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

_WAIT_S = 120


class Outcome(NamedTuple):
    """What the function did with an event. `kind`: response or error; `init` where it never came so far."""

    kind: str
    value: object


class RuntimeApi:
    """Events in, outcomes out; one at a time."""

    def __init__(self):
        self._events = queue.Queue()
        self._outcomes = queue.Queue()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                event, deadline_ms = api._events.get()
                self._reply(200, json.dumps(event).encode(), {
                    "Lambda-Runtime-Aws-Request-Id": "an-id",
                    "Lambda-Runtime-Deadline-Ms": str(deadline_ms()),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:tureen",
                })  # fmt: skip

            def do_POST(self):
                kind = "init" if "/init/" in self.path else self.path.rpartition("/")[2]
                body = self._body()
                self._reply(202, b"{}", {})
                api._outcomes.put(Outcome(kind, json.loads(body)))

            def _body(self):
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _reply(self, status, body, headers):
                self.send_response(status)
                common = {"Content-Type": "application/json", "Content-Length": str(len(body))}
                for name, value in (common | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # the function ends while it waits for the next event
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def invoke(self, event, left_s=30.0):
        """Have the function handle an event in `left_s` seconds from when it takes it."""
        self._events.put((event, lambda: time.time_ns() // 1_000_000 + round(left_s * 1e3)))
        return self.outcome()

    def outcome(self):
        """The next one. Raises `queue.Empty`."""
        return self._outcomes.get(timeout=_WAIT_S)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Function:
    """A process of the real runtime client with our handler."""

    def __init__(self, api, process):
        self.invoke = api.invoke
        self.outcome = api.outcome
        self.process = process

    def http(self, event, left_s=30.0):
        """The response to an HTTP event, with its body as bytes."""
        kind, response = self.invoke(event, left_s)
        assert "response" == kind, response
        body = response["body"]
        response["body"] = base64.b64decode(body) if response["isBase64Encoded"] else body.encode()
        return response


@contextmanager
def function(environment, folder):
    """A function with these variables; its log goes to `folder`."""
    api = RuntimeApi()
    lambdas = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "tureen",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with (folder / "function.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "server.aws_lambda.handler.handler"],
            env=os.environ | lambdas | environment, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield Function(api, process)
        finally:
            process.kill()
            process.wait()
            api.close()
