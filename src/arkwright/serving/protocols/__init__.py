"""The ways in: one small adapter for each protocol, all of them in front of the same core."""
