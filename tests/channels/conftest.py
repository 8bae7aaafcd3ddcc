"""The sample post, the platform double and the memory shelf are shared with the contract suite."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))
