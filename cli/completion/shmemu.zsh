#compdef shmemu
# zsh completion for shmemu: it says itself what a word may become (shmemu complete).
local line word=${words[CURRENT]}
local -a plain open
for line in ${(f)"$($words[1] complete "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
	case $line in
	:folders) compset -P '*=' && _files -/ ;;
	:files) compset -P '*=' && _files ;;
	':command '*)
		shift $((${line#* } + 1)) words
		((CURRENT -= ${line#* } + 1))
		_normal
		return ;;
	*=$'\t'*) open+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
	*) plain+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
	esac
done
_describe shmemu plain
_describe shmemu open -S ''
