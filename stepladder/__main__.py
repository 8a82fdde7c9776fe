"""`python -m stepladder`, where the command `stepladder` is not on the path."""

from stepladder.cli import main

main()
