"""A made-up corpus of any size, and questions about it, for benchmarks and their tests.

News of no country, put together from the vocabularies below: the same for the same number of documents, no sentence
twice, every document in a folder (its outlet) and with a date. Over 200 lines: half of it is vocabulary.
"""

import datetime as dt
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PASSAGES_A_DOCUMENT = 20  # at least, which is checked after the ingest
SENTENCES_A_SECTION = 3  # a section is a passage: some 90 tokens, as in news written in short paragraphs
SENTENCES_A_DOCUMENT = 63
OUTLETS = 10  # folders: a filter by source lets a tenth through
FIRST_DAY, DAYS = dt.date(2015, 1, 1), 3650

FIRST_NAMES = """Adela Aibek Alina Almas Anders Anneli Arman Asel Azamat Beatriz Benno Bolat Brigita Caspar
Celeste Cora Dagmar Damir Daria Dinara Edvard Elmira Emil Erlan Fabian Farida Felix Freya Galina Gerrit Gulnara
Hanna Harald Hilde Ilyas Ingrid Iskander Jakob Janina Jonas Juliane Kaisa Kamila Karim Katrin Lars Laura Leila
Lorenz Madina Magnus Maira Marat Marit Mikael Milena Nadia Nils Nora Oskar Otto Paula Petra Rahim Ramona Rasmus
Renata Ruslan Sabina Samuel Saule Selma Serik Sigrid Sofia Stefan Svea Talgat Tamara Theodor Timur Ulrika
Valentin Vera Viktor Walter Xenia Yara Yusuf Zarina Zoltan""".split()
LAST_NAMES = """Abenov Adler Ahlberg Aldanov Amirov Andresen Arnesen Aubakir Bachmann Baimen Barlow Bekturov
Bergstrom Blixen Brandt Caldwell Carlsen Castellan Dalgaard Danilov Delorme Dressler Dzhakenov Eklund Elsner
Ermekov Fairburn Falkner Fjeld Forsberg Gallagher Garipov Gerlach Grandin Greville Haldane Halvorsen Hartmann
Hellman Holloway Idrisov Isaksen Iversen Jaeger Jansson Joldas Kaminski Karabaev Kessler Kingsley Kowalski
Kuanysh Lindqvist Lomax Lundgren Mackenzie Malinov Marchetti Merrick Mortensen Musabekov Narkevich Nordahl
Nurlanov Oakeshott Olander Omarov Orlanski Pemberton Petrakis Pilgaard Quennell Radcliffe Rasmussen Reinholt
Rosenquist Sadykov Sandoval Seitkali Sorensen Steinbach Sultanov Tarasov Thorvald Toleubek Tremaine Ullmann
Umarov Vandermeer Vestergaard Voronov Wainwright Wallenberg Westcott Yarmukhan Yermolin Zakirov Zetterberg
Zhumagul""".split()
PLACES = """Ardenfell Balkara Bergavik Birkholm Calverton Castramont Charyn-Bulak Dalarna Dorvale Eastmere
Elsinborg Esperath Falkengard Ferrowick Galdhaven Glenmorrow Greywater Hallstead Harrowgate Hestvik Ironbridge
Jadebrook Kalmere Karabulak Kestrelford Kingsfold Kolsay Larkmoor Lindesund Lowmarket Marisk Marrowdale Mirelake
Nattfjord Northolme Ostergard Otranshire Pellworm Pinecross Quarrybank Ravensund Redcliff Rosendale Saltmarsh
Sandvika Sarybel Silverton Skarholm Stonehaven Sundermark Tamgaly Thornbury Tolvanger Ulmenau Valdarno Varnholt
Vesterby Westerlund Whitmoor Wolfsbridge Yarrowton Zhelturan""".split()
ROLES = """ambassador archivist auditor biologist cartographer chancellor commissioner conductor councillor
curator delegate engineer envoy geologist governor harbourmaster historian inspector judge librarian mayor
mediator minister ombudsman physician prosecutor rector secretary senator surveyor treasurer trustee""".split()
BODIES = """academy|accounts chamber|agricultural board|antitrust office|border agency|central bank|chess
federation|city council|civil registry|coast guard|constitutional court|customs union|development fund|electoral
commission|energy regulator|farmers' league|film institute|forestry service|foreign ministry|grain
exchange|health authority|housing association|housing tribunal|labour inspectorate|meteorological
institute|mining consortium|museum trust|national archive|ombudsman's office|opera house|pension fund|port
authority|postal service|press council|railway company|research council|river commission|seismic
centre|shipyard|statistics bureau|steel works|tax chamber|teachers' union|telecom operator|theatre
company|tourism board|transport ministry|university senate|veterans' society|water utility"""
ADJECTIVES = """abandoned ambitious annual bilateral binding broad cautious classified coastal comprehensive
confidential contested costly delayed detailed digital discreet domestic draft electronic emergency experimental
extended federal final fiscal flawed gradual historic hurried independent informal interim joint lasting limited
local long-awaited mandatory maritime modest municipal mutual narrow northern obsolete official partial
permanent pilot preliminary private provisional public regional renewed revised rural seasonal secret southern
standard strategic temporary tentative thorough unilateral unpopular urban urgent voluntary""".split()
OBJECTS = """accord agenda agreement amendment appeal appointment archive assessment audit auction award
blueprint budget bulletin calendar campaign census charter code complaint compromise concession contract
convention curriculum declaration decree directive dossier embargo evaluation exemption exhibition
feasibility-study forecast framework guideline inquiry inventory lawsuit lease ledger levy licence loan
manifesto mandate manuscript map memorandum merger motion ordinance package pact patent permit petition plan
pledge procedure proposal protocol quota ranking ratification reform regulation report reservation resolution
roadmap ruling sanction schedule settlement statute strategy subsidy survey tariff tender timetable treaty
verdict waiver""".split()
TOPICS = """air traffic|apple orchards|bank secrecy|barley exports|beekeeping|bridge repairs|broadcasting|bus
lanes|cattle disease|child care|coal mining|copper smelting|copyright|court fees|cyber security|dairy
prices|dental care|desert roads|drinking water|drought relief|earthquake safety|eel fishing|fibre networks|film
funding|firefighting|flood defences|folk music|forest fires|freight rail|gas storage|glacier research|gold
reserves|grain storage|heating costs|horse breeding|hospital beds|housing benefits|inland shipping|insulin
supply|language teaching|legal aid|library hours|lithium deposits|maternity leave|minimum wages|mountain
rescue|night trains|nuclear waste|opera tickets|parking fees|patent law|peat extraction|pension age|pest
control|plastic waste|prison labour|rare earths|refugee housing|rent control|reindeer herding|river
dredging|road tolls|salt production|satellite launches|school meals|seed banks|sheep wool|snow clearing|solar
parks|steppe conservation|street lighting|sugar taxes|tea imports|timber trade|tram lines|vaccination|visa
rules|volcano monitoring|voting by post|waste heat|water rights|whaling|wheat futures|wind farms|wolf
protection|zinc prices"""
PAST = """abandoned accepted amended announced approved archived attacked backed blocked cancelled challenged
circulated commissioned completed condemned copied criticised debated defended delivered denied disclosed
discussed dismissed distributed drafted endorsed examined explained extended financed finished halted inspected
introduced launched leaked negotiated opposed ordered postponed praised presented printed promoted published
questioned ratified rejected released reopened reviewed revised shelved signed sponsored submitted supported
suspended tabled translated unveiled vetoed welcomed withdrew wrote""".split()
MONTHS = """January February March April May June July August September October November December""".split()
REASONS = """after months of quiet talks|although few had expected it|as the deadline drew near|because the
figures left no choice|before the summer recess|despite protests outside|for want of a better idea|in a session
closed to the press|in spite of earlier promises|in the presence of two witnesses|late in the evening|on the
advice of outside experts|on the last day of the session|only hours after the vote|to the surprise of the
opposition|under pressure from creditors|when the minutes became public|while negotiations were still under
way|with a narrow majority|without giving any reason|without much ceremony|with the consent of all parties"""


def _phrases(text: str) -> list[str]:
    return [" ".join(phrase.split()) for phrase in text.split("|")]


SLOTS: dict[str, Sequence[str]] = {
    "first": FIRST_NAMES,
    "last": LAST_NAMES,
    "place": PLACES,
    "role": ROLES,
    "body": _phrases(BODIES),
    "adjective": ADJECTIVES,
    "object": OBJECTS,
    "topic": _phrases(TOPICS),
    "past": PAST,
    "reason": _phrases(REASONS),
    "month": MONTHS,
    "day": [str(day) for day in range(1, 29)],
    "number": [f"{number:,}" for number in range(103, 9973, 7)],
}
TEMPLATES = (  # a sentence, and the question that it answers
    (
        "{first} {last}, the {role} of {place}, {past} the {adjective} {object} on {topic} {reason}.",
        "Who {past} the {adjective} {object} on {topic} in {place}?",
    ),
    (
        "On {month} {day} the {body} in {place} {past} a {adjective} {object} worth {number} crowns for {topic}.",
        "How much was the {adjective} {object} for {topic} worth that the {body} in {place} {past}?",
    ),
    (
        "According to {first} {last}, {number} people in {place} had asked the {body} about {topic} by {month} {day}.",
        "How many people in {place} had asked the {body} about {topic} according to {last}?",
    ),
    (
        "The {adjective} {object} of the {body}, which concerned {topic}, was {past} by {last} in {place} {reason}.",
        "Where was the {adjective} {object} of the {body} on {topic} {past} by {last}?",
    ),
    (
        "“We never saw the {object} on {topic},” said the {role} {first} {last} in {place} {reason}.",
        "Which {role} in {place} never saw the {object} on {topic}?",
    ),
    (
        "In {place} the {role} and the {body} differed over {topic}, so the {adjective} {object} was left for {month}.",
        "For when was the {adjective} {object} left in {place} over {topic}?",
    ),
)


# -- the corpus --------------------------------------------------------------------------------------------------------


def sentence(number: int) -> tuple[str, str]:
    """Return sentence number ``number`` and a question that it answers; no two numbers give the same sentence.

    The number is spread over all combinations of a template's words by a stride without common divisor with their
    number, near the golden section of it, so that neighbours differ in every word (Weyl's sequence).
    """
    statement, question = TEMPLATES[number % len(TEMPLATES)]
    slots = [name for name in SLOTS if f"{{{name}}}" in statement]
    space = math.prod(len(SLOTS[name]) for name in slots)
    stride = next(s for s in itertools.count(int(space * 0.6180339887498949)) if math.gcd(s, space) == 1)
    at = (number // len(TEMPLATES)) * stride % space
    words = {}
    for name in slots:
        at, choice = divmod(at, len(SLOTS[name]))
        words[name] = SLOTS[name][choice]
    return statement.format(**words), question.format(**words)


def document(number: int) -> tuple[str, str, dt.date]:
    """Return the source, the text and the date of document number ``number``."""
    first = number * SENTENCES_A_DOCUMENT
    sentences = [sentence(first + i)[0] for i in range(SENTENCES_A_DOCUMENT)]
    starts = range(0, SENTENCES_A_DOCUMENT, SENTENCES_A_SECTION)
    sections = [" ".join(sentences[start : start + SENTENCES_A_SECTION]) for start in starts]
    headed = [f"Entry {place} of the chronicle\n\n{section}" for place, section in enumerate(sections, start=1)]
    title = f"{PLACES[number % len(PLACES)]} chronicle, number {number + 1}"
    day = FIRST_DAY + dt.timedelta(days=number * 977 % DAYS)
    source = f"outlet-{number % OUTLETS}/{number:06}.txt"
    return source, "\n\n".join([title, *headed]) + "\n", day


def write_document(folder: Path, number: int) -> tuple[str, int]:
    """Write a document; return its source and its bytes."""
    source, text, _ = document(number)
    path = folder / source
    path.parent.mkdir(parents=True, exist_ok=True)
    return source, path.write_bytes(text.encode())


def write_corpus(folder: Path, n_documents: int) -> int:
    """Write the documents and their ``sources.toml``; return the bytes of text."""
    n_bytes = sum(write_document(folder, number)[1] for number in range(n_documents))
    dates = ((source, day) for source, _, day in map(document, range(n_documents)))
    known = [f'["{source}"]\ndate = {day.isoformat()}\n' for source, day in dates]
    (folder / "sources.toml").write_text("\n".join(known), encoding="utf-8")
    return n_bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and filters that its answer passes."""

    text: str
    source: str
    since: dt.date


def questions(n_questions: int, n_documents: int) -> list[Question]:
    """Return questions about sentences spread over the corpus; ``since`` lets through the later half of the dates."""
    n_sentences = n_documents * SENTENCES_A_DOCUMENT
    half = FIRST_DAY + dt.timedelta(days=DAYS // 2)
    step = max(1, n_sentences // n_questions)
    numbers = [i * step % n_sentences for i in range(n_questions)]
    return [Question(sentence(i)[1], f"outlet-{i // SENTENCES_A_DOCUMENT % OUTLETS}", half) for i in numbers]
