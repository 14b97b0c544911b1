# Bare Debian roots, for the steps that want a system of their own. Needs root, debootstrap and the network.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

# mirror -- where this host gets its packages from
mirror() {
	local uri
	uri=$(grep -hE '^(URIs:|deb )' /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
		grep -oE 'https?://[^ ]*debian\.org/debian/?( |$)' | head -1)
	echo "${uri:-http://deb.debian.org/debian}"
}

# mirror_has SUITE
mirror_has() {
	local uri
	uri=$(mirror)
	python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=30)' "${uri%/}/dists/$1/Release"
}

# make_root SUITE FOLDER -- tries three times: a mirror may be busy
make_root() {
	local suite=$1 root=$2 try
	for try in 1 2 3; do
		rm -rf --one-file-system "$root"
		debootstrap --variant=minbase "$suite" "$root" "$(mirror)" && break
		[ "$try" != 3 ] || return 1
		sleep 10
	done
	cp /etc/resolv.conf "$root/etc/"
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/99ci" # nobody misses it after a loss of power
	grep -il proxy /etc/apt/apt.conf.d/* 2>/dev/null | xargs -r cp -t "$root/etc/apt/apt.conf.d"
	cat >"$root/etc/apt/apt.conf.d/99ci" <<-'END'
		Acquire::Retries "5";
		Acquire::Languages "none";
		Acquire::Check-Valid-Until "false";
		Acquire::Check-Date "false";
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
	END
	inside "$root" apt-get update -q
}

# inside ROOT COMMAND... -- runs it in the root, with mounts, processes and a /dev/shm of its own
inside() {
	local root=$1
	shift
	# shellcheck disable=SC2016 # for the shell within
	unshare --mount --pid --fork --kill-child sh -c '
		mount --make-rprivate / && mount -t proc proc "$0/proc" && mount -t sysfs sysfs "$0/sys" &&
		mount --rbind /dev "$0/dev" &&
		mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm" && exec chroot "$0" "$@"' "$root" "$@"
}
