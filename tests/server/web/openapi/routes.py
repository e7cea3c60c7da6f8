"""What routes an application has."""


def routes_of(resources):
    """Give the methods and paths of its resources, HEAD aside."""
    routes = [*resources._routes, *resources._work]
    return {(method, route.path) for route in routes for method in route.methods if method != "HEAD"}
