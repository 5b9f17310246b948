#!/usr/bin/env bash
# The study that params.yaml names, on Slurm: `sbatch cluster/slurm.sh` from the checkout, which lies on a disk that all
# nodes share. Ask for other nodes on the command line: `sbatch --nodes=8 --gpus-per-node=4 cluster/slurm.sh`.
# A job that ran out of time is submitted again and continues with the trials that are missing.
#SBATCH --job-name=dmf
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --output=dmf-%j.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?start this with sbatch}"

# SQLite on a disk that nodes share loses what it holds; docs/cluster.md tells how to start a server.
: "${MLFLOW_TRACKING_URI:?name an MLflow server (http://HOST:5000), or a file on this node: sqlite:////tmp/mlflow.db}"

# Ray listens on every interface of the nodes: without the token anybody on the network could run code on them.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN

export PATH="$PWD/.venv/bin:$PATH"
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000)) # two jobs may share a node

srun --export=ALL ray symmetric-run --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" -- env "RAY_ADDRESS=$head:$port" cluster/repro.sh
