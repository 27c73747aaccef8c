"""Which training pictures a finished picture is nearest to, and whether it copies one."""
