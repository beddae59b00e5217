"""From bytes to items: a request's body is read, checked and turned into what a model takes."""
