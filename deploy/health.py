"""Whether what a container runs is alive: exit status 0, or 1 if it is not or nothing listens.

python deploy/health.py [URL...]
"""

from __future__ import annotations

import sys
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

# Of the programs of deploy/entry only one runs: the service, SageMaker's endpoint, or the app.
PLACES = (
    "http://127.0.0.1:8000/health",
    "http://127.0.0.1:8080/health",
    "http://127.0.0.1:8501/_stcore/health",
)
SECONDS = 4


def alive(url: str) -> bool | None:
    """None where nothing listens."""
    try:
        # Without a proxy, which the environment may name: this asks the machine itself.
        with build_opener(ProxyHandler({})).open(url, timeout=SECONDS) as answer:
            return bool(answer.status == 200)
    except HTTPError:
        return False
    except URLError as error:
        return None if isinstance(error.reason, ConnectionRefusedError) else False
    except OSError:
        return False


def main(urls: list[str]) -> int:
    found = (alive(url) for url in urls or PLACES)
    return 0 if next((answer for answer in found if answer is not None), False) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
