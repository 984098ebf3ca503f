"""A large file over http or https: taken up again where the connection broke, refused if it is a web page.

Nothing is sent but the request itself. What comes is not trusted: no other kind of address is followed, and
no more is kept than the largest archive of any of the sets.
"""

import http.client
import sys
import time
import urllib.error
import urllib.request

from tqdm import tqdm

from running.command import Problem
from sets.originals import BLOCK

TIMEOUT = 30  # seconds without an answer
TRIES, PAUSE = 5, 1.0  # how often a cut connection is taken up again, after how many seconds
LARGEST_ARCHIVE = 2_000_000_000  # bytes; the largest, FIVES, has 1.76 GB
REFUSALS = {401: "a login is asked for", 403: "programs are refused", 404: "the file is not there any more",
            410: "the file is not there any more", 429: "too many requests",
            503: "busy, or programs are refused"}


def fetch(address, archive):
    """Writes what is at `address` to the path `archive`.

    Raises Problem, and then `archive`.part holds what has come, from where the next call goes on.
    """
    part = archive.with_name(archive.name + ".part")
    for attempt in range(TRIES):
        time.sleep(PAUSE if attempt else 0)
        if _append(address, part):
            part.replace(archive)
            return
    raise Problem(f"{address}: the connection breaks again and again "
                  "(what came is kept: the same command goes on)")


def _append(address, part):
    """Appends to the file `part` what it lacks, or starts it again. Returns whether it is whole now."""
    have = part.stat().st_size if part.exists() else 0
    answer = _ask(address, have)
    if answer is None:
        part.unlink(missing_ok=True)
        return False
    with answer:
        goes_on = answer.status == 206
        have = have if goes_on else 0
        whole = None if answer.length is None else have + answer.length
        block = _read(answer)
        begins_as_page = not goes_on and (block or b"").lstrip()[:1] == b"<"
        if answer.headers.get_content_type() == "text/html" or begins_as_page:
            raise Problem(f"{address}: answers with a web page, not the archive "
                          "(a check for robots, or a notice)")
        with open(part, "ab" if goes_on else "wb") as out, _bar(address, have, whole) as bar:
            while block and have <= LARGEST_ARCHIVE:
                out.write(block)
                bar.update(len(block))
                have += len(block)
                block = _read(answer)
    if have > LARGEST_ARCHIVE:
        part.unlink()
        raise Problem(f"{address}: is larger than {LARGEST_ARCHIVE} bytes, so it is not the set's archive")
    return block is not None and whole in (None, have)


def _ask(address, have):
    """Returns the server's answer, from byte `have` on or from the first; None if there are not so many."""
    headers = {"User-Agent": "retinal-vessels/1.0", **({"Range": f"bytes={have}-"} if have else {})}
    try:
        answer = _opener().open(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            return None
        raise Problem(f"{address}: answers {error.code} ({REFUSALS.get(error.code, 'an error')})") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise Problem(f"{address}: cannot be reached ({reason})") from error
    if answer.status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        answer.close()
        return None
    return answer


def _opener():
    """Returns urllib's opener without file:, ftp: and data:, so that no redirection leads there."""
    opener = urllib.request.OpenerDirector()
    for handler in ("Proxy", "HTTP", "HTTPS", "HTTPDefaultError", "HTTPRedirect", "Unknown"):
        opener.add_handler(getattr(urllib.request, f"{handler}Handler")())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    return opener


def _read(answer):
    """Returns up to BLOCK bytes, b"" at the end, None if the connection was cut."""
    try:
        return answer.read(BLOCK)
    except (OSError, http.client.HTTPException):
        return None


def _bar(address, have, whole):
    return tqdm(desc=address.rsplit("/", 1)[-1], initial=have, total=whole, unit="B", unit_scale=True,
                disable=not sys.stderr.isatty())
