// Bash that writes a text to a file.
def writeText(path, content) {
    return "cat > ${path} <<'END_OF_TEXT'\n${content}\nEND_OF_TEXT"
}

// Bash that writes each case's JSON text to a file of its own below cases/.
def writeCases(List cases) {
    def writes = cases.withIndex().collect { content, index ->
        writeText("cases/${String.format('%04d', index)}.json", content)
    }
    return (['mkdir -p cases'] + writes).join('\n')
}
