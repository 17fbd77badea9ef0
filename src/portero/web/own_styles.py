"""The look of the few pages that Portero shows itself: one sheet, inside each page, allowed by its hash.

Nothing is loaded from anywhere, and a page's policy lets in exactly what stands in it.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; --accent: #2457c5; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 46rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 0; }
section, .card { border: 1px solid var(--line); border-radius: .6rem; margin: 1rem 0; padding: 1rem 1.25rem; }
.card { max-width: 26rem; margin: 12vh auto 0; padding: 2rem; text-align: center; }
.quiet, section p { opacity: .7; }
section p { font-size: .875rem; margin: .15rem 0 .75rem; }
pre { font: inherit; margin: 0; padding: .75rem; background: var(--soft); border-radius: .4rem; }
pre, .quiet { white-space: pre-wrap; overflow-wrap: anywhere; }
button { font: inherit; font-weight: 600; padding: .6rem 1.6rem; cursor: pointer;
  color: #fff; background: var(--accent); border: 0; border-radius: .4rem; }
button:hover { filter: brightness(1.1); }
button:focus-visible { outline: 3px solid #7ba4ff; outline-offset: 2px; }
"""


def source_of(block: str) -> str:
    """Return how a Content-Security-Policy names the text of one script or style: by its hash.

    >>> source_of("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'"


#: What a page with the sheet and nothing else may do.
POLICY: Final = f"default-src 'none'; style-src {source_of(STYLE)}; base-uri 'none'; frame-ancestors 'none'"
