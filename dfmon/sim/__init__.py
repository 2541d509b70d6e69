"""The simulated exchange: a seeded market behind the venues' own wire protocols."""
