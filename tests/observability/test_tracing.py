"""Traces as a real collector gets them: complete, one per request, and nothing lost under load."""

import asyncio
import json

import pytest

from tests.end_to_end.harness import serving
from tests.end_to_end.test_early_reject import fill, full
from tests.observability.collector import attributes, grpc_collector, http_collector
from tests.photos import photo

pytestmark = pytest.mark.timeout(200)

STAGES = {"POST /v1/images", "upload", "admit", "queue", "decode", "infer"}


def parent(number, flags="01"):
    return f"00-{number:032x}-{number:016x}-{flags}"


async def post_many(server, count, **headers):
    """Post so many images over eight connections; gives the replies."""
    clients = [await server.connect() for _ in range(8)]

    async def work(client, numbers):
        return [await client.post(photo(number), **headers, traceparent=parent(number + 1)) for number in numbers]

    found = await asyncio.gather(*(work(client, range(at, count, 8)) for at, client in enumerate(clients)))
    return [reply for replies in found for reply in replies]


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A server that stores images, traced in full, and its collector, after 200 images were sent with a traceparent."""
    store = tmp_path_factory.mktemp("store")
    with http_collector() as (collector, url):
        flags = (
            "--otlp-endpoint",
            url,
            "--trace-share",
            "1",
            "--store",
            str(store),
            "--slo",
            "60s",
            "--records",
            "open",
        )
        with serving(*flags) as server:
            replies = server.run(post_many(server, 200))
            collector.wait(lambda traces: sum(STAGES | {"store"} == names(spans) for spans in traces.values()) >= 200)
            yield server, collector, replies


def names(spans):
    return {span.name for span in spans}


def of_requests(traces):
    """Give the traces that a request began, without those of batches."""
    return {trace: spans for trace, spans in traces.items() if "batch" not in names(spans)}


def test_each_request_is_one_whole_trace_under_load(traced):
    """All its stages from upload to store, once each, below one root that continues its caller's span."""
    _, collector, _ = traced
    traces = of_requests(collector.traces())

    for number in range(200):
        spans = traces[f"{number + 1:032x}"]
        root = next(span for span in spans if span.name == "POST /v1/images")
        assert STAGES | {"store"} == names(spans)
        assert len(spans) == 7
        assert (number + 1).to_bytes(8, "big") == root.parent_span_id
        assert {root.span_id} == {span.parent_span_id for span in spans if span is not root}
        assert all(root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)


def test_each_batch_is_one_span_linked_to_its_members(traced):
    """Its own trace; each member's `infer` links to it, and it to them."""
    _, collector, _ = traced
    collector.wait(lambda traces: sum(len(s.links) for t in traces.values() for s in t if s.name == "batch") >= 200)
    traces = collector.traces()
    batches = {s.span_id: s for spans in traces.values() for s in spans if s.name == "batch"}
    members = [s for spans in traces.values() for s in spans if s.name == "infer"]

    assert len(batches) == len([s for spans in traces.values() for s in spans if s.name == "batch"])
    for member in members:
        (link,) = member.links
        assert member.span_id in {one.span_id for one in batches[link.span_id].links}
    for batch in batches.values():
        assert len(batch.links) == attributes(batch)["tureen.batch.size"]


def test_spans_say_what_the_conventions_ask(traced):
    """Of HTTP by their names, of ours below `tureen`; the resource is this process."""
    _, collector, replies = traced
    root = next(s for s in collector.spans if s.name == "POST /v1/images" and s.trace_id == (1).to_bytes(16, "big"))
    said = attributes(root)

    assert "POST" == said["http.request.method"]
    assert 200 == said["http.response.status_code"]
    assert "colourfulness" == said["tureen.model.name"]
    assert said["tureen.image.id"] in {reply.json()["id"] for reply in replies}
    assert {"tureen"} == {one["service.name"] for one in collector.resources}


def test_the_response_names_its_trace(traced):
    """So that a client can look it up."""
    _, _, replies = traced

    version, trace_id, _, flags = replies[0].headers["traceresponse"].split("-")
    assert ("00", f"{1:032x}", "01") == (version, trace_id, flags)


def test_a_problem_document_names_its_trace(traced):
    """A client that complains tells the operator where to look."""
    server, _, _ = traced

    async def run():
        return await (await server.connect()).post(b"no image", traceparent=parent(77))

    assert f"{77:032x}" == server.run(run()).json()["trace_id"]


def test_an_image_that_is_answered_later_has_one_trace_with_all_stages(traced):
    """Its client has the 202 before any of them."""
    server, collector, _ = traced

    async def run():
        client = await server.connect()
        return await client.post(photo(500), traceparent=parent(900), prefer="respond-async")

    accepted = server.run(run())
    traces = collector.wait(lambda traces: {"store", "upload"} <= names(traces[f"{900:032x}"]))

    assert 202 == accepted.status
    spans = traces[f"{900:032x}"]
    assert 7 == len(spans)
    assert STAGES | {"store"} == names(spans)


def test_an_exemplar_leads_from_a_histogram_to_a_trace(traced):
    """In OpenMetrics only: Prometheus' text format has none."""
    server, collector, _ = traced

    async def run(accept):
        return (await (await server.connect()).request("GET", "/metrics", accept=accept)).body.decode()

    openmetrics, text = (server.run(run(accept)) for accept in ("application/openmetrics-text", "text/plain"))
    lines = [
        line for line in openmetrics.splitlines() if line.startswith("tureen_request_seconds_bucket") and "#" in line
    ]
    assert lines
    assert all(line.partition('trace_id="')[2][:32] in collector.traces() for line in lines)
    assert openmetrics.endswith("# EOF\n")
    assert "trace_id" not in text


def test_over_grpc_a_share_of_none_leaves_what_is_slow_and_what_its_caller_traces():
    """The slow one took over half the promise; the other's caller had set the flag. The logs name all traces."""
    flags = ("--trace-share", "0", "--access-log")
    with grpc_collector() as (collector, url), serving("--otlp-endpoint", url, *flags) as server:

        async def run():
            client = await server.connect()
            asked = await client.post(photo(2), traceparent=parent(5), x_request_timeout_ms="60000")
            size = str(len(photo(3)))
            patient = {"x_request_timeout_ms": "60000"}
            await client.send("POST", "/v1/images", photo(3)[:50], content_length=size, **patient)
            await asyncio.sleep(0.6)  # the time of a slow client
            client.writer.write(photo(3)[50:])
            slow = await client.read()
            await client.post(photo(4), traceparent="00-junk")
            return [reply.headers["traceresponse"].split("-")[1] for reply in (asked, slow)]

        asked, slow = server.run(run())
        traces = collector.wait(lambda traces: asked in traces and slow in traces)
    lines = [json.loads(line) for line in server.final_log.splitlines() if '"resource":"images"' in line]

    assert STAGES == names(traces[slow]) == names(traces[asked])
    assert [asked, slow] == [line["trace_id"] for line in lines[:2]]
    assert len(lines[2]["trace_id"]) == 32


def test_what_is_refused_before_it_is_parsed_is_traced_as_well():
    """While a queue is full, and where a request is no HTTP: its document, its headers and its span name one trace."""
    with http_collector() as (collector, url), full("uvicorn", "--otlp-endpoint", url, "--trace-share", "0") as server:

        async def run():
            client = await fill(server)
            await client.read()
            refused = [await client.post(photo(1), traceparent=parent(number)) for number in (1, 2)]
            unsampled = await client.post(photo(1), traceparent=parent(3, "00"))
            client.writer.write(b"POST /v1/images HTTP/1.1\r\ntraceparent: %b\r\n\r\n" % parent(4).encode())
            return [*refused, unsampled, await client.read()]

        *refused, unsampled, malformed = server.run(run())
        traces = collector.wait(lambda traces: len(traces) >= 3)

    assert ["queue_full"] * 2 == [reply.json()["code"] for reply in refused]
    for number, reply in ((1, refused[0]), (2, refused[1]), (4, malformed)):
        root, upload = sorted(traces[f"{number:032x}"], key=lambda span: span.name)
        assert ("POST /v1/images", "upload") == (root.name, upload.name)
        assert f"{number:032x}" == reply.json()["trace_id"] == reply.headers["traceresponse"].split("-")[1]
        assert attributes(root)["tureen.outcome"] == reply.json()["code"]
    assert f"{3:032x}" == unsampled.json()["trace_id"]
    assert f"{3:032x}" not in traces
