#!/usr/bin/env bash
# A SLURM of one node, this machine, without systemd: to try the profile workflow/profiles/slurm where there is no cluster.
#
#   apt-get install slurm-wlm munge
#   one_node_slurm.sh start DIR     # an empty folder; then: export SLURM_CONF=DIR/slurm.conf PATH=DIR/bin:$PATH
#   one_node_slurm.sh stop DIR      # ends its jobs, too
#
# Whoever starts it owns it, and only they can submit. DIR holds its settings, logs (*.log) and sockets.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
action=${1:-} folder=$(realpath -m "${2:?give start or stop, and a folder}")
export SLURM_CONF=$folder/slurm.conf

fail() { echo "one_node_slurm.sh: $*" >&2; exit 2; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'; }

start() {
    for program in munged slurmctld slurmd sbatch; do
        command -v $program >/dev/null || fail "no $program: apt-get install slurm-wlm munge"
    done
    [ -z "$(ls -A "$folder" 2>/dev/null)" ] || fail "$folder is not empty: give another folder"
    mkdir -p "$folder/state" "$folder/spool" "$folder/bin"
    chmod 755 "$folder"
    (umask 077 && head -c 1024 /dev/urandom > "$folder/munge.key")
    local host cores memory
    host=$(hostname -s) cores=$(nproc) memory=$(awk "/MemTotal/ { print int(\$2 / 1024) }" /proc/meminfo)
    cat > "$SLURM_CONF" << END
ClusterName=one_node
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
    # Snakemake's plugin calls srun in a job without the variable that says where the settings are.
    printf '#!/bin/sh\nSLURM_CONF=%q exec %q "$@"\n' "$SLURM_CONF" "$(command -v srun)" > "$folder/bin/srun"
    chmod +x "$folder/bin/srun"
    # Without --force munged refuses a socket in a folder that is not open to all: this one is for its owner alone.
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --seed-file="$folder/munge.seed" --log-file="$folder/munged.log" 2>> "$folder/munged.log"
    slurmctld
    slurmd
    for _ in $(seq 60); do
        [ "$(sinfo --noheader --format=%T 2>/dev/null)" != idle ] || return 0
        sleep 0.5
    done
    stop
    fail "the node does not come up; see $folder/*.log"
}

stop() {
    scancel --user "$(id -un)" 2>/dev/null || true
    local daemon pid
    for daemon in slurmd slurmctld munged; do
        pid=$(cat "$folder/$daemon.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 40); do
            kill -0 "$pid" 2>/dev/null || continue 2
            sleep 0.25
        done
        kill -9 "$pid" 2>/dev/null || true
    done
}

case $action in
    start) start ;;
    stop) stop ;;
    *) fail "give start or stop, and a folder" ;;
esac
