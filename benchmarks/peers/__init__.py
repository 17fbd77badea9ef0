"""The peers: the same service as others write it. Each is as its framework's own tutorials teach it."""
