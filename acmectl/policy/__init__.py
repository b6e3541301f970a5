"""What should happen: pure functions of values and `now`."""
