"""How every process of the service logs: one JSON object for each line, never a user's text, pose or video."""

import logging.config
from typing import Any

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def build_logging_config(level: str) -> dict[str, Any]:
    """Build a configuration for logging.config: one JSON object for each line, on standard output.

    Args:
        level: one of LOG_LEVELS.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                "json_ensure_ascii": False,
            }
        },
        "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
        "root": {"level": level, "handlers": ["stdout"]},
        # The development server logs whole addresses, which may hold a user's text.
        "loggers": {"werkzeug": {"level": "WARNING"}},
    }


def configure_logging(level: str) -> None:
    """Log as build_logging_config says, in a process whose server does not set up logging.

    Args:
        level: one of LOG_LEVELS.
    """
    logging.config.dictConfig(build_logging_config(level))
