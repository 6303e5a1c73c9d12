"""Other people's clients lie in a folder of their own, and the tests here look into it, after everything else.

A test that imports one of them belongs into this folder. What the project itself has installed goes before what they
bring, and servers in processes of their own never see them.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(sys.prefix) / "clients"))
