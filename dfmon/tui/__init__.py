"""The terminal screen: reads snapshots from the hub, draws them, and asks for nothing but by a `Request`.

`present` turns a snapshot into rows of styled text and knows no Textual; `grid` and `app` put rows on the terminal.
This file imports nothing, so that `terminal.check_terminal` costs no Textual.
"""
