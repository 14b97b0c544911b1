# For tests of fetch: a server of the project's own images on the namespace NS, and what is asked of it.

fetch() {
	timeout 60 "$SHMSEM" fetch -N "$NS" "$@"
}

begin() {
	serve_start "$NS" "$@" "$SHMSEM_IMAGES"
}

finish() {
	serve_stop "$SERVER"
	assert_nothing_left
}
