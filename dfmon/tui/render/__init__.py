"""Pure rendering: turns a frame (snapshot, history, the user's choices) into rows of (text, style name) runs.

One module per panel. No Textual, no clock, no I/O, so every panel can be tested as text.
"""
