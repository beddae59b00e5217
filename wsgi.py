"""The application for WSGI servers: `gunicorn wsgi:app`."""

from app import app

__all__ = ["app"]
