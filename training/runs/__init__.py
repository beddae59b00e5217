"""The files of a training run: logs, the state to resume from, and the model's folder."""
