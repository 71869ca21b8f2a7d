"""A real Slurm of one node on this machine, from Debian's packages slurmctld, slurmd, slurm-client and munge."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving import free_port

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Programs of Slurm that are not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return [name for name in _PROGRAMS if shutil.which(name, path=path) is None]


@contextmanager
def running_slurm(folder: Path) -> Iterator[None]:
    """Start it, with ``SLURM_CONF`` set for its clients; end it."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host, ports = socket.gethostname().split(".")[0], [free_port(), free_port()]
    conf = folder / "slurm.conf"
    conf.write_text(_CONF.format(host=host, ports=ports, folder=folder, cpus=os.cpu_count()))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    os.environ["SLURM_CONF"] = str(conf)
    munge = ["/usr/sbin/munged", "-F", "-f", f"--socket={folder}/munge.socket", f"--key-file={key}"]
    munge += [f"--pid-file={folder}/munge.pid", f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"]
    commands = [munge, ["/usr/sbin/slurmctld", "-D", "-f", str(conf)], ["/usr/sbin/slurmd", "-D", "-f", str(conf)]]
    daemons = []
    try:
        for command in commands:
            daemons.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(1)
        _wait_for_node()
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(20)
        del os.environ["SLURM_CONF"]


def _wait_for_node() -> None:
    for _ in range(60):
        shown = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
        if shown.stdout.strip() == "idle":
            return
        time.sleep(1)
    raise TimeoutError(f"Slurm's node is not idle but {shown.stdout.strip() or shown.stderr.strip()}")
