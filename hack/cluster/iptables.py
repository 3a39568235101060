"""Rules: which lines of iptables are the cluster's, and how to take out exactly those."""

from __future__ import annotations

import re
import subprocess

_CHAINS = ("KUBE-", "CNI-")
_COMMANDS = ("iptables", "ip6tables")


def ours(saved: str, network: str) -> list[str]:
    """Lines of `iptables-save` that belong to the cluster: Kubernetes' and the plugins' chains, and jumps to them.

    CNI chains of other networks stay. Input is the whole output of `iptables-save`.
    """
    lines = saved.splitlines()
    foreign = _foreign_chains(lines, network)
    return [line for line in lines if _names(line) and not _names(line) & foreign]


def removal(saved: str, network: str) -> str:
    """What to feed to `iptables-restore --noflush` to take the cluster's rules out; empty if there are none."""
    result: list[str] = []
    lines = saved.splitlines()
    foreign = _foreign_chains(lines, network)
    for table, content in _tables(lines):
        chains = [name for line in content if line.startswith(":") for name in _names(line) - foreign]
        jumps = [
            line
            for line in content
            if line.startswith("-A ") and line.split()[1] not in chains and _names(line) and not _names(line) & foreign
        ]
        if chains or jumps:
            result += [f"*{table}", *(f"-D {line.removeprefix('-A ')}" for line in jumps)]
            # All are emptied before the first is deleted, since they refer to one another.
            result += [*(f"-F {chain}" for chain in chains), *(f"-X {chain}" for chain in chains), "COMMIT"]
    return "\n".join(result) + "\n" if result else ""


def remove(network: str) -> None:
    """Take the cluster's rules out of both families."""
    for command in _COMMANDS:
        if instructions := removal(_saved(command), network):
            done = subprocess.run(
                [f"{command}-restore", "--noflush"], input=instructions, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise RuntimeError(f"{command}-restore: {done.stderr.strip()}")


def remaining(network: str) -> list[str]:
    """The cluster's rules that are there now, of both families."""
    return [line for command in _COMMANDS for line in ours(_saved(command), network)]


def _saved(command: str) -> str:
    return subprocess.run([f"{command}-save"], capture_output=True, text=True, check=False).stdout


def _tables(lines: list[str]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("*"):
            found.append((line[1:], []))
        elif found and line != "COMMIT" and not line.startswith("#"):
            found[-1][1].append(line)
    return found


def _names(line: str) -> set[str]:
    """Chains of Kubernetes or CNI that a line declares, fills or jumps to. Comments do not count."""
    if line.startswith(":"):
        words = [line[1:].split()[0]]
    elif line.startswith("-A "):
        words = [line.split()[1], *re.findall(r"(?:^|\s)-[jg] (\S+)", re.sub(r'"[^"]*"', "", line))]
    else:
        return set()
    return {word for word in words if word.startswith(_CHAINS)}


def _foreign_chains(lines: list[str], network: str) -> set[str]:
    """CNI chains whose rules carry the name of another network in their comments."""
    own = f'name: \\"{network}\\"'
    commented = [line for line in lines if line.startswith("-A ") and 'name: \\"' in line]
    return {name for line in commented if own not in line for name in _names(line) if name.startswith("CNI-")}
