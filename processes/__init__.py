"""What every room may use and what uses no room: processes, their settings, errors and messages, cores, files, logs."""
