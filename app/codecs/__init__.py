"""Codecs: pure steps from events to the frames of one dialect."""
