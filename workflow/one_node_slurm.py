"""A SLURM of one node that lives in a folder and runs as root: munged, slurmctld and slurmd of Debian's packages.

For tests, and to try the book on it; it stays until it is told to end (Ctrl-C):

    python workflow/one_node_slurm.py FOLDER &
    make book CLUSTER=slurm PROFILE=smoke

With `--check` it only says what it lacks here, and ends with 1 if it lacks anything.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")

PLACE = Path("/etc/slurm/slurm.conf")
"""Where SLURM's programs look; the variable SLURM_CONF does not reach the steps of Snakemake's jobs."""

CONFIGURATION = """
ClusterName=book
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MinJobAge=3600
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """What a SLURM of one's own lacks here, or None."""
    if os.geteuid() != 0:
        return "only root can start a SLURM"
    if PLACE.exists():
        return f"a SLURM is set up here already ({PLACE})"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    lacking = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    return f"no {', '.join(lacking)} here (Debian: slurm-wlm, munge)" if lacking else None


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Start it, and stop it and its jobs at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    file = folder / "slurm.conf"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    file.write_text(CONFIGURATION.format(
        folder=folder, host=socket.gethostname().partition(".")[0], ports=_free_ports(2), cpus=os.cpu_count(),
        memory=int(memory * 0.9),
    ))  # fmt: skip
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path}
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.unlink(missing_ok=True)  # a link that a killed one has left
    PLACE.symlink_to(file)
    try:
        subprocess.run(
            ["munged", "--force", f"--socket={folder}/munge.socket", f"--key-file={key}",
             f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed"],
            env=environment, check=True,
        )  # fmt: skip
        for name in ("slurmctld", "slurmd"):
            subprocess.run([name], env=environment, check=True)
        _wait_for_node(environment)
        yield
    finally:
        subprocess.run(["scancel", "--user=root", "--full"], env=environment, check=False, timeout=30)
        for name in ("slurmd", "slurmctld", "munged"):
            _stop(folder / f"{name}.pid")
        PLACE.unlink()


def _wait_for_node(environment: dict[str, str]) -> None:
    for _ in range(60):
        done = subprocess.run(["sinfo", "-h", "-o", "%t"], env=environment, capture_output=True, text=True)
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise RuntimeError(f"the node did not come up: {done.stdout}{done.stderr}")


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _stop(pid_file: Path) -> None:
    if pid_file.is_file():
        try:
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        except ProcessLookupError:
            return


def main() -> None:
    why = missing()
    if why or sys.argv[1:] == ["--check"]:
        print(why or "nothing is missing")
        sys.exit(1 if why else 0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(sys.argv[1]).resolve()
    with running(folder), suppress(KeyboardInterrupt):
        print("ready", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
