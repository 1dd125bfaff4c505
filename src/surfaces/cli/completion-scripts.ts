/**
 * Lets each shell ask the command itself for completions: one name per line, with a description after a tab.
 */
export const completionScripts: Readonly<Record<string, string>> = {
  bash: `# bash completion for holdfast
_holdfast() {
  local IFS=$'\\n' word line
  local -a words
  # bash splits at ":" and "="; the command wants whole words.
  local text=\${COMP_LINE:0:COMP_POINT}
  IFS=$' \\t\\n' read -r -a words <<<"$text"
  [[ $text == *[[:space:]] ]] && words+=("")
  word=\${words[\${#words[@]}-1]}
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("$(printf '%q' "$line")")
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  # Readline replaces only what follows the last ":" or "=".
  if [[ $word == *[:=]* ]]; then
    local prefix=\${word%"\${word##*[:=]}"} i
    for i in "\${!COMPREPLY[@]}"; do COMPREPLY[i]=\${COMPREPLY[i]#"$prefix"}; done
  fi
  [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == */ ]] && compopt -o nospace 2>/dev/null
}
complete -o default -F _holdfast holdfast
`,
  zsh: `#compdef holdfast
_holdfast() {
  local -a names descriptions
  local name description
  while IFS=$'\\t' read -r name description; do
    names+=("$name")
    descriptions+=("\${name}\${description:+  -- $description}")
  done < <("\${words[1]}" __complete --describe -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#names} )); then
    compadd -l -d descriptions -a names
  else
    _files
  fi
}
if [[ \${funcstack[1]} == _holdfast ]]; then _holdfast "$@"; else compdef _holdfast holdfast; fi
`,
  fish: `# fish completion for holdfast
function __holdfast_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete --describe -- $words[2..-1] 2>/dev/null
end
complete -c holdfast -a '(__holdfast_complete)'
`,
};
