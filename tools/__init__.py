"""The project's own maintenance scripts: the lock of the dependencies and the notices of their licenses."""
