"""Speed and memory, measured: each benchmark prints a table and writes JSON with commit and machine."""
