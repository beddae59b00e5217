"""From results to bytes: vectors, schemas of answers, and problem details."""
