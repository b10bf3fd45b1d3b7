"""What an evaluation runs with: choices as they are written, their combinations, and engines that differ in them."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import HashingEncoder
from hypothesis import given
from hypothesis import strategies as st

from evals.baselines import EVIDENCE_MODELS
from evals.variants import RETRIEVALS, Variant, variants
from rag import Rag
from rag.config import SHAPING, Settings
from rag.errors import RagError, SettingsError, UsageError
from rag.retrieval import RANKINGS
from rag.values import Abstention, Answer

Open = Callable[..., Rag]
SURE = str(Settings().min_probability)
PORTABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")  # as the name of a folder, on any system


def written(*asked_for: str) -> list[str]:
    return [str(variant) for variant in variants(asked_for)]


# -- reading -----------------------------------------------------------------------------------------------------------


def test_nothing_asked_for_is_the_default_alone():
    assert variants([]) == [Variant()]
    assert written() == ["retrieval=fused, evidence=trained"]


def test_the_default_is_the_engine_as_users_get_it():
    assert RETRIEVALS[Variant().retrieval] == RANKINGS
    assert Variant().model().name == "trained-reader"
    assert Variant().settings == {}


def test_each_value_of_a_choice_is_a_variant_in_the_order_given():
    assert written("retrieval=lexical,dense,fused") == [
        "retrieval=lexical, evidence=trained",
        "retrieval=dense, evidence=trained",
        "retrieval=fused, evidence=trained",
    ]


def test_a_setting_that_shapes_no_index_is_a_choice():
    assert variants(["min_probability=0.6,0.7"]) == [
        Variant(settings={"min_probability": "0.6"}),
        Variant(settings={"min_probability": "0.7"}),
    ]


@pytest.mark.parametrize(
    "text", [f"min_probability={SURE}", f"min_probability={SURE}0", "max_claims=3", "retrieval=fused"]
)
def test_a_choice_of_the_default_is_the_default(text: str):
    assert variants([text]) == [Variant()]


def test_of_several_settings_only_those_at_their_default_go_unnamed():
    assert written(f"min_probability={SURE},0.7", "max_claims=3,1") == [
        "retrieval=fused, evidence=trained",
        "retrieval=fused, evidence=trained, max_claims=1",
        "retrieval=fused, evidence=trained, min_probability=0.7",
        "retrieval=fused, evidence=trained, min_probability=0.7, max_claims=1",
    ]


def test_choices_are_combined_and_the_last_one_changes_fastest():
    assert written("retrieval=dense,fused", "evidence=none", "max_claims=1,2") == [
        "retrieval=dense, evidence=none, max_claims=1",
        "retrieval=dense, evidence=none, max_claims=2",
        "retrieval=fused, evidence=none, max_claims=1",
        "retrieval=fused, evidence=none, max_claims=2",
    ]


def test_a_variant_names_retrieval_and_evidence_first_and_settings_as_they_were_given():
    assert written("passages_read=5", "evidence=none", "max_claims=1", "retrieval=dense") == [
        "retrieval=dense, evidence=none, passages_read=5, max_claims=1"
    ]


@given(
    st.lists(st.sampled_from(list(RETRIEVALS)), min_size=1, unique=True),
    st.lists(st.sampled_from(list(EVIDENCE_MODELS)), min_size=1, unique=True),
    st.lists(st.integers(1, 10), min_size=1, max_size=3, unique=True),
)
def test_there_is_a_variant_for_each_combination(retrievals: list[str], models: list[str], claims: list[int]):
    asked_for = [
        f"retrieval={','.join(retrievals)}",
        f"evidence={','.join(models)}",
        f"max_claims={','.join(map(str, claims))}",
    ]
    default = Settings().max_claims
    found = [(v.retrieval, v.evidence, int(v.settings.get("max_claims", default))) for v in variants(asked_for)]
    assert found == list(itertools.product(retrievals, models, claims))
    assert len({variant.folder for variant in variants(asked_for)}) == len(found)


def test_white_space_around_names_and_values_is_not_theirs():
    assert variants([" retrieval = dense , fused "]) == variants(["retrieval=dense,fused"])


def test_a_value_given_twice_is_one_variant():
    assert variants(["retrieval=dense,fused,dense, dense"]) == variants(["retrieval=dense,fused"])


def test_values_that_mean_the_same_are_one_variant():
    assert len(variants(["min_probability=0.5,.5,0.50,5e-1"])) == 1
    assert len(variants(["max_claims=2,02"])) == 1


def test_a_name_given_twice_is_refused_rather_than_half_forgotten():
    with pytest.raises(UsageError, match="retrieval"):
        variants(["retrieval=dense", "evidence=none", "retrieval=lexical"])


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["retrieval", "retrieval=", "retrieval=,", "retrieval=dense,,fused", "retrieval= ", ""]
)
def test_a_choice_without_a_value_is_refused(text: str):
    with pytest.raises(UsageError) as refused:
        variants([text])
    assert str(refused.value) == f"--vary {text}: write it as NAME=value,value"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("retrieval=sparse", "--vary retrieval=sparse: no such retrieval; there are fused, dense, lexical"),
        ("retrieval=dense,Fused", "--vary retrieval=Fused: no such retrieval; there are fused, dense, lexical"),
        ("evidence=oracle", "--vary evidence=oracle: no such evidence; there are trained, baseline, none"),
        (
            "evidence=baseline=none",
            "--vary evidence=baseline=none: no such evidence; there are trained, baseline, none",
        ),
    ],
)
def test_a_value_that_does_not_exist_is_refused_with_those_that_do(text: str, message: str):
    with pytest.raises(UsageError) as refused:
        variants([text])
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "name", ["model", "", "Retrieval", "retrieval ,evidence", "settings", "__init__", "model_config"]
)
def test_a_name_that_does_not_exist_is_refused_with_those_that_do(name: str):
    with pytest.raises(UsageError, match=r"not a choice; there are retrieval, evidence, .*passages_read") as refused:
        variants([f"{name}=1"])
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", [*SHAPING, "index_dir", "host", "port"])
def test_a_setting_that_shapes_the_index_or_no_answer_is_refused(name: str):
    value = Settings.model_fields[name].default
    with pytest.raises(UsageError, match=rf"^--vary {name}: not a choice; there are ") as refused:
        variants([f"{name}={value}"])
    assert name not in str(refused.value).partition("there are ")[2].split(", ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_probability=0.5,2", "setting min_probability is '2': input should be less than or equal to 1"),
        ("min_probability=nan", "setting min_probability is 'nan': input should be"),
        ("max_claims=many", "setting max_claims is 'many': input should be a valid integer"),
        ("max_claims=0", "setting max_claims is '0': input should be greater than or equal to 1"),
    ],
)
def test_a_value_that_no_setting_takes_is_refused_by_the_setting(text: str, message: str):
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}") as refused:
        variants([text])
    assert len(str(refused.value).splitlines()) == 1


@given(st.lists(st.text("retivalfusdnmxc_=,.1 /"), max_size=3))
def test_whatever_is_asked_for_is_taken_or_refused_in_one_line(asked_for: list[str]):
    refusal = None
    try:
        assert variants(asked_for)
    except RagError as error:
        refusal = error
    assert refusal is None or (refusal.exit_code == 2 and len(str(refusal).splitlines()) == 1)


# -- folders -----------------------------------------------------------------------------------------------------------


def test_a_folder_is_named_after_all_choices():
    (variant,) = variants(["min_probability=0.7", "retrieval=dense"])
    assert variant.folder == "retrieval-dense_evidence-trained_min_probability-0.7"


@given(
    st.sampled_from([name for name in Settings.model_fields if name not in SHAPING]),
    st.text("0123456789.eE+-_/\\:~ \tx", min_size=1, max_size=8) | st.text(max_size=4),
)
def test_whatever_value_is_taken_the_folder_is_one_portable_name(name: str, value: str):
    try:
        found = variants([f"{name}={value}"])
    except RagError:
        return
    for variant in found:
        assert PORTABLE.fullmatch(variant.folder), variant.folder
        assert Path(variant.folder).name == variant.folder


def test_every_named_retrieval_and_model_makes_a_portable_folder():
    asked_for = [f"retrieval={','.join(RETRIEVALS)}", f"evidence={','.join(EVIDENCE_MODELS)}", "min_probability=0,1,.5"]
    folders = [variant.folder for variant in variants(asked_for)]
    assert len({folder.casefold() for folder in folders}) == len(folders) == 3 * 3 * 3
    assert all(PORTABLE.fullmatch(folder) for folder in folders)


# -- engines -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def index_dir(tmp_path: Path, open_rag: Open) -> Path:
    """An index of two documents under the hashing encoder."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "treaty.txt").write_text("Alice signed the treaty. Bob watched it burn.", encoding="utf-8")
    (folder / "sleep.txt").write_text("Carol slept through the winter.", encoding="utf-8")
    rag = open_rag()
    assert not rag.ingest([folder]).failed
    rag.close()
    return rag.settings.index_dir


@pytest.fixture
def ask(index_dir: Path) -> Callable[..., Answer | Abstention]:
    def ask_(question: str, *asked_for: str) -> Answer | Abstention:
        (variant,) = variants(asked_for)
        rag = variant.open(index_dir, evidence=variant.model(), encoder=HashingEncoder())
        try:
            return rag.ask(question)
        finally:
            rag.close()

    return ask_


def test_a_variant_opens_an_engine_with_its_settings(index_dir: Path):
    (variant,) = variants(["min_probability=0.75", "max_claims=1"])
    rag = variant.open(index_dir, evidence=variant.model(), encoder=HashingEncoder())
    assert (rag.settings.min_probability, rag.settings.max_claims, rag.settings.index_dir) == (0.75, 1, index_dir)
    assert rag.settings == Settings(index_dir=index_dir, min_probability=0.75, max_claims=1)
    rag.close()


@pytest.mark.parametrize("claims", [1, 3])
def test_a_variant_opens_with_what_it_was_asked_for_whatever_the_environment_says(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch, claims: int
):
    monkeypatch.setenv("RAG_MAX_CLAIMS", "1")
    (variant,) = variants([f"max_claims={claims}"])
    rag = variant.open(index_dir, evidence=variant.model(), encoder=HashingEncoder())
    assert rag.settings.max_claims == claims
    rag.close()


def test_the_model_of_a_variant_is_named_in_the_trace(ask: Callable[..., Answer | Abstention]):
    for name, model in EVIDENCE_MODELS.items():
        found = ask("Who signed the treaty?", f"evidence={name}")
        assert found.trace.models == {"encoder": "hashing", "evidence": model().name}


def test_without_a_decision_the_nearest_sentence_answers_whatever_is_asked(ask: Callable[..., Answer | Abstention]):
    question = "Which zebra ate the marmalade in the winter?"
    assert isinstance(ask(question), Abstention)
    found = ask(question, "evidence=none")
    assert isinstance(found, Answer)
    assert [claim.text for claim in found.claims] == ["Carol slept through the winter."]


def test_words_that_no_document_has_are_found_by_dense_and_not_by_lexical_retrieval(
    ask: Callable[..., Answer | Abstention],
):
    question = "Marmalade zebra?"
    lexical = ask(question, "evidence=none", "retrieval=lexical")
    assert isinstance(lexical, Abstention)
    assert lexical.stage == "retrieve"
    for retrieval in ("dense", "fused"):
        assert isinstance(ask(question, "evidence=none", f"retrieval={retrieval}"), Answer)


def test_a_threshold_of_zero_quotes_what_the_default_refuses(ask: Callable[..., Answer | Abstention]):
    question = "Which zebra ate the marmalade in the winter?"
    assert isinstance(ask(question, "min_probability=0"), Answer)
