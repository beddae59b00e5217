"""The version of the service: the only place that states it. CHANGELOG.md says what each version changed."""

VERSION = "1.0.0"
PRODUCT = f"signclip {VERSION}"
"""What `--version` prints."""
