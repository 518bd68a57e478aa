#!/bin/sh
# Made by docker/install.sh from docker/caffe/wrapper.sh: a program of Caffe's, whose interpreter finds .venv by the PATH.
# A card that is asked for and not there is said in one line; Caffe itself would abort.
venv="@VENV@" program="@PROGRAM@" gpu_build=@GPU@
case " $*" in
*" -gpu"* | *" --gpu"*)
    if [ $gpu_build = 0 ]; then
        echo "$(basename "$program"): --gpu: this Caffe is built for the CPU alone; run \`make setup GPU=1\`, or leave --gpu out" >&2
        exit 2
    fi
    # Linux, and Windows's subsystem for it.
    if [ ! -e /dev/nvidiactl ] && [ ! -e /dev/dxg ]; then
        echo "$(basename "$program"): --gpu: no NVIDIA card here (no /dev/nvidiactl); in a container, start it with --gpus all" >&2
        exit 2
    fi
    ;;
esac
# The faster layers, unless the path is one that LD_PRELOAD cannot name. The library takes itself out of the environment.
faster="$venv/lib/libpyhisto_cpu.so"
case "$faster" in
*[\ :]*) ;;
*) [ ! -f "$faster" ] || export LD_PRELOAD="$faster${LD_PRELOAD:+:$LD_PRELOAD}" ;;
esac
PATH="$venv/bin:$PATH" exec "$program" "$@"
