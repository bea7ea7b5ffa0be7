"""``python -m aiocake``: the command, where its script is not on the path."""

from _aiocake_command import main

if __name__ == "__main__":
    main()
