"""Who may call the service, and how many requests run at once: API keys and admission."""
