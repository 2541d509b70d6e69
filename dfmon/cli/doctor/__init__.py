"""`dfmon doctor`: what is wrong with feeds, clock, limits, disk and terminal, in words, within a quarter of a minute.

`feeds` asks the venues, `machine` looks around here, `findings` says it, `run` puts them together.
"""
