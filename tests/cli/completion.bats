# What the shells offer: each is asked as its user's key would ask it.

bats_require_minimum_version 1.5.0

load server.bash

setup() {
	PATH="$(dirname "$SHMSEM"):$PATH"
}

teardown() {
	serve_end_all
}

# in_bash WORD... -- what bash offers for the last word
in_bash() {
	bash --norc -c '
		source "$1"
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		compopt() { :; }
		_shmsem
		printf "%s\n" "${COMPREPLY[@]}"' bash "$SHMSEM_COMPLETIONS/shmsem.bash" "$@"
}

# in_zsh WORD... -- the same in zsh, with its own builtins replaced by printing
in_zsh() {
	zsh -fc '
		script=$1
		shift
		words=("$@") CURRENT=$#
		compadd() { print -rl -- "${candidates[@]}" }
		_files() { print -r -- "files $*" }
		compset() { }
		source $script' zsh "$SHMSEM_COMPLETIONS/_shmsem" "$@"
}

# in_fish LINE -- the same in fish
in_fish() {
	HOME="$BATS_TEST_TMPDIR" fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$SHMSEM_COMPLETIONS/shmsem.fish" "$1" |
		cut -f1
}

@test "every command and every option of the tables is offered" {
	local command option
	for command in $("$SHMSEM" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		in_bash shmsem "$command" | grep -qx "$command"
		for option in $("$SHMSEM" "$command" --help | grep -o '^ .\{5\}--[a-z-]*' | grep -o -- '--.*'); do
			in_bash shmsem "$command" "$option" | grep -qxe "$option"
		done
	done
}

@test "bash, zsh and fish offer the same" {
	serve_start offered "$SHMSEM_IMAGES"
	for words in "shmsem se" "shmsem fetch --na" "shmsem fetch -N off" "shmsem fetch -N offered ap" "shmsem prefetch -N offered ap" "shmsem bogus x"; do
		# shellcheck disable=SC2086 # several words
		in_bash $words | sort >"$BATS_TEST_TMPDIR/bash"
		# shellcheck disable=SC2086
		in_zsh $words | sort >"$BATS_TEST_TMPDIR/zsh"
		in_fish "$words" | sort >"$BATS_TEST_TMPDIR/fish"
		diff <(sed '/^$/d' "$BATS_TEST_TMPDIR/bash") <(sed '/^$/d' "$BATS_TEST_TMPDIR/zsh")
		diff <(sed '/^$/d' "$BATS_TEST_TMPDIR/bash") <(sed '/^$/d' "$BATS_TEST_TMPDIR/fish")
	done
	serve_stop "$SERVER"
}

@test "live namespaces and the names of their images are offered" {
	serve_start offered "$SHMSEM_IMAGES"
	run -0 in_bash shmsem fetch --namespace ""
	[ "$output" = offered ]
	run -0 in_bash shmsem fetch -N offered ""
	[ "$output" = "$(ls "$SHMSEM_IMAGES")" ]
	run -0 in_bash shmsem prefetch -N offered ""
	[ "$output" = "$(ls "$SHMSEM_IMAGES")" ]
	run -0 in_bash shmsem fetch -N nobody ""
	[ -z "$output" ]
	run -0 in_bash shmsem cleanup ""
	[ "$output" = offered ]
	run -0 in_bash shmsem cleanup --foreign ""
	[ -z "$output" ]
	serve_stop "$SERVER"
}

@test "bash goes on from a name with a blank that it has quoted" {
	mkdir "$BATS_TEST_TMPDIR/blank"
	cp "$SHMSEM_IMAGES/ball.png" "$BATS_TEST_TMPDIR/blank/my ball.png"
	cp "$SHMSEM_IMAGES/ball.png" "$BATS_TEST_TMPDIR/blank/my bag.png"
	serve_start offered "$BATS_TEST_TMPDIR/blank"
	[ "$(in_bash shmsem fetch -N offered 'my\ ba')" = $'my\\ bag.png\nmy\\ ball.png' ]
	[ "$(in_bash shmsem fetch -N offered 'my\ bal')" = 'my\ ball.png' ]
	serve_stop "$SERVER"
}

@test "folders and files are offered where they are wanted" {
	mkdir "$BATS_TEST_TMPDIR/folder"
	touch "$BATS_TEST_TMPDIR/file"
	cd "$BATS_TEST_TMPDIR"
	run -0 in_bash shmsem serve fo
	[ "$output" = folder ]
	run -0 in_bash shmsem serve fi
	[ -z "$output" ]
	run -0 in_bash shmsem fetch --icc fi
	[ "$output" = file ]
	run -0 in_bash shmsem prefetch --order fi
	[ "$output" = file ]
	run -0 in_zsh shmsem serve fo
	[ "$output" = "files -/" ]
	run -0 in_fish "shmsem serve fo"
	[ "$output" = folder/ ]
}

@test "values of options are offered by each shell" {
	local values=$'age\nname\nsize'
	[ "$(in_bash shmsem list --sort '' | sort)" = "$values" ]
	[ "$(in_bash shmsem list --sort = '' | sort)" = "$values" ]
	[ "$(in_bash shmsem list --sort = n)" = name ]
	[ "$(in_bash shmsem list --color =  | sort)" = $'always\nauto\nnever' ]
	[ "$(in_zsh shmsem list --sort '' | sort)" = "$values" ]
	[ "$(in_zsh shmsem list --sort=n)" = --sort=name ]
	[ "$(in_fish 'shmsem list --sort ' | sort)" = "$values" ]
	in_fish 'shmsem list --sort=n' | grep -q 'name$'
	[ "$(in_bash shmsem list -o NAME,AL)" = NAME,ALLOC ]
	[ "$(in_bash shmsem list --output = NAME,AL)" = NAME,ALLOC ]
	[ "$(in_zsh shmsem list --output=NAME,AL)" = --output=NAME,ALLOC ]
	serve_start offered "$SHMSEM_IMAGES"
	[ "$(in_bash shmsem fetch --namespace = off)" = offered ]
	[ "$(in_zsh shmsem fetch --namespace=off)" = --namespace=offered ]
	[ "$(in_fish 'shmsem fetch --namespace=off')" = --namespace=offered ]
	serve_stop "$SERVER"
	cd "$BATS_TEST_TMPDIR"
	touch profile.icc
	[ "$(in_bash shmsem fetch --icc = pro)" = profile.icc ]
	[ "$(in_zsh shmsem fetch --icc=pro)" = 'files ' ]
	[ "$(in_fish 'shmsem fetch --icc=pro')" = --icc=profile.icc ]
}

@test "the words that options of fetch and bench take are offered, and taken" {
	local option value
	for option in scale channels layout depth resample type; do
		[ -n "$(in_bash shmsem fetch "--$option" '')" ]
		for value in $(in_bash shmsem fetch "--$option" ''); do
			[ "$option" != resample ] || value="$value --size 5x5"
			[ "$option" != type ] || value="$value -o x"
			# No server is there; a wrong word is refused before one is looked for.
			# shellcheck disable=SC2086 # several words
			run -69 "$SHMSEM" fetch -N nobody "--$option" $value apple
		done
	done
	[ "$(in_bash shmsem prefetch --resample la)" = lanczos ]
	[ "$(in_bash shmsem bench -m '' | sort)" = "$("$SHMSEM" bench --list | cut -d' ' -f1 | sort)" ]
	[ "$(in_bash shmsem bench -m pipe,posix)" = "$("$SHMSEM" bench --list | sed -n 's/^\(posix[^ ]*\) .*/pipe,\1/p')" ]
	[ "$(in_bash shmsem bench '' | sort | xargs)" = "decode fetch python transport" ]
	cd "$BATS_TEST_TMPDIR"
	touch fetched
	[ "$(in_bash shmsem bench fet)" = fetch ]
	[ "$(in_bash shmsem bench fetch fet)" = fetched ]
}
