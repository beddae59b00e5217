"""The version of this package: the only place that states it."""

VERSION = "1.0.0"
