"""Where settings come from, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from rag import Settings
from rag.errors import SettingsError

FIELDS = sorted(Settings.model_fields)
SECRETS = ("auth", "llm_api_key")
NOT_IN_THE_HASH = {"index_dir", "host", "port", "llm_timeout_s", *SECRETS}


def other_value(name: str) -> Any:
    """A permitted value that is not the default."""
    default = Settings.model_fields[name].default
    if name == "llm_base_url":
        return "http://127.0.0.1:1/v1"
    if isinstance(default, SecretStr):
        return SecretStr("other")
    if isinstance(default, float):
        return default / 2
    return default + 1 if isinstance(default, int) else type(default)("other")


def written(value: Any) -> str:
    """A value as it stands in the environment."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def test_the_defaults_are_those_that_the_design_names():
    settings = Settings()
    assert settings.index_dir == Path(".footnote")
    assert settings.encoder == "all-MiniLM-L6-v2"
    assert (settings.max_passage_tokens, settings.overlap_sentences) == (200, 1)
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_comes_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch):
    assert getattr(Settings(), name) != other_value(name)
    monkeypatch.setenv(f"RAG_{name.upper()}", written(other_value(name)))
    assert getattr(Settings(), name) == other_value(name)


@pytest.mark.parametrize("name", FIELDS)
def test_an_argument_wins_over_the_environment(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(f"RAG_{name.upper()}", written(Settings.model_fields[name].default))
    assert getattr(Settings(**{name: other_value(name)}), name) == other_value(name)


def test_an_unknown_variable_is_refused_with_a_suggestion(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAG_TOPK", "5")
    with pytest.raises(SettingsError, match=r"^unknown setting RAG_TOPK: did you mean RAG_TOP_K\?$"):
        Settings()


def test_an_unknown_argument_is_refused_with_a_suggestion():
    with pytest.raises(SettingsError, match=r"^unknown setting max_claim: did you mean max_claims\?$"):
        Settings(max_claim=2)


def test_where_nothing_is_close_the_known_settings_are_named():
    with pytest.raises(SettingsError) as caught:
        Settings(zzzzzz=1)
    assert all(name in str(caught.value) for name in FIELDS)


def test_variables_of_other_programs_are_none_of_its_business(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAGE_QUIT", "1")
    monkeypatch.setenv("TOP_K", "1")
    assert Settings() == Settings(top_k=Settings.model_fields["top_k"].default)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_k", 0),
        ("top_k", 101),
        ("top_k", "five"),
        ("top_k", "five\nhundred"),
        ("top_k", 2.5),
        ("max_passage_tokens", 31),
        ("max_passage_tokens", 513),
        ("overlap_sentences", -1),
        ("min_probability", 1.01),
        ("min_probability", -0.01),
        ("min_probability", float("nan")),
        ("port", 0),
        ("port", 65536),
        ("index_dir", None),
    ],
)
def test_an_impossible_value_is_refused_in_one_line_that_names_the_setting(name: str, value: object):
    with pytest.raises(SettingsError) as caught:
        Settings(**{name: value})
    assert str(caught.value).startswith(f"setting {name} is {value!r}: ")
    assert "\n" not in str(caught.value)


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAG_INDEX_DIR", "")
    assert Settings().index_dir == Settings.model_fields["index_dir"].default


@pytest.mark.parametrize("value", ["0", "ten"])
def test_an_impossible_variable_is_refused_in_one_line_too(value: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAG_TOP_K", value)
    with pytest.raises(SettingsError, match=rf"^setting top_k is '{value}': [^\n]+$"):
        Settings()


def test_a_refused_setting_ends_a_command_with_the_code_for_usage():
    assert SettingsError.exit_code == 2


@pytest.mark.parametrize("name", FIELDS)
def test_settings_cannot_be_changed(name: str):
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, name, other_value(name))
    assert settings == Settings()


@pytest.mark.parametrize("name", FIELDS)
def test_the_hash_follows_every_setting_that_may_change_an_answer(name: str):
    changed = Settings(**{name: other_value(name)})
    assert (changed.hash() == Settings().hash()) == (name in NOT_IN_THE_HASH)


def test_the_hash_is_the_same_in_every_process():
    code = "from rag import Settings; print(Settings(top_k=7).hash())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Settings(top_k=7).hash()
    assert len(Settings().hash()) == 12


def test_what_shapes_an_index_is_a_part_of_the_settings():
    shaping = Settings(max_passage_tokens=100).shaping()
    assert shaping == {"encoder": "all-MiniLM-L6-v2", "max_passage_tokens": 100, "overlap_sentences": 1}
    assert json.loads(json.dumps(shaping)) == shaping


def test_there_are_at_most_twenty_settings_each_with_a_description():
    assert len(FIELDS) <= 20
    assert [name for name in FIELDS if len(Settings.model_fields[name].description or "") < 20] == []


def test_only_secrets_are_named_like_secrets():
    telling = ("key", "password", "secret", "credential", "auth", "token")
    named = [name for name in FIELDS if any(word in name for word in telling)]
    assert sorted(named) == ["auth", "llm_api_key", "max_passage_tokens"]
    assert all(isinstance(Settings.model_fields[name].default, SecretStr) for name in SECRETS)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_shown_by_nothing(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(f"RAG_{name.upper()}", "hush-hush")
    settings = Settings()
    assert getattr(settings, name).get_secret_value() == "hush-hush"
    assert "hush" not in f"{settings!r} {settings} {settings.model_dump_json()} {settings.model_dump()}"
    with pytest.raises(SettingsError) as caught:
        Settings(**{name: ["hush-hush"]})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://example.org", "example.org/v1", "http://a b", "openai"])
def test_an_address_of_a_model_that_is_none_is_refused(url: str):
    with pytest.raises(SettingsError, match="llm_base_url"):
        Settings(llm_base_url=url)


def test_a_model_writes_where_it_has_an_address_and_a_name():
    assert not Settings().writes
    assert not Settings(llm_model="m").writes
    assert not Settings(llm_base_url="anthropic").writes
    assert Settings(llm_base_url="anthropic", llm_model="m").writes
