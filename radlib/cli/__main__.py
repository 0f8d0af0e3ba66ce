"""``python -m radlib.cli``."""

from radlib.cli import main

main()
