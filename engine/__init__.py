"""Makes few forward passes of many requests: the queue, the thread that owns the models, and the way to reach it."""
