"""How many servers the schedule keeps up with: on loopback, bounded in count and in time."""
