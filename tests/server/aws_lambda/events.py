"""Events as AWS sends them, cut to what a function can rely on."""

import base64
import json
from urllib.parse import quote_plus

CLIENT = "203.0.113.7"


def _base(body):
    return {"isBase64Encoded": True, "body": base64.b64encode(body).decode()} if body else {"body": None}


def url(method, path, body=b"", headers=(), query="", stage="$default"):
    """Of a function URL or of API Gateway's HTTP API, which share a format; a named stage stands in the path."""
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": CLIENT, "userAgent": "curl"}
    return _base(body) | {
        "version": "2.0", "routeKey": "$default", "rawPath": path if stage == "$default" else f"/{stage}{path}",
        "rawQueryString": query, "headers": dict(headers),
        "requestContext": {"http": http, "stage": stage, "requestId": "an-id"},
    }  # fmt: skip


def stage(method, path, body=b"", headers=(), query=""):
    """Of API Gateway's HTTP API with a named stage."""
    return url(method, path, body, headers, query, stage="prod")


def rest(method, path, body=b"", headers=(), query=""):
    """Of API Gateway's REST API: format 1.0, the query decoded."""
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    return _base(body) | {
        "resource": "/{proxy+}", "path": path, "httpMethod": method,
        "headers": dict(headers), "multiValueHeaders": {name: [value] for name, value in headers},
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": {name: [v for n, v in pairs if n == name] for name, _ in pairs} or None,
        "requestContext": {"stage": "prod", "path": f"/prod{path}", "identity": {"sourceIp": CLIENT}},
    }  # fmt: skip


def alb(method, path, body=b"", headers=(), query=""):
    """Of a load balancer, its target group without multi-value headers."""
    headers = {**dict(headers), "x-forwarded-for": f"10.9.8.7, {CLIENT}"}
    return _base(body) | {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:0:targetgroup/t/0"}},
        "httpMethod": method, "path": path, "headers": headers,
        "queryStringParameters": dict(pair.partition("=")[::2] for pair in query.split("&") if pair),
    }  # fmt: skip


def alb_multi(method, path, body=b"", headers=(), query=""):
    """Of a load balancer, its target group with multi-value headers."""
    single = alb(method, path, body, headers, query)
    many = {"multiValueHeaders": {name: [value] for name, value in single.pop("headers").items()}}
    given = single.pop("queryStringParameters")
    return single | many | {"multiValueQueryStringParameters": {name: [value] for name, value in given.items()}}


def put(bucket, key):
    """Of S3, for an object that was put."""
    s3 = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "size": 1}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}


def batch(*bodies, receives=1, group=""):
    """Of SQS; the ids are "0", "1" and so on."""
    told = {"ApproximateReceiveCount": str(receives)} | ({"MessageGroupId": group} if group else {})
    return {
        "Records": [
            {
                "messageId": str(number), "receiptHandle": "h", "eventSource": "aws:sqs", "attributes": told,
                "body": body if isinstance(body, str) else json.dumps(body),
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:photos",
            }
            for number, body in enumerate(bodies)
        ]
    }  # fmt: skip
