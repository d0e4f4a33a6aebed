"""`python -m sslkit` is `sslkit`."""

from sslkit.cli import main

main()
