"""The gamma profile over spot, its roots and their bands."""
