"""What keeps the gRPC front from serving."""


class RpcFailed(Exception):
    """The gRPC port cannot be served; the message says why."""
