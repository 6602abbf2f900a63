"""The way in: `surveil` and `python -m surveil`."""

import signal


def main() -> None:
    """Run the command line. Until it is there, Ctrl-C just ends the process, without an import's traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from surveil.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
