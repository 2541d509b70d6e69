"""The version, readable without an import of the public names."""

__version__ = "0.1.0"
