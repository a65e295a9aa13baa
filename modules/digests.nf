// What a task depends on beyond its declared inputs: the code of the package, and the files below a cohort folder.
// Both are passed to the processes as values, so that -resume repeats what a change concerns, and nothing else.

def hexDigest(List<String> texts) {
    def digest = java.security.MessageDigest.getInstance('SHA-256')
    texts.each { text -> digest.update((text + '\n').getBytes('UTF-8')) }
    return digest.digest().encodeHex().toString().take(16)
}

// The files of the package that `file` imports, anywhere in it: modules, packages, and the packages around them.
def importedFiles(root, file) {
    def names = []
    file.text.readLines().each { line ->
        def whole = line =~ /^\s*import\s+(wssamnet[\w.]*)/
        def parts = line =~ /^\s*from\s+(wssamnet[\w.]*)\s+import\s+(.*)$/
        if (whole.find()) {
            names << whole.group(1)
        }
        else if (parts.find()) {
            names << parts.group(1)
            parts.group(2).replaceAll(/[()#]/, ' ').split(',').each { part ->
                names << parts.group(1) + '.' + part.trim().tokenize(' ')[0]
            }
        }
    }
    def paths = names.collectMany { name ->
        def steps = name.tokenize('.')
        def around = (1..steps.size()).collect { depth -> steps.take(depth).join('/') + '/__init__.py' }
        around + [steps.join('/') + '.py']
    }
    return paths.unique().collect { path -> root.resolve(path) }.findAll { path -> path.exists() }
}

// Digest of the Python files that `entries` (paths below the package folder) need, following their imports.
// Files in `without` are left out, and so is what only they need.
def packageDigest(root, List<String> entries, List<String> without) {
    def omitted = without.collect { name -> root.resolve("wssamnet/${name}") }
    def found = followImports(root, entries.collect { name -> root.resolve("wssamnet/${name}") }, [], omitted)
    // Pages and styles lie in the folder of the code that reads them.
    def beside = found.collect { file -> file.parent }.unique().collectMany { folder ->
        folder.toFile().listFiles().findAll { file -> file.name ==~ /.*\.(html|css|js|json|safetensors)/ }.collect { file -> file.toPath() }
    }
    def texts = (found + beside).sort { file -> file.toString() }.collect { file ->
        root.relativize(file).toString() + ' ' + hexDigest([file.bytes.encodeBase64().toString()])
    }
    return hexDigest(texts)
}

def followImports(root, List pending, List found, List omitted) {
    def fresh = pending.unique().findAll { file -> !(file in found) && !(file in omitted) }
    if (!fresh) {
        return found
    }
    return followImports(root, fresh.collectMany { file -> importedFiles(root, file) }, found + fresh, omitted)
}

// Every file below a folder, links followed, though not in a circle; `above`: the real folders on the way here.
def filesBelow(folder, List above) {
    def here = folder.toRealPath()
    def entries = here in above ? [] : (folder.toFile().listFiles() ?: []).collect { entry -> entry.toPath() }
    return entries.collectMany { path ->
        java.nio.file.Files.isDirectory(path) ? filesBelow(path, above + [here]) : [path]
    }
}

// The files of a cohort folder, or a samplesheet and the files it names.
def cohortFiles(source) {
    return source.isDirectory() ? filesBelow(source, []) : [source] + listedFiles(source)
}

// A path, and where it leads: every link on the way, and what it is in the end.
def linkSteps(path) {
    return java.nio.file.Files.isSymbolicLink(path)
        ? [path] + linkSteps(path.parent.resolve(java.nio.file.Files.readSymbolicLink(path)).normalize())
        : [path]
}

// What is declared so that a container sees a cohort, links and what they lead to included. Nextflow mounts the folder in which
// a declared path really lies: for files one of each folder, for links their folder, for a cohort's folder one of its entries.
def cohortMounts(source) {
    def root = source.isDirectory() ? source.toRealPath() : null
    def files = cohortFiles(source).collect { path -> path.toAbsolutePath() }.findAll { path -> java.nio.file.Files.exists(path) }
    def steps = files.collectMany { path -> linkSteps(path) }.unique()
    def links = steps.findAll { path -> java.nio.file.Files.isSymbolicLink(path) }.collect { path -> path.parent.toRealPath() }
    def real = files.collect { path -> path.toRealPath() }.groupBy { path -> path.parent }.collect { _folder, those -> those[0] }
    def own = root ? [(root.toFile().listFiles() ?: []).collect { entry -> entry.toPath() }.sort().find { path -> !java.nio.file.Files.isSymbolicLink(path) } ?: root] : []
    return (own + (links + real).findAll { path -> !root || !path.startsWith(root) }).unique()
}

// Name, size and time of every file below a cohort folder, or of a samplesheet and the files it names.
def cohortFingerprint(source) {
    def lines = cohortFiles(source).findAll { path -> java.nio.file.Files.isRegularFile(path) }.collect { path ->
        "${path} ${java.nio.file.Files.size(path)} ${java.nio.file.Files.getLastModifiedTime(path).toMillis()}".toString()
    }
    return hexDigest(lines.sort())
}

// The existing files that the cells of a samplesheet name, absolute or beside the sheet.
def listedFiles(sheet) {
    // by each delimiter in turn, for a name may hold the others; what is no file's name falls away
    def cells = sheet.text.readLines().collectMany { line -> [',', ';', '\t'].collectMany { delimiter -> line.split(delimiter + '(?=(?:[^"]*"[^"]*")*[^"]*$)').toList() } }
        .collect { cell -> cell.trim().replaceAll(/^"|"$/, '').replace('""', '"') }
    return cells.toSet().toSorted().findAll { cell -> cell ==~ /(?i).*\.(nii|nii\.gz|csv|tsv)/ }
        .collect { cell -> sheet.toAbsolutePath().parent.resolve(cell).normalize() }
        .findAll { path -> java.nio.file.Files.isRegularFile(path) }
}
