"""`python -m engine`: one engine process behind a socket. gunicorn.conf.py starts it; it also runs alone."""

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path

from engine.settings import EngineSettings
from models.errors import ModelsError
from processes.commands import name_command
from processes.logs import LOG_LEVELS, configure_logging
from processes.settings import SettingsError
from processes.stop_signals import call_at_stop
from processes.version import PRODUCT


def parse_arguments(arguments: list[str] | None = None) -> tuple[EngineSettings, argparse.Namespace]:
    """Parse the command line: where to listen, and the settings.

    The settings come as one JSON object (--settings), as from a supervisor, or from an option for each, as from a
    person. An option that is not given is taken from the service's setting of that name, SIGNCLIP_DTYPE for --dtype.

    Raises:
        SettingsError: a setting is wrong.
        SystemExit: an option is unknown or lacks its value.
    """
    parser = argparse.ArgumentParser(prog=name_command("engine"), description=__doc__)
    parser.add_argument("--version", action="version", version=PRODUCT)
    parser.add_argument("--address", required=True, help="ipc://PATH to listen on")
    parser.add_argument("--parent", type=int, help="process id whose end ends the engine")
    parser.add_argument("--record", type=Path, help="file to keep the names of the loaded models in")
    parser.add_argument(
        "--failure", type=Path, help="file to write why the engine cannot serve; it then ends, and waits for no files"
    )
    level = os.environ.get("SIGNCLIP_LOG_LEVEL") or "INFO"
    parser.add_argument("--log-level", type=str.upper, choices=LOG_LEVELS, default=level)
    parser.add_argument("--settings", metavar="JSON", help="every setting at once, instead of the options below")
    names = [field.name for field in fields(EngineSettings)]
    for name in names:
        parser.add_argument(f"--{name.replace('_', '-')}", help=f"default: SIGNCLIP_{name.upper()}, or the engine's")
    options = parser.parse_args(arguments)
    given: dict[str, object] = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.settings is not None:
        if given:
            raise SettingsError(f"--settings gives every setting; leave out --{next(iter(given)).replace('_', '-')}")
        return EngineSettings.from_json(options.settings), options
    from_environment = {name: os.environ.get(f"SIGNCLIP_{name.upper()}") for name in names}
    values = {name: value for name, value in from_environment.items() if value} | given
    if "preload" in values:
        values["preload"] = tuple(filter(None, str(values["preload"]).split(",")))
    return EngineSettings.from_values(values), options


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal or the end of the parent process.

    Returns:
        the exit status: 0 stopped in order, 1 the engine cannot start, 2 usage error.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given[:1] == ["--standby"]:
            from engine.standby import wait_for_arguments

            ordered = wait_for_arguments(given[1:])
            if ordered is None:
                return 0
            given = ordered
        settings, options = parse_arguments(given)
    except SettingsError as error:
        print(f"{name_command('engine')}: {error}", file=sys.stderr)
        return 2
    configure_logging(options.log_level)
    # Late, because torch comes with them, and a usage error need not wait for it.
    from engine.local import LocalEngine
    from engine.server import EngineServer
    from engine.tracing import open_traces

    traces = open_traces(os.environ.get("SIGNCLIP_TRACES"))
    try:
        engine = LocalEngine(settings, traces=traces)
    except ModelsError as error:
        return _report(str(error), options.failure)
    try:
        # 0700, because every process that can reach the socket can request vectors.
        Path(options.address.removeprefix("ipc://")).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        server = EngineServer(
            engine,
            options.address,
            parent=options.parent,
            record=options.record,
            ends_on_failure=options.failure is not None,
        )
    except OSError as error:
        print(f"the engine cannot listen on {options.address}: {error}", file=sys.stderr)
        engine.close()
        return 1
    call_at_stop(server.stop)
    failure = server.serve()
    if traces is not None:
        traces.close()
    return 0 if failure is None else _report(failure, options.failure)


def _report(failure: str, file: Path | None) -> int:
    """Report why the engine cannot start, to its supervisor or to the person who started it."""
    if file is None:
        print(f"the engine cannot start: {failure}", file=sys.stderr)
    else:
        file.write_text(failure, encoding="utf-8")
    return 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # An orderly exit takes a second of a core, because it takes torch apart, and there is nothing left to do.
    os._exit(status)
