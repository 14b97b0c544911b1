# bash completion for shmsem; what there is to offer, shmsem itself says.

_shmsem() {
	local line word="${COMP_WORDS[COMP_CWORD]}" lead="" last=$COMP_CWORD
	# bash takes "--option=value" for three words.
	if [ "$word" = = ] && ((last > 1)); then
		lead="${COMP_WORDS[last - 1]}=" word="" last=$((last - 1))
	elif ((last > 2)) && [ "${COMP_WORDS[last - 1]}" = = ]; then
		lead="${COMP_WORDS[last - 2]}=" last=$((last - 2))
	fi
	COMPREPLY=()
	while IFS= read -r line; do
		case "$line" in
		:files)
			compopt -o filenames
			while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$word")
			;;
		:directories)
			compopt -o filenames
			while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "$word")
			;;
		*)
			line="${line%%$'\t'*}"
			line=$(printf %q "${line#"$lead"}")
			COMPREPLY+=("${line//\\,/,}")
			;;
		esac
	# What was completed before stands there with its backslashes.
	done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:last - 1}" "$lead${word//\\/}" 2>/dev/null)
}

complete -F _shmsem shmsem
