"""``python -m aiocake``: the command, where its script is not on the path."""

from aiocake.cli import main

if __name__ == "__main__":
    main()
