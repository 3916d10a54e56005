"""Makes typings of some of the keystrokes that schemathesis makes up: none of those have as many as the text has keys."""

import json
from pathlib import Path

import schemathesis

ROOT = Path(__file__).parents[2]
KEYS = json.loads((ROOT / "models" / "manifest.json").read_text())["keys"]
LONGEST_MS = 3000


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """A text as it stands, as the examples are; anything else as one line."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@schemathesis.hook
def map_body(context, body):
    """Puts good keystrokes in the place of good ones: what is wrong with a body stays wrong."""
    if not isinstance(body, dict):
        return body
    samples = body.get("samples")
    if isinstance(samples, list):
        return {**body, "samples": [map_body(context, sample) for sample in samples]}
    attempts = body.get("attempts")
    if isinstance(attempts, list):
        return {**body, "attempts": [typed(attempt) for attempt in attempts]}
    return typed(body)


def typed(sample):
    keystrokes = sample.get("keystrokes") if isinstance(sample, dict) else None
    # Every other length stays as it is, for its 422.
    if not isinstance(keystrokes, list) or len(keystrokes) % 2 or not all(map(is_keystroke, keystrokes)):
        return sample
    times = [abs(time) % LONGEST_MS for key in keystrokes for time in key.values()] or [0]
    made, press = [], 0
    for i in range(KEYS):
        made.append({"press": press, "release": press + times[2 * i % len(times)]})
        press += times[(2 * i + 1) % len(times)]
    return {**sample, "keystrokes": made}


def is_keystroke(key):
    return isinstance(key, dict) and set(key) == {"press", "release"} and all(map(is_time, key.values()))


def is_time(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53
