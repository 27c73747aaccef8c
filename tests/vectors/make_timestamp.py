"""Makes timestamp-v1.json: a token of OpenSSL's time-stamping command over a checkpoint.

Run it once, from the project's folder: `.venv/bin/python tests/vectors/make_timestamp.py > OUT`. What was
recorded is never made anew: a token that held once has to hold for ever.
"""

from __future__ import annotations

import base64
import json
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from attribution.standalone.verify import read_timestamp, timestamp_request, timestamp_token

HERE = Path(__file__).parent


def main() -> None:
    """Print the document."""
    helper = runpy.run_path(str(HERE.parent / "unit" / "attribution" / "authority.py"))
    checkpoint = json.loads((HERE / "receipt-v1.json").read_text())["receipt"]["checkpoint"]
    message = checkpoint.encode()
    with tempfile.TemporaryDirectory() as folder:
        authority = helper["Authority"](Path(folder) / "tsa")
        token = timestamp_token(authority.reply(timestamp_request(message, 2**62)))
        if not authority.accepts(token, message):
            sys.exit("openssl refuses its own token")
    version = subprocess.run([helper["OPENSSL"], "version"], capture_output=True, text=True, check=True)  # noqa: S603
    document = {
        "about": "A time stamp over the checkpoint of receipt-v1.json by `openssl ts`; never change it.",
        "made_with": version.stdout.strip(),
        "checkpoint": checkpoint,
        "token": base64.b64encode(token).decode(),
        "at_ms": read_timestamp(token, message).at_ms,
        "root": authority.root_pem,
    }
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
