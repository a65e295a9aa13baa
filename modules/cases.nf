// Bash that writes each case's JSON text to a file of its own below cases/.
def writeCases(List cases) {
    def writes = cases.withIndex().collect { content, index ->
        "cat > cases/${String.format('%04d', index)}.json <<'END_OF_CASE'\n${content}\nEND_OF_CASE"
    }
    return (['mkdir -p cases'] + writes).join('\n')
}
