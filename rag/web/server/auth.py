"""Login checks: ``RAG_AUTH`` is read once, passwords are compared in constant time, guesses are rate-limited."""

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

_FREE_GUESSES = 10  # wrong passwords per user and address before it has to wait; a person needs fewer
_GUESS_EVERY_S = 10.0  # interval between further tries: 8,640 a day
_FREE_ANYWHERE = 100  # wrong passwords per user from all addresses together, and per address for all users together
_ANYWHERE_EVERY_S = 1.0
_COUNTED = 10_000  # pairs of user and address remembered

_log = logging.getLogger(__name__)


class TooManyGuesses(Exception):
    """Too many wrong passwords; none, right or wrong, is checked for the next ``wait_s`` seconds."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many wrong passwords. Try again in {wait_s} second{'' if wait_s == 1 else 's'}.")
        self.wait_s = wait_s


class _Allowance:
    """A token bucket per key: ``free`` tries at once, then a new one every ``every_s`` seconds."""

    def __init__(self, free: int, every_s: float, *, clock: Callable[[], float]) -> None:
        self._free = free
        self._every_s = every_s
        self._clock = clock
        self._used: OrderedDict[bytes, tuple[float, float]] = OrderedDict()  # key -> (tries used, at that time)

    def wait_s(self, key: bytes) -> float:
        """Return the seconds until the next try; 0 if one is left."""
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
    """Digests of the known pairs of user and password; if there are none, anyone may enter. Thread-safe."""

    def __init__(self, digests: tuple[bytes, ...] = (), *, clock: Callable[[], float] = time.monotonic) -> None:
        self._digests = digests
        self._here = _Allowance(_FREE_GUESSES, _GUESS_EVERY_S, clock=clock)
        self._anywhere = _Allowance(_FREE_ANYWHERE, _ANYWHERE_EVERY_S, clock=clock)
        self._counting = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._digests)

    def admit(self, user: str, password: str, *, address: str) -> bool:
        """Whether this is a known pair; takes equally long for an unknown user and for a wrong password.

        address: where the request came from. A wrong pair is logged, without user or password, and counted for this
        user at this address, for the user, and for the address, so that made-up users cannot push a real one out of
        what is remembered. After too many, raises TooManyGuesses even for the right password, so
        that an attacker learns nothing from the difference.
        """
        here, anywhere = _digest(user, address), (_digest(user, ""), _digest("", address))
        given = _digest(user, password)
        with self._counting:
            wait_s = max(self._here.wait_s(here), *map(self._anywhere.wait_s, anywhere))
            if wait_s:
                _log.warning("login: guesses from %s are slowed", address or "an unknown address")
                raise TooManyGuesses(math.ceil(wait_s))
            if sum(hmac.compare_digest(given, known) for known in self._digests):  # any() would stop at the first match
                return True
            self._here.use(here)
            for key in anywhere:
                self._anywhere.use(key)
        _log.warning("login: a wrong name or password from %s", address or "an unknown address")
        return False


def read_accounts(auth: str, *, clock: Callable[[], float] = time.monotonic) -> Accounts:
    """Read ``user:password`` pairs separated by commas, or from a file of that name with one pair per line.

    A password may contain colons. One with a comma, or with leading or trailing white space, needs the file, where
    lines that begin with # are comments. Raises SettingsError, which gives a line's number and never a possible
    password.
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
    """Return the lines of the file, or None if there is no such file."""
    try:
        path = Path(auth.strip()).expanduser()
        return path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else None
    except UnicodeDecodeError:
        raise SettingsError("setting auth: its file is not UTF-8 text; write user:password, one a line") from None
    except (OSError, RuntimeError, ValueError) as error:
        if ":" in auth:  # too long or with characters invalid in a path, so it holds pairs
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
    """Return a digest of the pair, in which no other split of the same characters has the same."""
    return hashlib.sha256(f"{len(user)}:{user}:{password}".encode("utf-8", "surrogatepass")).digest()
