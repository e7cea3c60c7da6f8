"""An OpenTelemetry collector that keeps what it gets: OTLP over HTTP and gRPC, parsed by the real protobuf classes."""

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Collector:
    """The spans so far, and waiting for more."""

    def __init__(self):
        self._changed = threading.Condition()
        self.spans = []
        self.resources = []

    def take(self, request):
        """Keep the spans of a request."""
        with self._changed:
            for group in request.resource_spans:
                self.resources.append({one.key: one.value.string_value for one in group.resource.attributes})
                for scope in group.scope_spans:
                    self.spans += scope.spans
            self._changed.notify_all()

    def wait(self, enough, timeout_s=20.0):
        """Wait until `enough(traces)`; gives the traces: spans by trace id, hex."""
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self.traces()), timeout_s), self.names()
            return self.traces()

    def traces(self):
        found = defaultdict(list)
        for span in self.spans:
            found[span.trace_id.hex()].append(span)
        return found

    def names(self):
        return [span.name for span in self.spans]


def attributes(span):
    """Give the attributes of a span as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


@contextmanager
def http_collector(status=200):
    """A collector on OTLP over HTTP, and its URL."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            assert self.headers["content-type"] == "application/x-protobuf"
            if status == 200:
                collector.take(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def grpc_collector():
    """A collector on OTLP over gRPC, and its URL."""
    collector = Collector()

    class Service(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request, context):
            collector.take(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield collector, f"grpc://127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
