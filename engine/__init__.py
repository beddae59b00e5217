"""Many requests into few forward passes: the queue, the thread that owns the models, and the way to reach it."""
