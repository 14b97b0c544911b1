# fish completion for shmsem; what there is to offer, shmsem itself says.

function __shmsem_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    # "--option=" of "--option=value"
    set -l lead (string match -r -- '^--[^=]*=' "$typed")
    set -l path (string replace -- "$lead" '' "$typed")
    for line in ($words[1] __complete $words[2..-1] "$typed" 2>/dev/null)
        switch $line
            case :files
                string join -n \n -- "$lead"(__fish_complete_path "$path")
            case :directories
                string join -n \n -- "$lead"(__fish_complete_directories "$path")
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c shmsem -f -a '(__shmsem_complete)'
