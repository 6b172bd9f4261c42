"""`python -m memsieve` is the command line."""

from memsieve.cli import main

if __name__ == "__main__":
    main()
