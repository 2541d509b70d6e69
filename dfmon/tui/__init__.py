"""The terminal screen: pulls snapshots from the hub and sends back only a `Request`.

`render` turns a snapshot into rows of styled text without Textual; `row_grid` and `app` put the rows on the terminal.
This file imports nothing, so that `terminal.check_terminal` does not load Textual.
"""
