"""`python -m surveil`."""

from surveil.cli import main

if __name__ == "__main__":
    main()
