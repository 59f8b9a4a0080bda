"""Stateless REST service that tells real from AI-generated faces."""

__version__ = "0.1.0"
