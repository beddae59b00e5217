"""The files of a training run: its folder, logs, state and the model it writes."""
