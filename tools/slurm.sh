#!/bin/bash
# Four machines of eight GPUs. When the job is preempted, or its time is nearly up, every process is sent SIGUSR1; fbmon
# saves, and the job goes back into the queue. Started again it goes on with its run, and says so.
#SBATCH --job-name=fbmon
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append

export FBMON_RUNS="$HOME/runs" # shared by all machines
export FBMON_DATA="$HOME/data" # holds cifar-10-batches-py

srun --kill-on-bad-exit=1 fbmon run fb_strong_reg --no-ui
code=$?
if [ $code -eq 75 ]; then # saved, and wants to go on
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
