"""The HTTP edge: one file per resource, each thin."""
