"""The limit of the server: answers of a given size that cost nothing to make; `/7` is answered with seven bytes."""

BODIES = {}


def app(environ, start_response):
    """Answer with as many bytes as the path says."""
    path = environ["PATH_INFO"]
    body = BODIES.get(path)
    if body is None:
        body = BODIES[path] = b"x" * int(path[1:] or 0)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
