"""What of the towers themselves learns."""
