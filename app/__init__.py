"""Tickertape: the backend between a language model and the people who watch it type."""

from app.main import create_app

__all__ = ["create_app"]
