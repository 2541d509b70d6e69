"""The command line: one file for each command, its parser and its dispatch."""
