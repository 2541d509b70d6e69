"""Pure presentation: a frame (snapshot, history, what the user chose) becomes rows of (text, style name) runs.

One module per panel. No Textual, no clock, no I/O: what is drawn can be tested as text.
"""
