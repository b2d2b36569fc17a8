"""``python -m blocktool``."""

from blocktool.cli import main

if __name__ == "__main__":
    main()
