"""What enters the towers' blocks: text and visual prompts, one file per method."""
