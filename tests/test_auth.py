"""Who may come in: what RAG_AUTH may hold, and what an error about it must not say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.cli import main
from rag.errors import SettingsError
from rag.web.server.auth import Accounts, TooManyGuesses, read_accounts

PASSWORD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
USER = PASSWORD.filter(lambda user: ":" not in user and "," not in user and not user.startswith("#"))


@pytest.mark.parametrize("auth", ["", " ", "\n"])
def test_nothing_means_that_everybody_may_come_in(auth: str):
    assert not read_accounts(auth)


def test_pairs_are_separated_by_commas():
    accounts = read_accounts("ann:one, bob:two:and:more")
    assert accounts
    assert accounts.admit("ann", "one", address="")
    assert accounts.admit("bob", "two:and:more", address="")
    for user, password in [("ann", "two"), ("ann", ""), ("bob", "two"), ("", ""), ("eve", "one"), ("ANN", "one")]:
        assert not accounts.admit(user, password, address="")


def test_a_file_has_one_a_line_with_comments_and_any_password(tmp_path: Path):
    path = tmp_path / "who may, or not"
    path.write_text("\ufeff# the two of us\n\nann:a,b: c \r\n  # bob:old\nbob:zwölf:#12\n", encoding="utf-8")
    accounts = read_accounts(str(path))
    assert accounts.admit("ann", "a,b: c ", address="")
    assert accounts.admit("bob", "zwölf:#12", address="")


@given(user=USER, password=PASSWORD, other=PASSWORD)
def test_a_pair_lets_in_itself_and_nothing_else(user: str, password: str, other: str, tmp_path: Path):
    path = tmp_path / "users"
    path.write_text(f"{user}:{password}\n", encoding="utf-8")
    accounts = read_accounts(str(path))
    assert accounts.admit(user, password, address="")
    assert accounts.admit(user, other, address="") == (other == password)


@pytest.mark.parametrize(
    ("auth", "line"),
    [
        ("hunter2", "pair 1 is no user:password"),
        ("ann:hunter2,hunter2", "pair 2 is no user:password"),
        ("ann:hunter2,", "pair 2 is no user:password"),
        (":hunter2", "pair 1"),
        ("ann:", "pair 1"),
        ("ann:hunter2,ann:hunter3", "names a user twice"),
        ("hunter2" * 200, "cannot be read"),
        ("hunter2\0", "pair 1"),
    ],
)
def test_what_is_no_list_of_pairs_is_one_line_without_it(auth: str, line: str):
    with pytest.raises(SettingsError, match=line) as caught:
        read_accounts(auth)
    assert "hunter" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (b"# nobody\n", "names nobody"),
        (b"ann:hunter2\nhunter2\n", "line 2 of its file"),
        (b"ann:hunter2\xff\n", "not UTF-8"),
    ],
)
def test_a_wrong_file_is_one_line_without_what_it_says(tmp_path: Path, written: bytes, line: str):
    (tmp_path / "users").write_bytes(written)
    with pytest.raises(SettingsError, match=line) as caught:
        read_accounts(str(tmp_path / "users"))
    assert "hunter" not in str(caught.value)


def test_the_command_ends_with_the_line_and_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("RAG_AUTH", "hunter2")
    monkeypatch.setattr("sys.argv", ["rag", "serve", "--port", "1"])
    with pytest.raises(SystemExit, match="2"):
        main()
    said = capsys.readouterr()
    assert not said.out
    assert said.err == (
        "rag: setting auth: pair 1 is no user:password; write ann:secret,bob:secret or the path of a file\n"
    )


# -- guessing ----------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(clock: Clock) -> Accounts:
    return read_accounts("ann:right,bob:other", clock=clock)


def guess(accounts: Accounts, password: str = "wrong", *, user: str = "ann", address: str = "192.0.2.1") -> bool:
    return accounts.admit(user, password, address=address)


def test_ten_wrong_passwords_are_free_and_then_one_every_ten_seconds(accounts: Accounts, clock: Clock) -> None:
    assert not any(guess(accounts) for _ in range(10))
    with pytest.raises(TooManyGuesses, match="Try again in 10 seconds"):
        guess(accounts)
    clock.now += 9.5
    with pytest.raises(TooManyGuesses, match="Try again in 1 second\\."):
        guess(accounts, "right")  # whoever guesses must not learn that this one was right
    clock.now += 0.5
    assert guess(accounts, "right")


def test_who_guesses_holds_up_neither_another_user_nor_another_address(accounts: Accounts) -> None:
    assert not any(guess(accounts) for _ in range(10))
    assert guess(accounts, "other", user="bob")
    assert guess(accounts, "right", address="192.0.2.2")


def test_guesses_from_many_addresses_are_slowed_together(accounts: Accounts, clock: Clock) -> None:
    assert not any(guess(accounts, address=f"192.0.2.{n}") for n in range(100))
    with pytest.raises(TooManyGuesses):
        guess(accounts, address="198.51.100.1")
    clock.now += 1
    assert guess(accounts, "right", address="198.51.100.1")


def test_guesses_for_made_up_users_are_slowed_together(accounts: Accounts, clock: Clock) -> None:
    """Else ten thousand of them would make the server forget how often a real one was guessed."""
    for number in range(100):
        assert not accounts.admit(f"nobody {number}", "x", address="1")
    with pytest.raises(TooManyGuesses) as caught:
        accounts.admit("nobody else", "x", address="1")
    assert caught.value.wait_s == 1
    assert not accounts.admit("nobody else", "x", address="2")


def test_right_passwords_are_never_slowed(accounts: Accounts) -> None:
    assert all(guess(accounts, "right") for _ in range(1000))


def test_a_wrong_password_is_logged_without_it(accounts: Accounts, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(10):
        guess(accounts, "hunter2")
    with pytest.raises(TooManyGuesses):
        guess(accounts, "hunter2")
    assert caplog.text.count("a wrong name or password from 192.0.2.1") == 10
    assert "guesses from 192.0.2.1 are slowed" in caplog.text
    assert "hunter2" not in caplog.text
    assert "ann" not in caplog.text


def test_a_colon_in_a_password_makes_no_second_name():
    """Else guesses for "ann:a", "ann:b" and so on would be counted apart from those for "ann"."""
    accounts = read_accounts("ann:se:cret")
    assert accounts.admit("ann", "se:cret", address="1")
    assert not accounts.admit("ann:se", "cret", address="1")
