"""`python -m fbmon` is `fbmon`."""

from fbmon.cli import main

if __name__ == "__main__":
    main()
