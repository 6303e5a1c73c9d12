"""Responders: what writes replies. Knows nothing of the server."""
