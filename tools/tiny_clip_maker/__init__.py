"""How the built-in CLIP is made: glyphs, words, captions and pictures."""
