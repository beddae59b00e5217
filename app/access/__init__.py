"""Who may ask, and how much at once: API keys and admission."""
