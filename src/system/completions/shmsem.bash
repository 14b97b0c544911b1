# bash completion for shmsem; what there is to offer, shmsem itself says.

_shmsem() {
	local line word="${COMP_WORDS[COMP_CWORD]}"
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
		*) COMPREPLY+=("$(printf %q "${line%%$'\t'*}")") ;;
		esac
	done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -F _shmsem shmsem
