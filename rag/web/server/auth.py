"""Who may come in: ``RAG_AUTH`` read once, passwords compared in constant time, guesses counted and slowed."""

import hashlib
import hmac
import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from rag.errors import SettingsError

_FREE_GUESSES = 10  # wrong passwords for a user from one address before it has to wait; a person needs fewer
_GUESS_EVERY_S = 10.0  # how often it may try again from then on: 8,640 times a day
_FREE_ANYWHERE = 100  # and from all addresses together
_ANYWHERE_EVERY_S = 1.0
_COUNTED = 10_000  # pairs of user and address that are remembered

_log = logging.getLogger(__name__)


class TooManyGuesses(Exception):
    """So many wrong passwords came that none is looked at for ``wait_s`` seconds, right or wrong."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many wrong passwords. Try again in {wait_s} second{'' if wait_s == 1 else 's'}.")
        self.wait_s = wait_s


class _Allowance:
    """Tries that each key has: ``free`` at once, and a new one every so many seconds (a token bucket)."""

    def __init__(self, free: int, every_s: float, *, clock: Callable[[], float]) -> None:
        self._free = free
        self._every_s = every_s
        self._clock = clock
        self._used: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # key -> (tries used, at that time)

    def wait_s(self, key: bytes) -> float:
        """Return how long until the next try; 0 where one is left."""
        return max(0.0, (self._used_now(key) - self._free + 1) * self._every_s)

    def use(self, key: bytes) -> None:
        self._used[key] = (self._used_now(key) + 1, self._clock())
        self._used.move_to_end(key)
        if len(self._used) > _COUNTED:
            self._used.popitem(last=False)

    def _used_now(self, key: bytes) -> float:
        used, at = self._used.get(key, (0.0, 0.0))
        return max(0.0, used - (self._clock() - at) / self._every_s)


class Accounts:
    """Known pairs of user and password, as digests; without any, everybody may come in. Safe to share by threads."""

    def __init__(self, digests: tuple[bytes, ...] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        self._digests = digests
        self._here = _Allowance(_FREE_GUESSES, _GUESS_EVERY_S, clock=clock)
        self._anywhere = _Allowance(_FREE_ANYWHERE, _ANYWHERE_EVERY_S, clock=clock)
        self._counting = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._digests)

    def admit(self, user: str, password: str, *, address: str) -> bool:
        """Whether they are a known pair; takes as long for an unknown user as for a wrong password.

        address: where the request came from. A wrong pair is logged, without user or password, and counted for this
        user here and everywhere. Raises TooManyGuesses once there were too many, also for the right password: whoever
        guesses must not learn from the difference.
        """
        here, anywhere = _digest(user, address), _digest(user, "")
        given = _digest(user, password)
        with self._counting:
            wait_s = max(self._here.wait_s(here), self._anywhere.wait_s(anywhere))
            if wait_s:
                _log.warning("login: guesses from %s are slowed", address or "an unknown address")
                raise TooManyGuesses(math.ceil(wait_s))
            if sum(hmac.compare_digest(given, known) for known in self._digests):  # any() would stop at the first
                return True
            self._here.use(here)
            self._anywhere.use(anywhere)
        _log.warning("login: a wrong name or password from %s", address or "an unknown address")
        return False


def read_accounts(auth: str, *, clock: Callable[[], float] = time.monotonic) -> Accounts:
    """Read ``user:password`` pairs separated by commas, or the file of that name with one a line.

    A password may hold colons; one with a comma or white space at an end needs the file, where lines that begin with #
    are comments. Raises SettingsError, which names a line by its number and never repeats what may be a password.
    """
    if not auth.strip():
        return Accounts()
    if (lines := _lines(auth)) is not None:
        places = [(f"line {number} of its file", line) for number, line in enumerate(lines, 1)]
        places = [(place, line) for place, line in places if line.strip() and not line.lstrip().startswith("#")]
    else:
        places = [(f"pair {number}", pair.strip()) for number, pair in enumerate(auth.split(","), 1)]
    pairs = [_pair(place, line) for place, line in places]
    if not pairs:
        raise SettingsError("setting auth: its file names nobody; write user:password, one a line")
    users = [user for user, _ in pairs]
    if len(set(users)) < len(users):
        raise SettingsError("setting auth: names a user twice; leave one password each")
    return Accounts(tuple(_digest(*pair) for pair in pairs), clock=clock)


def _lines(auth: str) -> list[str] | None:
    """Return the lines of the file, or None if there is none of that name."""
    try:
        path = Path(auth.strip()).expanduser()
        return path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else None
    except UnicodeDecodeError:
        raise SettingsError("setting auth: its file is not UTF-8 text; write user:password, one a line") from None
    except (OSError, RuntimeError, ValueError) as error:
        if ":" in auth:  # too long for a path, or with characters that no path has: pairs
            return None
        reason = getattr(error, "strerror", None) or "no path"
        raise SettingsError(f"setting auth: its file cannot be read ({reason}); check the path") from None


def _pair(place: str, line: str) -> tuple[str, str]:
    user, colon, password = line.partition(":")
    if not (colon and user.strip() and password):
        raise SettingsError(
            f"setting auth: {place} is no user:password; write ann:secret,bob:secret or the path of a file"
        )
    return user.strip(), password


def _digest(user: str, password: str) -> bytes:
    return hashlib.sha256(f"{user}:{password}".encode("utf-8", "surrogatepass")).digest()
