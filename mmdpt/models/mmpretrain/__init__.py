"""The same visual prompts in MMPretrain's own classifiers."""
