"""Modules of the playground, run by node: what a test asks of them comes back as JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PLAYGROUND = Path(__file__).resolve().parents[2] / "app" / "playground"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed, which runs the page's modules here")

# Node fetches no files; browsers fetch them from the service.
_PRELUDE = """
import { readFile, writeFile } from "node:fs/promises";
const { fetch: ask } = globalThis;
globalThis.fetch = async (url, options) =>
  String(url).startsWith("file:") ? new Response(await readFile(new URL(url))) : ask(url, options);
const load = (name) => import(new URL(name, process.argv[2]));
const asked = process.argv.slice(3);
const readBytes = async (path) => new Uint8Array(await readFile(path));
"""


def run_javascript(folder: Path, script: str, *arguments: object) -> Any:
    """Run the body of a module that ends in `answer = …`, and give what it answered.

    Args:
        folder: where the script is written.
        script: may call `load("pose/reader.js")`, `readBytes(path)` and `writeFile(path, bytes)`; `asked` are the
            arguments as texts.
    """
    assert NODE is not None
    written = folder / "script.mjs"
    written.write_text(f"{_PRELUDE}\nlet answer = null;\n{script}\nconsole.log(JSON.stringify(answer));\n", "utf-8")
    command = [NODE, "--no-warnings", "--experimental-default-type=module", str(written), f"{PLAYGROUND.as_uri()}/"]
    ran = subprocess.run([*command, *map(str, arguments)], capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return json.loads(ran.stdout)
