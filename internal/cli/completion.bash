
# Where the package bash-completion is missing, words are what is between blanks.
__jackfield_init_completion()
{
    local line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"${line}"
    if [[ ${line} == *[[:space:]] ]]; then
        words+=("")
    fi
    cword=$((${#words[@]} - 1))
    cur=${words[cword]}
    prev=${words[cword - 1]}
}
