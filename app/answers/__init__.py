"""From results to bytes: vectors, the schemas of answers, and problem details."""
