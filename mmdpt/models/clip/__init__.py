"""Frozen CLIP through open_clip: weights, towers, tokens. Knows no method."""
