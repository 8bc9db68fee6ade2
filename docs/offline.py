"""Lets the search of the site work from the disk: `make site` calls it on the folder of the finished site.

A page that is opened as a file may neither fetch `search.json` nor start a worker from a file. The theme then asks for
`search.js` instead, a script with the same index. This writes it, with the worker's code beside the index, so that the
worker starts from there. Pages from a server do not ask for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

WORKER = """\
(() => {
  const Original = window.Worker;
  window.Worker = function (address, options) {
    const ours = String(address).includes("/workers/search.");
    const blob = () => new Blob([__worker], { type: "text/javascript" });
    return new Original(ours ? URL.createObjectURL(blob()) : address, options);
  };
})();
"""


def script(index: str, code: str) -> str:
    """Return search.js for the index of a site and the code of its worker."""
    return f"var __index = {json.dumps(json.loads(index))};\nconst __worker = {json.dumps(code)};\n{WORKER}"


def write(site: Path) -> None:
    """Write search.js into a finished site."""
    [worker] = site.glob("assets/javascripts/workers/search.*.js")
    index = (site / "search.json").read_text(encoding="utf-8")
    (site / "search.js").write_text(script(index, worker.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
