"""Alert rules as code: `fields` are what a rule may name, `expression` checks and computes one, `rules` decides when.

Pure: times are those of the snapshots, so a replay fires what the live session did. Delivery is that of the runtime.
"""
