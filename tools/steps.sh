# Sourced by ./dev: runs the steps of a command, each with its log in build/log/, a line of progress and its time.

readonly log_dir=build/log
steps=()     # "name<TAB>seconds<TAB>result", in order
failed=0
mkdir -p "$log_dir"
set -m  # a step and all it starts are one process group, which Ctrl-C ends as one

# What a running step last said, in one line: a ninja counter, a ctest or pytest line.
last_words() { tail -c 400 "$1" 2>/dev/null | tr '\r' '\n' | grep -v '^ *$' | tail -n 1 | cut -c "1-${2}"; }

# Shows that a step is alive: on a terminal one line that is rewritten, elsewhere a line a minute.
watch_step() {
  local pid=$1 name=$2 log=$3 start=$SECONDS spoke=$SECONDS
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.3
    if [ -t 1 ]; then
      printf '\r\033[K  %-12s %4ds  %s' "$name" $((SECONDS - start)) "$(last_words "$log" $((${COLUMNS:-100} - 24)))"
    elif ((SECONDS - spoke >= 60)); then
      spoke=$SECONDS
      printf '  %-12s %4ds  %s\n' "$name" $((SECONDS - start)) "$(last_words "$log" 76)"
    fi
  done
  [ ! -t 1 ] || printf '\r\033[K'
}

# What a reader needs of a failed log: the compiler's errors if it is ninja's, else its end.
show_failure() {
  if grep -q '^FAILED: ' "$1"; then
    grep -A 25 '^FAILED: ' "$1" | grep -v '/usr/bin/c++ -D\|ccache' | head -n 60
  else
    tail -n 60 "$1"
  fi
}

# step <name> <command...>: runs it; a failure is shown and remembered, and is the return value.
step() {
  local name=$1 log="$log_dir/$1.log" start=$SECONDS code=0 result=ok
  shift
  "$@" >"$log" 2>&1 </dev/null &
  local pid=$!
  # shellcheck disable=SC2064  # this step's group, not a later one's
  trap "kill -- -$pid; exit 130" INT TERM
  watch_step "$pid" "$name" "$log"
  wait "$pid" || code=$?
  trap - INT TERM
  if [ "$code" != 0 ]; then
    result=FAILED
    failed=1
  fi
  printf '  %-12s %4ds  %s\n' "$name" $((SECONDS - start)) "$result"
  steps+=("$name"$'\t'$((SECONDS - start))$'\t'"$result")
  if [ "$code" != 0 ]; then
    show_failure "$log" | sed 's/^/    /'
    echo "    (the whole log: $log)"
  fi
  return "$code"
}

# skip <name> <reason>: says that a step was not run; it counts as neither passed nor failed.
skip() {
  printf '  %-12s    -   not run: %s\n' "$1" "$2"
  steps+=("$1"$'\t-\t'"not run: $2")
}

# The table at the end: each step with its time.
show_times() {
  [ ${#steps[@]} -gt 1 ] || return 0
  local line name seconds result
  echo
  printf '  %-12s %6s  %s\n' step seconds result
  for line in "${steps[@]}"; do
    IFS=$'\t' read -r name seconds result <<<"$line"
    printf '  %-12s %6s  %s\n' "$name" "$seconds" "$result"
  done
  printf '  %-12s %6s\n' total "$SECONDS"
}
