"""The recipe of the shipped fingerspelling model: single hands, letters and alphabets."""
