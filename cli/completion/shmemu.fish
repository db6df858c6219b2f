# fish completion for shmemu: it says itself what a word may become (shmemu complete).
function __shmemu_complete
	set -l words (commandline --tokenize --cut-at-cursor --current-process) (commandline --current-token --cut-at-cursor)
	for line in ($words[1] complete $words[2..-1] 2>/dev/null)
		switch $line
			case :folders
				set -l prefix (string replace --regex '=.*' '=' -- $words[-1])
				string replace --regex '^' -- $prefix (__fish_complete_directories (string replace --regex '^[^=]*=' '' -- $words[-1]))
			case :files
				set -l prefix (string replace --regex '=.*' '=' -- $words[-1])
				string replace --regex '^' -- $prefix (__fish_complete_path (string replace --regex '^[^=]*=' '' -- $words[-1]))
			case ':command *'
				set -l first (math (string replace ':command ' '' -- $line) + 1)
				complete --do-complete (string join ' ' -- $words[$first..-1])
			case '*'
				echo $line
		end
	end
end
complete --command shmemu --no-files --arguments '(__shmemu_complete)'
