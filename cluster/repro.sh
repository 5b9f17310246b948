#!/usr/bin/env bash
# `dvc repro` in a checkout that several machines share: one at a time, whichever machine it runs on.
# DVC's own lock names a process by its number. On another machine that number is somebody else's, or nobody's: what a
# lost job left may block for ever, and a job that runs elsewhere may not. The lock here is the file system's, which
# lets go of it when the last process that holds it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p .dvc/tmp
exec 9>.dvc/tmp/cluster.lock
if ! flock --nonblock 9; then
    echo "error: another dvc repro runs in $PWD, perhaps on another machine. Wait for its end, or stop that job." >&2
    exit 1
fi
rm -f .dvc/tmp/rwlock # of a job that was lost: nobody else runs one now
dvc repro "$@"
