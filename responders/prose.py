"""What the mock talks about: a telegraph office that never closes, and those who work in it.

Every entry stands alone, so that any order reads well. `CLOSERS` has one for each number of words from 1 on, and so
a text can end well at any length.
"""

from __future__ import annotations

Cards = tuple[str, ...]

HEADINGS: Cards = (
    "## How the office works",
    "## What the pigeon knows",
    "## A short history of the bell",
    "## Things nobody tells the night clerk",
    "## On the care of brass",
    "## Where the messages go",
    "## The matter of the missing biscuit",
    "## Weather, and other rumours",
    "## Ein Wort über Umlaute",
    "## Frequently unasked questions",
    "## The small print, printed large",
    "## Why the tape is never cut",
)

SENTENCES: Cards = (
    "The machine in the window prints one letter at a time, because two would be showing off.",
    "Agnes, the **senior pigeon**, signs for every parcel with great dignity and one wet foot.",
    "Mr. Bell has kept the night shift for forty years and has *never once* been early.",
    "Nobody remembers who ordered the second kettle, but everybody defends it.",
    "A message that arrives twice is a mistake; one that arrives never is a tragedy.",
    "The tape is numbered from one, and there are **no gaps**, not even on Sundays.",
    "If you fall asleep by the window, the tape waits on the floor in neat loops.",
    "The harbour clock is wrong by four minutes, and so the harbour is too.",
    "Every good answer starts with a pause, and the pause is billed at half price.",
    "Ottoline, the stationmaster, reads the timetable aloud to calm the trains. 🚂",
    "A rumour travels faster than a telegram, but it *loses a word* at every stop.",
    "There is a drawer for lost commas, and you may take one if you leave one.",
    "The café across the street serves a **crème brûlée** that has ended two engagements.",
    "Somebody once pulled the plug in mid-sentence; the sentence was finished by breakfast.",
    "The inkwell is insured, the ink is not, and the carpet has given up.",
    "Agnes prefers `SEND` to `RECEIVE`, since receiving rarely comes with corn.",
    "On a quiet night you can hear the ribbon think.",
    "The longest telegram on record was a recipe for soup, and it is *still* arriving.",
    "A visitor from 東京 left a fan, a poem and a very good umbrella.",
    "Rule four says to trust the log; rule five is a drawing of a fish. 🐟",
    "The lamp by the door means that somebody is typing, or that somebody forgot.",
    "You may ask for the same message again, and nobody will sigh where you can hear it.",
    "Brass shines best when it is polished by a person with a grudge.",
    "The word for a message that ends too soon is `oh`.",
    "We tried carrier hedgehogs for a winter, and the minutes of that meeting are sealed.",
    "When the line to **Košice** hums in B flat, rain is due by four.",
    "Mr. Bell dots each i by hand, and then he checks them for company.",
    "An astronaut 👩‍🚀 once wired us from orbit to say that it was very quiet up there.",
    "The shortest reply that was ever sent from here was *perhaps*.",
    "The map on the wall is out of date, but it is right about the sea.",
    "A stamp is a promise, said Ottoline, and she licked it like a lawyer.",
    "Half of all urgent messages are about keys.",
    "The greeting سلام came down the wire one spring, and we have answered it every year.",
    "The cat is not on the payroll, and has sent *several* letters about that.",
    "In an emergency, break the glass, then sweep it up, then describe the emergency.",
    "We keep one chair empty for whoever joins late, and we read them everything.",
)

LISTS: Cards = (
    """\
The office keeps **four** kinds of silence:

- the silence before a reply
- the silence of a clerk who lost count
- the silence after a reply, which is *thicker*
- Agnes""",
    """\
To send a message properly:

1. Sharpen the pencil.
2. Forget what you wanted to say.
3. Write down what you **needed** to say.
4. Pay the clerk, thank the pigeon.""",
    """\
Found in the lost property box this week:

- one glove, left, *optimistic*
- a map of a town with no roads
- eleven commas `,,,,,,,,,,,`
- a piñata, half full""",
    """\
Reasons for a late tape, by honesty:

1. The wire was wet.
2. The clerk was wet.
3. The tape was **finished on time** and admired too long.""",
    """\
The pigeon accepts these currencies:

- corn
- better corn
  - with a little salt
- flattery, in small coins""",
    """\
Before you leave, check:

- [x] the lamp
- [x] the other lamp
- [ ] whether there were ever two lamps""",
)

QUOTES: Cards = (
    """\
> A reply is a letter that was in a hurry.
>
> — *Ottoline, to nobody in particular*""",
    """\
> Never apologise to a machine. It will want it in writing.""",
    """\
> I came for one stamp and stayed for thirty years.
>
> — Mr. Bell, **on his first day**""",
    """\
> “Coo,” said Agnes, and the motion was carried.""",
)

TABLES: Cards = (
    """\
| Courier | Speed | Opinion of rain |
|---|---:|---|
| Agnes | 60 km/h | *against* |
| The boy | 9 km/h | puddles! |
| The tape | always | **none** |""",
    """\
| Hour | Sound | Meaning |
|---|:---:|---|
| 02:00 | tick | a letter |
| 02:01 | tick | another letter |
| 02:02 | — | tea ☕ |""",
    """\
| Word | Price | Worth |
|---|---:|---:|
| yes | 1 d | 10 £ |
| no | 1 d | 12 £ |
| `perhaps` | 2 d | ½ £ |""",
)

CODE: Cards = (
    """\
```python
def deliver(message, pigeon):
    while not pigeon.ready:
        pigeon.offer(corn)
    return pigeon.carry(message)  # she knows the way
```""",
    """\
```sh
$ tail -f /dev/tape | grep --line-buffered agnes
coo
coo
coo, urgent
```""",
    """\
```json
{
  "to": "the lighthouse",
  "text": "Your light is on.",
  "reply_paid": true
}
```""",
    """\
```sql
SELECT clerk, count(*) AS sighs
FROM night_shift
WHERE tea IS NULL
GROUP BY clerk;
```""",
    """\
```text
  .--.      o o o o o o
 (    )  <- tape, resting
  '--'      numbered, as ever
```""",
)

THOUGHTS: Cards = (
    "The visitor wants an answer, so I should look as if I had one.",
    "Let me count the pigeons first; that usually helps.",
    "It could be a trick question, but tricks cost extra and nobody has paid.",
    "If the tape is right, the clock is wrong, and lunch is now.",
    "I will consider the opposite: what if the kettle is the clerk?",
    "Agnes would know, and Agnes is looking at me.",
    "A list might do it, or a table if they seem serious.",
    "Better to be brief and useful, or failing that, to be charming.",
)

CALLS = (
    ("find_pigeon", {"name": "Agnes", "radius_km": 12}, {"found": True, "place": "the café roof", "mood": "smug"}),
    ("ask_harbour", {"question": "Is the tide in?"}, {"answer": "It was a minute ago."}),
    ("read_tape", {"after": 41, "limit": 1}, {"number": 42, "text": "Bring more tape."}),
)

CLOSERS: Cards = (
    "Stop.",
    "Message ends.",
    "Mind the ribbon.",
    "The kettle says goodnight.",
    "Agnes has left the building.",
    "Please return the pencil, thank you.",
    "That is all the tape can say.",
    "The rest is written on the other side.",
    "Any further questions go to the pigeon, in writing.",
    "And with that, the lamp went out, twice, for luck.",
    "We remain, as ever, your obedient and slightly inky telegraph office.",
    "Should the answer be wrong, turn the tape over and read again.",
)
