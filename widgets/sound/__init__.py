"""What the browser plays with."""
