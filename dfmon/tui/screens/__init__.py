"""The one Textual screen."""
