"""Data sets on Kaggle, through its official client and with the person's own token.

The client finds the token where it always does and keeps it to itself. Nothing that it prints is shown and none of its
messages is passed on, since addresses in them are signed: whoever has one may download with it.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from pipelines.core.console import StageError, err
from pipelines.datasets.sources import Kaggle

if TYPE_CHECKING:
    from kaggle.api.kaggle_api_extended import KaggleApi

TOKEN = (
    "Make a token at https://www.kaggle.com/settings (API) and save it as ~/.kaggle/kaggle.json, "
    "or set KAGGLE_USERNAME and KAGGLE_KEY, or KAGGLE_API_TOKEN"
)
REASONS = {
    401: f"it does not accept the token. {TOKEN}",
    403: "it forbids that. Log in there, accept the data set's terms if it asks, and see that the token is still valid",
    404: "it knows no such data set",
    429: "it has had too many requests. Wait some minutes",
}


def from_kaggle(source: Kaggle, target: Path, checksum: str | None) -> None:
    """Download a data set as one zip file. What was received before an interruption is kept and continued.

    Raises:
        StageError: if there is no token, or Kaggle cannot be reached or refuses; never with anything secret in it.
    """
    folder = target.with_name(f".{target.name}.kaggle")
    client = _client()
    try:
        with _discreetly():
            client.dataset_download_files(source.dataset, path=str(folder), quiet=not err.is_terminal)
    except requests.HTTPError as error:
        status = error.response.status_code
        raise StageError(f"{source.address}: Kaggle answers {status}: {REASONS.get(status, 'no reason')}.") from None
    except (requests.RequestException, OSError, ValueError) as error:
        raise StageError(f"{source.address}: broken off ({type(error).__name__}). Try again; it continues.") from None
    os.replace(folder / f"{source.dataset.split('/')[1]}.zip", target)
    shutil.rmtree(folder)


def _client() -> KaggleApi:
    """Kaggle's client, logged in. Importing it logs in already, and some versions then end the program."""
    try:
        with _discreetly():
            from kaggle.api.kaggle_api_extended import KaggleApi

            client = KaggleApi()
            client.authenticate()
    except (SystemExit, OSError, ValueError, requests.RequestException):
        raise StageError(f"Kaggle's client finds no token that is accepted. {TOKEN}.") from None
    return client


@contextmanager
def _discreetly() -> Iterator[None]:
    """Show nothing that the client prints, and do not let it be verbose: it would print tokens and signed addresses."""
    loud = {name: os.environ.pop(name) for name in ("VERBOSE", "VERBOSE_OUTPUT") if name in os.environ}
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        os.environ.update(loud)
