"""`python -m acmectl`."""

from acmectl.cli import main

main()
