"""Who may come in: ``RAG_AUTH`` read once, passwords compared in constant time.

Knows nothing about HTTP or Gradio; the server hands its answer to the page's login and to the door for programs.
"""

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from rag.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Accounts:
    """Known pairs of user and password, as digests; without any, everybody may come in."""

    digests: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.digests)

    def allow(self, user: str, password: str) -> bool:
        """Whether they are a known pair; takes as long for an unknown user as for a wrong password."""
        given = _digest(user, password)
        return sum(hmac.compare_digest(given, known) for known in self.digests) > 0  # any() would stop at the first


def read_accounts(auth: str) -> Accounts:
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
    return Accounts(tuple(_digest(*pair) for pair in pairs))


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
