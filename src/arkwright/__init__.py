"""Arkwright: from raw data to a governed, monitored model in production."""

__version__ = "0.1.0"
