# bash completion for shmemu: it says itself what a word may become (shmemu complete).
_shmemu() {
	local IFS=$' \t\n' words line word
	read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
	[[ ${COMP_LINE:COMP_POINT-1:1} != [[:space:]] ]] || words+=('')
	word=${words[-1]}
	while IFS= read -r line; do
		case $line in
		:folders) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -S / -- "${word#*=}"); compopt -o nospace ;;
		:files) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${word#*=}"); compopt -o filenames ;;
		':command '*)
			if declare -F _command_offset >/dev/null; then
				_command_offset $((${line#* } + 1))
			elif [ ${#words[@]} = $((${line#* } + 2)) ]; then
				mapfile -t COMPREPLY < <(compgen -c -- "$word")
			else
				compopt -o default
			fi ;;
		*) COMPREPLY+=("${line%%$'\t'*}") ;;
		esac
	done < <("${words[0]}" complete "${words[@]:1}" 2>/dev/null)
	# "=" ends a word for bash: what stands before it stays.
	[[ $COMP_WORDBREAKS != *=* || $word != *=* ]] || COMPREPLY=("${COMPREPLY[@]#"${word%%=*}="}")
	[[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}
complete -F _shmemu shmemu
