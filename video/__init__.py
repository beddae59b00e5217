"""Videos into poses for all web workers: one queue, and a few processes with one tracker each."""
