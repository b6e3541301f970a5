"""YAML files to a `Config`, or to every problem of every file with its line."""
