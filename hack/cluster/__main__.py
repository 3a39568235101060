"""``python -m hack.cluster``: a whole Kubernetes with KServe on this machine, up and down."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from hack.cluster import binaries, bringup, images, layout, status, teardown, usage
from hack.cluster.progress import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except RuntimeError as error:
        say(f"error: {error}")
        return 1
    except subprocess.CalledProcessError as error:
        say(f"error: {error}\n{error.stderr or ''}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build the Go programs that are missing")
    build.add_argument("parts", nargs="*", choices=[[], *(part.name for part in binaries.PARTS)])
    commands.add_parser("up", help="start the cluster, or what is missing of it")
    commands.add_parser("down", help="stop it and remove everything but caches and logs; says what is left")
    shown = commands.add_parser("status", help="what runs, addresses, image tags; exit code 1 unless all is well")
    shown.add_argument("-o", "--output", choices=["text", "json"], default="text")
    measured = commands.add_parser("usage", help="memory and processors that each process takes, pods included")
    measured.add_argument("-o", "--output", choices=["text", "json"], default="text")
    measured.add_argument(
        "--seconds", type=float, default=5.0, help="to measure processors over (default: %(default)s)"
    )
    made = commands.add_parser("images", help="build and import images that changed")
    made.add_argument("names", nargs="*", choices=[[], *(image.name for image in images.IMAGES)])
    commands.add_parser("kubeconfig", help="print the administrator's kubeconfig")
    for name, text in (("start", "start one process"), ("stop", "stop one process"), ("logs", "show a process's log")):
        command = commands.add_parser(name, help=text)
        command.add_argument("name", metavar="NAME", help="as `status` lists it")
        if name == "logs":
            command.add_argument("-f", "--follow", action="store_true", help="go on showing what is added")
            command.add_argument("-n", "--lines", type=int, default=50)
    return parser


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "build":
            binaries.build(*options.parts)
        case "up":
            bringup.up()
        case "down":
            return 0 if teardown.down() else 1
        case "status":
            return 0 if status.show(as_json=options.output == "json") else 1
        case "usage":
            return 0 if usage.show(options.seconds, as_json=options.output == "json") else 1
        case "images":
            new = bringup.deliver(tuple(options.names))
            say(f"New in the cluster: {', '.join(new)}" if new else "Nothing changed")
        case "kubeconfig":
            print(layout.KUBECONFIG.read_text(), end="")
        case "start" | "stop" | "logs":
            return _one(options)
    return 0


def _one(options: argparse.Namespace) -> int:
    if options.name not in bringup.known():
        say(f"There is no process {options.name}; there are: {', '.join(bringup.known())}")
        return 2
    if options.command == "start":
        bringup.start(options.name)
    elif options.command == "stop":
        bringup.stop(options.name)
    elif options.follow:
        bringup.follow(options.name, options.lines)
    else:
        print(layout.control_plane().processes.tail(options.name, options.lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
