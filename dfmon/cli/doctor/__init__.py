"""`dfmon doctor`: checks of feeds, clock, limits, disk and terminal, in a quarter of a minute.

`feeds` checks the venues, `machine` this machine, `findings` formats the results, `run` joins them.
"""
