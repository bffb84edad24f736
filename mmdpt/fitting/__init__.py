"""One command from photos to a classifier: see :func:`mmdpt.fitting.api.fit`."""
