"""`python recipes.py ADDRESS FOLDER`: runs every recipe of docs/clients.md, as a line of JSON each.

A recipe is right when it ends well and prints what all of them print: two vectors of 128 numbers. FOLDER has the
packages of the JavaScript recipes. Runs in the virtual environment of the clients, in the root of the checkout.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

EXPECTED = "2 128"
SERVICE = "http://localhost:3030"


def main() -> None:
    """Run the recipes and print their outcomes."""
    address, folder = sys.argv[1:]
    page = Path("docs/clients.md").read_text(encoding="utf-8").replace(SERVICE, address)
    for heading, section in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE):
        for number, (language, code) in enumerate(re.findall(r"```(python|javascript)\n(.*?)```", section, re.DOTALL)):
            note = run(language, code, Path(folder))
            row = {"client": "docs/clients.md", "call": f"{heading}, {number + 1}", "is_right": not note, "note": note}
            print(json.dumps(row), flush=True)


def run(language: str, code: str, folder: Path) -> str:
    """Run a recipe; what was wrong, in one line, or nothing."""
    if language == "python":
        command = [sys.executable, "-c", code]
    else:
        script = folder / "recipe.mjs"  # beside node_modules, where node looks for packages
        script.write_text(code, encoding="utf-8")
        command = ["node", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if language == "javascript":
        script.unlink()
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1][:300]
    shown = done.stdout.strip().splitlines()[-1:]
    return "" if shown == [EXPECTED] else f"it printed {shown}, not {EXPECTED!r}"


if __name__ == "__main__":
    main()
