"""`python -m bot` is the `verso` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # numpy's products are small here, and the threads that its library would use for them wait in a loop:
    # they took half of the processor from the picture checks beside them. It reads this when it is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bot.cli import run  # noqa: PLC0415 - loads numpy

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
