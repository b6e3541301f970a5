"""Where things lie: the only writer of the state directory."""
