"""Engines: where the log and the conversations are stored."""
