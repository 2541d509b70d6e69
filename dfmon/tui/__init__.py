"""The terminal screen: pulls snapshots from the hub and sends back only a `Request`.

`present` turns a snapshot into rows of styled text and knows no Textual; `grid` and `app` put rows on the terminal.
This file imports nothing, so that `terminal.check_terminal` costs no Textual.
"""
