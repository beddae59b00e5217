"""`signclip serve`: serves the API with gunicorn, and prints what is served when it is ready."""

import argparse
import os
import subprocess
import sys
from collections.abc import MutableMapping, Sequence
from difflib import get_close_matches

from gunicorn.config import KNOWN_SETTINGS

from app.listening import ListeningError, check_addresses
from app.settings import ServiceSettings, load_settings
from app.variables import SETTINGS
from models.checkpoints.folders import ROOT
from processes.commands import name_command
from processes.settings import SettingsError
from processes.version import PRODUCT

# Options, and the settings that they give. All others are given in the environment.
_SETTINGS = {
    "host": "SIGNCLIP_HOST",
    "port": "SIGNCLIP_PORT",
    "model": "SIGNCLIP_DEFAULT_MODEL",
    "device": "SIGNCLIP_DEVICE",
    "weights_dir": "SIGNCLIP_WEIGHTS_DIR",
}
# Addresses that stand for every address of the machine, and can be called at this one.
_EVERYWHERE = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Become gunicorn. The exit status is 2 if the settings are wrong, 1 if the port is taken."""
    parser = _build_parser()
    options, further = parser.parse_known_args(arguments)
    if (fault := find_option_fault(further, parser)) is not None:
        parser.error(fault)
    given = {variable: getattr(options, name) for name, variable in _SETTINGS.items()}
    os.environ.update({variable: value for variable, value in given.items() if value is not None})
    resolve_folders(os.environ)
    try:
        settings = load_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        # Before anything starts that would take another service at this port for its own.
        check_addresses(_find_addresses(settings, further))
    except ListeningError as error:
        print(f"The service cannot start: {error}", file=sys.stderr)
        return 1
    if not options.quiet:
        banner = [sys.executable, "-m", "app.banner", find_url(settings)]
        subprocess.Popen(banner, cwd=ROOT, stdin=subprocess.DEVNULL)
    os.chdir(ROOT)
    configuration = ["--config", str(ROOT / "gunicorn.conf.py"), "--workers", str(options.workers)]
    command = [sys.executable, "-m", "gunicorn", *configuration, *further, "app:app"]
    sys.stdout.flush()
    return os.execv(sys.executable, command)


def find_option_fault(further: Sequence[str], parser: argparse.ArgumentParser) -> str | None:
    """Say which option neither this command nor gunicorn has; None: all are known.

    Gunicorn completes what is cut off, so that it would take `--prot 3899` for its `--protocol`.
    """
    known = [flag for setting in KNOWN_SETTINGS for flag in setting.cli or ()]
    for word in further:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in known:
            near = get_close_matches(option, [*parser._option_string_actions, *known], n=1)
            return f"there is no option {option}" + (f"; did you mean {near[0]}?" if near else "")
    return None


def resolve_folders(environment: MutableMapping[str, str]) -> None:
    """Let folders of the settings count from where the user is, because the service runs in its own folder."""
    for setting in SETTINGS:
        folder = environment.get(setting.variable)
        if setting.name.endswith("_dir") and folder and "://" not in folder:
            environment[setting.variable] = os.path.abspath(folder)


def find_url(settings: ServiceSettings) -> str:
    """Find the address at which the service can be called on this machine."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{settings.port}"


def _find_addresses(settings: ServiceSettings, further: Sequence[str]) -> list[tuple[str, int]]:
    """Find where the service will listen; empty where systemd or an option of gunicorn decides that."""
    if "LISTEN_FDS" in os.environ or any(word.startswith(("-b", "--bind")) for word in further):
        return []
    return [(settings.host.strip("[]"), settings.port)]


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=name_command("app"),
        description="Serve the API over HTTP.",
        epilog="Other settings are given in the environment, as the README lists them. Options that are not listed "
        "here go to gunicorn.",
    )
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("--host", help="address to listen on (SIGNCLIP_HOST)")
    parser.add_argument("--port", help="port to listen on (SIGNCLIP_PORT)")
    parser.add_argument(
        "--workers",
        "-w",
        type=int,
        default=os.environ.get("WEB_CONCURRENCY", "1"),
        metavar="N",
        help="web workers; there is one copy of each model, however many there are",
    )
    parser.add_argument("--model", help="model that answers when a request names none (SIGNCLIP_DEFAULT_MODEL)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1 or auto (SIGNCLIP_DEVICE)")
    parser.add_argument("--weights-dir", help="folder of the models' weights (SIGNCLIP_WEIGHTS_DIR)")
    parser.add_argument("--quiet", action="store_true", help="do not print what is served when it is ready")
    return parser


if __name__ == "__main__":
    sys.exit(main())
