"""A front end for AWS Lambda: HTTP events by the ASGI application, events of S3 and SQS by the engine. One process."""
