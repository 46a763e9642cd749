"""Health check of a container: exit status 0 if its program is healthy, else 1.

python deploy/health.py [URL...]
"""

from __future__ import annotations

import sys
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

# A container runs one of these: the service, SageMaker's endpoint, or the app.
URLS = (
    "http://127.0.0.1:8000/health",
    "http://127.0.0.1:8080/health",
    "http://127.0.0.1:8501/_stcore/health",
)
SECONDS = 4


def is_healthy(url: str) -> bool | None:
    """None if nothing listens there."""
    try:
        # Without the environment's proxy: the URL is on this machine.
        with build_opener(ProxyHandler({})).open(url, timeout=SECONDS) as response:
            return bool(response.status == 200)
    except HTTPError:
        return False
    except URLError as error:
        return None if isinstance(error.reason, ConnectionRefusedError) else False
    except OSError:
        return False


def main(urls: list[str]) -> int:
    results = (is_healthy(url) for url in urls or URLS)
    return 0 if next((result for result in results if result is not None), False) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
