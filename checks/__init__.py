"""What the repository checks of itself: lengths, docstrings, the picture of its rooms. No part of the service."""
