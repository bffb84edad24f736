"""From what a forward pass gives to logits, losses and predictions."""
