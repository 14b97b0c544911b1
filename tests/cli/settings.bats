# A test has settings of its own, whatever started it (tests/settings).

bats_require_minimum_version 1.5.0

@test "signals, limits, locale and umask of who starts the tests are not those of the tests" {
	run -0 sh -c 'trap "" HUP INT TERM PIPE; umask 077; ulimit -S -n 64; ulimit -S -f 8
		exec env LC_ALL=C SHMSEM_NAMESPACE=other "$1" sh -c '\''
			grep SigIgn /proc/self/status; umask; ulimit -S -n; ulimit -S -f; echo $LC_ALL $SHMSEM_NAMESPACE'\''' sh "$SHMSEM_TESTS/../settings"
	echo "$output"
	[[ "${lines[0]}" =~ ^SigIgn:.0*$ ]]
	[ "${lines[1]}" = 0022 ] && [ "${lines[2]}" = 1024 ] && [ "${lines[3]}" = unlimited ] && [ "${lines[4]}" = C.UTF-8 ]
}
