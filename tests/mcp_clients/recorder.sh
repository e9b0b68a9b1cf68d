#!/bin/sh
# Starts a server and keeps what went over the wire, in the first free directory 1, 2, 3 ... of the first argument: what
# was said to the server (`said`), what it said (`heard`) and its exit code (`exit`). A client may start several.
number=1
until mkdir "$1/$number" 2>/dev/null; do
  number=$((number + 1))
done
record=$1/$number
shift
tee "$record/said" | {
  "$@"
  echo $? >"$record/exit"
} | tee "$record/heard"
