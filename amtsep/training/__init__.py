"""Training: losses, the data loader, the loop."""
