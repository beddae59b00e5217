"""What the engine and the estimation of videos both stand on: processes, their errors, cores and logs."""
