// The methods of a run: ours, other tools' results, and registrars of one's own.

include { refuse ; quoted } from './parameters'
include { hexDigest ; cohortFingerprint } from './digests'

// name -> value of NAME=VALUE,NAME=VALUE
def pairsIn(text) {
    return (text ?: '').tokenize(',').collectEntries { word ->
        def (name, value) = word.split('=', 2).toList()
        [(name.trim()): value.trim()]
    }
}

// name -> preset: one preset is ants, several are ants.fast, ants.good, ...
def antsRuns(Map values) {
    def presets = values.ants_preset.tokenize(',').collect { preset -> preset.trim() }.unique()
    return presets.collectEntries { preset -> [(presets.size() > 1 ? "ants.${preset}".toString() : 'ants'): preset] }
}

// [ours, ants: run -> preset, external: name -> folder, own: name -> [file, where], names: all of them], with all problems told before any work.
// A method that is named with --external or --registrar takes part; --methods may name it too.
def chosenMethods(Map values, Map schema) {
    def known = schema.methods['x-items']
    def external = pairsIn(values.external).collectEntries { name, folder -> [(name): file(folder, glob: false).toAbsolutePath()] }
    def own = pairsIn(values.registrar).collectEntries { name, where ->
        def at = where.lastIndexOf(':')
        def path = file(where.take(at), glob: false).toAbsolutePath()
        [(name): [file: path, where: "${path.name}${where.drop(at)}".toString()]]
    }
    def problems = (external.keySet() + own.keySet()).findAll { name -> name in known }
        .collect { name -> "'${name}' is a method of this tool: another name in --external or --registrar".toString() }
    problems += external.keySet().intersect(own.keySet()).collect { name -> "'${name}' is both an --external and a --registrar".toString() }
    problems += external.findAll { _name, folder -> !folder.isDirectory() }
        .collect { name, folder -> "--external: ${name}=${folder} is not a folder".toString() }
    problems += own.findAll { _name, one -> !one.file.isFile() }
        .collect { name, one -> "--registrar: ${name}=${one.file} is not a file".toString() }
    if (problems) {
        refuse("The methods cannot be used:\n" + problems.collect { problem -> "  ${problem}" }.join('\n'), values.outdir)
    }
    def ours = values.methods.tokenize(',').collect { name -> name.trim() }.findAll { name -> name in known }
    def ants = antsRuns(values)
    def names = ours.collectMany { name -> name == 'ants' ? ants.keySet() : [name] }
    return [ours: ours.unique(), ants: ants, external: external, own: own, names: (names + own.keySet() + external.keySet()).unique()]
}

// What CHECK_METHODS is given: words of its command line, a digest of what they name, the folders to mount.
// Empty where nothing needs to be checked.
def questions(Map chosen, Map schema) {
    def optional = chosen.ours.findAll { name -> name in schema.methods['x-optional'] }
    def words = optional +
        chosen.own.collect { name, one -> "--registrar ${quoted("${name}=${one.file.parent}/${one.where}")}".toString() } +
        chosen.external.collect { name, folder -> "--external ${quoted("${name}=${folder}")}".toString() }
    def contents = chosen.own.collect { _name, one -> one.file.text } + chosen.external.collect { _name, folder -> cohortFingerprint(folder) }
    def mounts = chosen.own.collect { _name, one -> one.file.parent } + chosen.external.values().toList()
    return words ? [words.join(' '), hexDigest(contents), mounts.unique()] : []
}
